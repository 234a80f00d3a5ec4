"""S21: what is served is what was written, and what was durable is there again.

One rule: a leader's first appending of an entry says what its bytes are; whoever hands it out later hands out
those, or nothing (that replicas load the same is S11). What a disk held durably its replica finds again after
a restart; only one that says that it may have forgotten something (a suspect), or that refuses to start, is
released from that.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Append, Event, Served, Started, Sync


class NoSilentCorruption(Rule):
    """O(1) an event."""

    name = "served as written"
    invariant = "S21"
    events = (Append, Served, Sync, Started)

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[int, int, int], Append] = {}
        self._durable: dict[tuple[str, int], Sync] = {}

    def on_event(self, event: Event) -> None:
        """An entry is written, or leaves; a disk moves on, or is read again."""
        if isinstance(event, Sync):
            self._durable[event.host, event.group] = event
        elif isinstance(event, Started):
            self._started(event)
        elif isinstance(event, Append):
            self._written.setdefault((event.group, event.index, event.term), event)
        elif isinstance(event, Served):
            written = self._written.get((event.group, event.index, event.term))
            if written is None:
                raise self.broken(f"{event.host} serves an entry that nobody wrote", event)
            if written.crc != event.crc:
                raise self.broken(f"{event.host} serves other bytes than were written", written, event)

    def _started(self, event: Started) -> None:
        durable = self._durable.pop((event.host, event.group), None)
        if durable is None or event.suspect:
            return
        found = max((event.last_term, event.last_index), (event.snapshot_term, event.snapshot_index))
        if found < (durable.term, durable.index):
            raise self.broken(f"{event.host} came back without entries that were durable", durable, event)
