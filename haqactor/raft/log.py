"""A group's log as the core sees it: term runs for all of it, entry objects only for its newest part.

One rule: what is durable is known by (term, index) in the order of writing, so a report about an overwritten
suffix never vouches for what replaced it (R5).
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from haqactor.entry import Entry
from haqactor.errors import InvariantViolation
from haqactor.ids import Index, Term
from haqactor.raft.ready import SnapshotMeta


class Write(NamedTuple):
    """A batch of entries on its way to the disk."""

    term: Term
    last: Index
    first: Index
    since_ns: int


class Log:
    """Entries above the snapshot. Indices are absolute."""

    __slots__ = (
        "_entries", "_firsts", "_offset", "_terms", "_writes",
        "durable_index", "last_index", "last_term", "memory_bytes", "snapshot", "unstable",
    )  # fmt: skip

    def __init__(self, snapshot: SnapshotMeta, runs: Sequence[tuple[Index, Term]], last_index: Index) -> None:
        self.snapshot = snapshot
        self._firsts: list[int] = [first for first, _ in runs]
        self._terms: list[Term] = [term for _, term in runs]
        self.last_index: Index = max(last_index, snapshot.index)
        self.last_term: Term = self._terms[-1] if runs else snapshot.term
        if self._firsts != sorted(self._firsts) or (runs and not snapshot.index < runs[0][0] <= last_index):
            raise InvariantViolation(
                f"term runs {list(runs)} do not fit a log from {snapshot.index} to {last_index}"
            )
        self.durable_index: Index = self.last_index
        self._entries: list[Entry] = []
        self._offset = self.last_index + 1  # index of _entries[0]
        self.unstable = self.last_index + 1  # first entry not handed out for writing yet; others only read it
        self._writes: deque[Write] = deque()
        self.memory_bytes = 0

    # -- reading

    def term_at(self, index: int) -> Term | None:
        """The term of the entry at ``index``; None where the log has none (beyond the end, below the
        snapshot)."""
        if index == self.last_index:
            return self.last_term
        snapshot = self.snapshot
        if index <= snapshot.index:
            return snapshot.term if index == snapshot.index else None
        if index > self.last_index:
            return None
        return self._terms[bisect_right(self._firsts, index) - 1]

    def last_not_above(self, index: int, term: int) -> tuple[Index, Term]:
        """The last place at or before ``index`` whose term is not above ``term``: the conflict hint (section
        5.3)."""
        index = min(index, self.last_index)
        run = bisect_right(self._firsts, index) - 1
        while run >= 0 and index > self.snapshot.index:
            if self._terms[run] <= term:
                return Index(index), self._terms[run]
            index = self._firsts[run] - 1
            run -= 1
        return self.snapshot.index, self.snapshot.term

    def up_to_date(self, last_index: int, last_term: int) -> bool:
        """Is a log that ends there at least as complete as this one (section 5.4.1)?"""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    @property
    def memory_first(self) -> int:
        """The first index whose entry is in memory; last_index + 1 when none is."""
        return self._offset

    def slice(self, first: int, last: int, bytes_max: int | None = None) -> tuple[Entry, ...] | None:
        """Entries ``first``..``last`` from memory, cut before ``bytes_max`` is passed (one entry at least);
        None when ``first`` is not in memory."""
        at = first - self._offset
        if at < 0 or last > self.last_index:
            return None
        entries = self._entries
        stop = last - self._offset + 1
        if bytes_max is not None:
            size = 0
            for position in range(at, stop):
                size += len(entries[position].frame)
                if size > bytes_max and position > at:
                    stop = position
                    break
        return tuple(entries[at:stop])

    def runs(self) -> tuple[tuple[Index, Term], ...]:
        """First index and term of each run above the snapshot."""
        return tuple((Index(first), term) for first, term in zip(self._firsts, self._terms, strict=True))

    # -- changing

    def append(self, entries: Sequence[Entry]) -> None:
        """Put entries behind the last one; their indices must follow it."""
        index: int = self.last_index
        for entry in entries:
            index += 1
            term = entry.term
            if entry.index != index or term < self.last_term:
                raise InvariantViolation(
                    f"{entry!r} cannot follow index {index - 1} of term {self.last_term}"
                )
            if term != self.last_term or not self._firsts:
                self._firsts.append(index)
                self._terms.append(term)
                self.last_term = term
            self.memory_bytes += len(entry.frame)
        self._entries.extend(entries)
        self.last_index = Index(index)

    def truncate(self, first: Index) -> None:
        """Cut everything from ``first`` on. The caller has made sure that nothing of it is committed (R4)."""
        if first <= self.snapshot.index:
            raise InvariantViolation(
                f"truncation from {first} reaches into the snapshot at {self.snapshot.index}"
            )
        while self._firsts and self._firsts[-1] >= first:
            self._firsts.pop()
            self._terms.pop()
        self.last_index = Index(first - 1)
        self.last_term = self._terms[-1] if self._terms else self.snapshot.term
        cut = max(first - self._offset, 0)
        self.memory_bytes -= sum(len(entry.frame) for entry in self._entries[cut:])
        del self._entries[cut:]
        self._offset = min(self._offset, first)
        self.unstable = min(self.unstable, first)
        self.durable_index = min(self.durable_index, self.last_index)

    def compact(self, meta: SnapshotMeta) -> bool:
        """Drop what a durable snapshot covers. False where the log does not hold that place (then nothing
        changed)."""
        if meta.index <= self.snapshot.index or self.term_at(meta.index) != meta.term:
            return False
        self.forget(meta.index)
        run = bisect_right(self._firsts, meta.index) - 1
        if run >= 0:
            del self._firsts[:run], self._terms[:run]
            run_end = self._firsts[1] - 1 if len(self._firsts) > 1 else self.last_index
            if run_end > meta.index:
                self._firsts[0] = meta.index + 1
            else:
                del self._firsts[0], self._terms[0]
        self.snapshot = meta
        return True

    def restore(self, meta: SnapshotMeta) -> None:
        """Start again from an installed snapshot; nothing of the old log is kept (R12c)."""
        self.snapshot = meta
        self._firsts, self._terms = [], []
        self.last_index = self.durable_index = meta.index
        self.last_term = meta.term
        self._entries = []
        self._offset = self.unstable = meta.index + 1
        self._writes.clear()
        self.memory_bytes = 0

    def forget(self, upto: Index) -> None:
        """Let go of entry objects up to ``upto``; those not handed out for writing stay."""
        count = min(upto, self.unstable - 1) - self._offset + 1
        if count > 0:
            self.memory_bytes -= sum(len(entry.frame) for entry in self._entries[:count])
            del self._entries[:count]
            self._offset += count

    def trim(self, upto: int, bytes_max: int) -> None:
        """Forget the oldest entries not above ``upto`` until about ``bytes_max`` are left."""
        excess = self.memory_bytes - bytes_max
        if excess <= 0:
            return
        excess += bytes_max // 4  # some slack, so that the list is not shifted for every entry
        index = self._offset - 1
        for entry in self._entries:
            if excess <= 0 or index >= upto:
                break
            excess -= len(entry.frame)
            index += 1
        self.forget(Index(index))

    # -- durability

    def take_unstable(self, now_ns: int) -> tuple[Entry, ...]:
        """Hand out what has to be written."""
        if self.unstable > self.last_index:
            return ()
        entries = tuple(self._entries[self.unstable - self._offset :])
        self._writes.append(Write(self.last_term, self.last_index, Index(self.unstable), now_ns))
        self.unstable = self.last_index + 1
        return entries

    def written(self, term: Term, index: Index) -> bool:
        """The disk reports that the write ending with (term, index), and all before it, are durable. False:
        unknown."""
        writes = self._writes
        count = 0
        for write in writes:
            count += 1
            if write.last == index and write.term == term:
                break
        else:
            return False
        for _ in range(count):
            writes.popleft()
        durable: int = self.durable_index
        durable = max(durable, index)
        for write in writes:  # a later write may be replacing part of it
            if write.first <= durable:
                durable = write.first - 1
        self.durable_index = Index(min(durable, self.unstable - 1, self.last_index))
        return True

    def oldest_write_ns(self) -> int | None:
        """Since when the oldest unfinished write is under way."""
        return self._writes[0].since_ns if self._writes else None
