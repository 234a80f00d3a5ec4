"""S14: a host tells others only what is durable on its disk.

One rule: the medium's truth at the moment at which a message leaves is what counts; a sync that comes later
saves nothing.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Event, Started, Sync, Told, Vote


class Durability(Rule):
    """O(1) an event."""

    name = "told only what is durable"
    invariant = "S14"
    events = (Started, Sync, Vote, Told)

    def __init__(self) -> None:
        super().__init__()
        self._durable: dict[tuple[str, int], Sync] = {}

    def on_event(self, event: Event) -> None:
        """A disk moves on, or a host speaks."""
        if isinstance(event, Sync):
            self._durable[event.host, event.group] = event
        elif isinstance(event, Started):
            if not event.settled:
                return  # what it found in a cache is not more durable than before
            index, term = max(
                (event.last_index, event.last_term), (event.snapshot_index, event.snapshot_term)
            )
            self._durable[event.host, event.group] = Sync(
                event.at_ns, event.host, event.group, index, term, event.term, event.voted_for
            )
        elif isinstance(event, Vote | Told):
            disk = self._durable.get((event.host, event.group))
            if disk is None:
                disk = Sync(0, event.host, event.group, 0, 0, 0, "")
            self._judge(event, disk)

    def _judge(self, event: Vote | Told, disk: Sync) -> None:
        if disk.hard_term < event.term:
            raise self.broken(f"{event.host} speaks in a term that its disk does not know", disk, event)
        if isinstance(event, Vote):
            if disk.hard_term == event.term and disk.voted_for != event.candidate:
                raise self.broken(f"{event.host} gave a vote that its disk does not know", disk, event)
        elif disk.index < event.index:
            raise self.broken(f"{event.host} acknowledged entries that its disk does not hold", disk, event)
