"""S19: a snapshot is what replaying the log gives.

One rule: the digest of a machine made from a snapshot equals that of the machines that applied everything up
to the same entry, dedup windows, reserve marks and deferrals included.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Final
from haqactor.sim.watch.observed import Apply, Event, Snapshot


class SnapshotIsReplay(Rule):
    """O(1) an event; a snapshot that is seen before its last entry waits for it."""

    name = "snapshot equals replay"
    invariant = "S19"
    events = (Apply, Snapshot)

    def __init__(self) -> None:
        super().__init__()
        self._applied: dict[tuple[int, int], Apply] = {}
        self._waiting: dict[tuple[int, int], list[Snapshot]] = {}

    def on_event(self, event: Event) -> None:
        """A machine moves on, or is saved."""
        if isinstance(event, Apply):
            key = (event.group, event.index)
            applied = self._applied.setdefault(key, event)
            for snapshot in self._waiting.pop(key, ()):
                self._judge(applied, snapshot)
        elif isinstance(event, Snapshot):
            if event.lacking:
                raise self.broken(
                    f"a snapshot came without {event.lacking} of the entries it refers to", event
                )
            key = (event.group, event.index)
            found = self._applied.get(key)
            if found is None:
                self._waiting.setdefault(key, []).append(event)
            else:
                self._judge(found, event)

    def finish(self, final: Final) -> None:
        """A snapshot of a state that nobody was ever in is none."""
        for waiting in self._waiting.values():
            raise self.broken("a snapshot holds a state that no replica has reached", waiting[0])

    def _judge(self, applied: Apply, snapshot: Snapshot) -> None:
        if applied.term != snapshot.term:
            raise self.broken("a snapshot names another entry than the one applied", applied, snapshot)
        if applied.digest != snapshot.digest:
            done = "installed" if snapshot.installed else "taken"
            text = f"the snapshot {done} at entry {snapshot.index} is not the state there"
            raise self.broken(text, applied, snapshot)
