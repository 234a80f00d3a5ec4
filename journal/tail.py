"""The tail cache: recent entries of all groups, bounded in bytes; it feeds replication and hot consumers
from memory.

One rule: the oldest entry put goes first, whatever its group, and the owner is told, so that nobody else
holds it.
"""

from collections import deque

from haqactor.entry import Entry
from haqactor.ids import GroupId, Index


class TailCache:
    """A ring shared by all groups. ``hits``, ``misses`` count entries asked for; ``evicts`` those pushed
    out."""

    __slots__ = ("_count", "_entries", "_order", "_tops", "bytes", "bytes_max", "evicts", "hits", "misses")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self.evicts = 0
        self._count = 0
        self._entries: dict[GroupId, dict[Index, Entry]] = {}
        self._tops: dict[GroupId, Index] = {}
        self._order: deque[Entry] = deque()

    def put(self, entry: Entry) -> tuple[tuple[GroupId, Index], ...]:
        """Add one; what it pushes out comes back as (group, highest index evicted)."""
        group = self._entries.get(entry.group)
        if group is None:
            group = self._entries[entry.group] = {}
        old = group.get(entry.index)
        if old is not None:
            self.bytes -= len(old.frame)
            self._count -= 1
        self._count += 1
        group[entry.index] = entry
        if entry.index > self._tops.get(entry.group, -1):
            self._tops[entry.group] = entry.index
        self._order.append(entry)
        self.bytes += len(entry.frame)
        if self.bytes <= self.bytes_max and len(self._order) < 64 + 2 * self._count:
            return ()
        return self._evict()

    def _evict(self) -> tuple[tuple[GroupId, Index], ...]:
        evicted: dict[GroupId, Index] = {}
        order = self._order
        while order and self.bytes > self.bytes_max:
            entry = order.popleft()
            group = self._entries.get(entry.group)
            if group is not None and group.get(entry.index) is entry:
                del group[entry.index]
                self._count -= 1
                self.bytes -= len(entry.frame)
                self.evicts += 1
                evicted[entry.group] = max(evicted.get(entry.group, entry.index), entry.index)
        if len(order) >= 64 + 2 * self._count:
            self._order = deque(
                [entry for entry in order if self._entries[entry.group].get(entry.index) is entry]
            )
        return tuple(evicted.items())

    def get(self, group: GroupId, index: Index) -> Entry | None:
        """The entry, if it is here."""
        entry = self._entries.get(group, {}).get(index)
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
        return entry

    def range(self, group: GroupId, first: Index, last: Index) -> tuple[Entry, ...] | None:
        """All of [first, last], or None if any is missing."""
        entries = self._entries.get(group, {})
        found: list[Entry] = []
        for index in range(first, last + 1):
            entry = entries.get(Index(index))
            if entry is None:
                self.misses += last + 1 - first
                return None
            found.append(entry)
        self.hits += len(found)
        return tuple(found)

    def truncate(self, group: GroupId, start: Index) -> None:
        """Entries from ``start`` on were overwritten. Costs nothing where there are none."""
        top = self._tops.get(group, Index(-1))
        if start > top:
            return
        entries = self._entries.get(group, {})
        for index in range(start, top + 1):
            entry = entries.pop(Index(index), None)
            if entry is not None:
                self.bytes -= len(entry.frame)
                self._count -= 1
        self._tops[group] = Index(start - 1)

    def drop(self, group: GroupId) -> None:
        """The group is gone."""
        self._tops.pop(group, None)
        for entry in self._entries.pop(group, {}).values():
            self.bytes -= len(entry.frame)
            self._count -= 1
        self._order = deque([entry for entry in self._order if entry.group != group])
