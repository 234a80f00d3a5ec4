"""S11: logs that hold an entry of the same index and term are equal up to it.

One rule: each entry is given a rolling checksum of the whole log up to it, and an index and a term have one
such checksum, whichever host shows it.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Append, Event, Snapshot, Started

_MASK = (1 << 64) - 1
_PRIME = 0x9E3779B97F4A7C15


class LogMatching(Rule):
    """O(1) an entry. A log is known from where it was seen from: from its start, or behind a snapshot whose
    last entry some log has shown."""

    name = "log matching"
    invariant = "S11"
    events = (Append, Started, Snapshot)

    def __init__(self) -> None:
        super().__init__()
        self._chains: dict[tuple[str, int], dict[int, int]] = {}
        self._last: dict[tuple[str, int], int] = {}
        self._canonical: dict[tuple[int, int, int], tuple[int, Append]] = {}

    def on_event(self, event: Event) -> None:
        """A log grows, or begins anew."""
        if isinstance(event, Append):
            self._append(event)
        elif isinstance(event, Started):
            self._begin(event.host, event.group, event.snapshot_index, event.snapshot_term)
        elif isinstance(event, Snapshot) and event.installed:
            log = self._chains.get((event.host, event.group), {})
            known = self._canonical.get((event.group, event.index, event.term))
            if known is None or log.get(event.index) != known[0]:
                self._begin(event.host, event.group, event.index, event.term)

    def _begin(self, host: str, group: int, index: int, term: int) -> None:
        known = self._canonical.get((group, index, term))
        chain = 0 if not index else None if known is None else known[0]
        self._chains[host, group] = {} if chain is None else {index: chain}
        self._last[host, group] = index

    def _append(self, event: Append) -> None:
        key = (event.host, event.group)
        log = self._chains.get(key)
        if log is None:
            self._begin(event.host, event.group, 0, 0)
            log = self._chains[key]
        last = self._last[key]
        if event.index > last + 1:
            text = f"{event.host} has entry {event.index} behind entry {last}: a hole"
            raise self.broken(text, event)
        for index in range(event.index, last + 1):
            log.pop(index, None)
        self._last[key] = event.index
        before = log.get(event.index - 1)
        if before is None:
            return
        chain = ((before ^ (event.term << 32 | event.crc)) * _PRIME + event.index) & _MASK
        log[event.index] = chain
        known, first = self._canonical.setdefault((event.group, event.index, event.term), (chain, event))
        if known != chain:
            text = f"two logs differ at or before entry {event.index} of term {event.term}"
            raise self.broken(text, first, event)
