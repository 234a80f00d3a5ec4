"""S21: what is served is what was written, and what was durable is there again.

One rule: a leader's first appending of an entry says what its bytes are; whoever hands it out later hands out
those, or nothing (that replicas load the same is S11). What a disk held durably its replica finds again after
a restart, or it refuses to start. Only the last block of a log may look torn: so a replica that says that it
may have forgotten something (a suspect) is released from what that block held, and from nothing before it;
one that says that more is damaged is released from everything (whether that is true the run sees).
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
        self._before: dict[tuple[str, int], Sync] = {}  # the same without what came with the newest block
        self._incarnations: dict[str, int] = {}
        self._blocks: dict[str, int] = {}
        self._since: dict[tuple[str, int], int] = {}  # the incarnation that said so

    def on_event(self, event: Event) -> None:
        """An entry is written, or leaves; a disk moves on, or is read again."""
        if isinstance(event, Sync):
            self._synced(event)
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

    def _synced(self, event: Sync) -> None:
        key, host = (event.host, event.group), event.host
        last = self._durable.get(key)
        if last is not None and last.block < event.block:
            self._before[key] = last
        self._durable[key] = event
        self._blocks[host] = max(self._blocks.get(host, 0), event.block)
        self._since[key] = self._incarnations.get(host, 0)

    def _started(self, event: Started) -> None:
        key, host = (event.host, event.group), event.host
        if self._incarnations.get(host) != event.incarnation:
            self._begun(host, event.incarnation)
        durable, before = self._durable.pop(key, None), self._before.pop(key, None)
        if event.damaged:
            durable = None
        elif event.suspect:
            recent = self._since.get(key) == event.incarnation - 1
            durable = before if recent else None
        if durable is None:
            return
        found = max((event.last_term, event.last_index), (event.snapshot_term, event.snapshot_index))
        if found < (durable.term, durable.index):
            raise self.broken(f"{event.host} came back without entries that were durable", durable, event)

    def _begun(self, host: str, incarnation: int) -> None:
        """It has read its disk anew: what came with the newest block that was durable may be gone."""
        newest = self._blocks.pop(host, 0)
        self._incarnations[host] = incarnation
        for key, durable in self._durable.items():
            if key[0] == host and durable.block < newest:
                self._before[key] = durable
