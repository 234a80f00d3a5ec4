"""Where a queue's messages are: one row of columns a batch, 38 bytes, no object a message.

One rule: rows are in the order of queue sequences, and each points into the body of a stored entry; bodies
are never here.

A row holds ``count`` consecutive messages that are the rows ``skip .. skip + count - 1`` of a stored batch of
``total`` messages (``skip`` 0 and ``total == count`` unless the row is a dead letter, which refers to the
batch it came in).

A message weighs its part of the batch as it is stored: message ``k`` of ``total`` the bytes from
``size * k // total`` on to those of the next one. So parts always add up, in whatever order messages go.
"""

from array import array
from bisect import bisect_right
from typing import Final, NamedTuple

from haqactor.machine.intervals import IntervalSet

COLUMNS: Final = (
    ("first", "Q"),
    ("count", "H"),
    ("entry", "Q"),
    ("at", "I"),
    ("size", "I"),
    ("enqueued", "Q"),
    ("skip", "H"),
    ("total", "H"),
)
_PRUNE_ROWS: Final = 1024


class Located(NamedTuple):
    """Messages ``first .. last`` of one stored batch: they are its rows from ``skip`` on."""

    first: int
    last: int
    entry_index: int
    body_at: int
    body_bytes: int
    skip: int
    total: int
    enqueued_ns: int

    @property
    def whole(self) -> bool:
        """Is it all of the batch?"""
        return self.last - self.first + 1 == self.total


def part(size: int, total: int, skip: int, count: int) -> int:
    """The bytes of messages ``skip .. skip + count - 1`` of a stored batch of ``size`` bytes."""
    return size * (skip + count) // total - size * skip // total


class Batches:
    """The columns. ``head`` is the first row that still matters; ``stored`` counts messages from there on."""

    __slots__ = ("at", "count", "enqueued", "entry", "first", "head", "size", "skip", "stored", "total")

    def __init__(self) -> None:
        self.first = array("Q")
        self.count = array("H")
        self.entry = array("Q")
        self.at = array("I")
        self.size = array("I")
        self.enqueued = array("Q")
        self.skip = array("H")
        self.total = array("H")
        self.head = 0
        self.stored = 0

    def __len__(self) -> int:
        return len(self.first) - self.head

    def append(self, first: int, count: int, row: Located) -> None:
        """A new last row: messages ``first .. first + count - 1``, stored where ``row`` says."""
        self.first.append(first)
        self.count.append(count)
        self.entry.append(row.entry_index)
        self.at.append(row.body_at)
        self.size.append(row.body_bytes)
        self.enqueued.append(row.enqueued_ns)
        self.skip.append(row.skip)
        self.total.append(row.total)
        self.stored += count

    def locate(self, low: int, high: int) -> list[Located]:
        """The stored batches behind ``low..high``, clipped to it, in order; sequences without a row are left
        out."""
        firsts, counts = self.first, self.count
        position = max(bisect_right(firsts, low, self.head) - 1, self.head)
        found: list[Located] = []
        while position < len(firsts) and (first := firsts[position]) <= high:
            last = first + counts[position] - 1
            if last >= low:
                start = first if first > low else low
                found.append(
                    Located(
                        start,
                        last if last < high else high,
                        self.entry[position],
                        self.at[position],
                        self.size[position],
                        self.skip[position] + start - first,
                        self.total[position],
                        self.enqueued[position],
                    )
                )
            position += 1
        return found

    def weigh(self, low: int, high: int) -> int:
        """The stored bytes of messages ``low..high``; sequences without a row weigh nothing."""
        firsts, counts = self.first, self.count
        position = max(bisect_right(firsts, low, self.head) - 1, self.head)
        found = 0
        while position < len(firsts) and (first := firsts[position]) <= high:
            start, stop = max(low, first), min(high + 1, first + counts[position])
            if start < stop:
                skip = self.skip[position] + start - first
                found += part(self.size[position], self.total[position], skip, stop - start)
            position += 1
        return found

    def at_or_after(self, low: int, high: int) -> Located | None:
        """The first of ``locate(low, high)``, without looking further."""
        firsts = self.first
        position = bisect_right(firsts, low, self.head) - 1
        if position < self.head:
            position = self.head
        elif firsts[position] + self.count[position] <= low:
            position += 1
        if position >= len(firsts) or (first := firsts[position]) > high:
            return None
        last = first + self.count[position] - 1
        start = first if first > low else low
        return Located(
            start,
            last if last < high else high,
            self.entry[position],
            self.at[position],
            self.size[position],
            self.skip[position] + start - first,
            self.total[position],
            self.enqueued[position],
        )

    def find(self, sequence: int) -> int:
        """The position of the row that holds ``sequence``, else of the first behind it."""
        position = bisect_right(self.first, sequence, self.head) - 1
        if position < self.head:
            return self.head
        return position + (self.first[position] + self.count[position] <= sequence)

    def prune(self, low: int) -> None:
        """Forget the rows wholly below ``low``; amortised O(1) a row."""
        firsts, counts = self.first, self.count
        head = self.head
        while head < len(firsts) and firsts[head] + counts[head] <= low:
            self.stored -= counts[head]
            head += 1
        self.head = head
        if (head >= _PRUNE_ROWS and head * 2 >= len(firsts)) or head == len(firsts):
            for name, _code in COLUMNS:
                del getattr(self, name)[:head]
            self.head = 0

    def dead_rows(self, gone: IntervalSet) -> bytearray:
        """A flag for each row from ``head`` on: are all its messages in ``gone``?"""
        firsts, counts = self.first, self.count
        flags = bytearray(len(self))
        for low, high in gone:
            position = max(bisect_right(firsts, low, self.head) - 1, self.head)
            while position < len(firsts) and firsts[position] <= high:
                if firsts[position] >= low and firsts[position] + counts[position] - 1 <= high:
                    flags[position - self.head] = 1
                position += 1
        return flags

    def compact(self, gone: IntervalSet) -> None:
        """Drop the rows in the middle whose messages are all gone."""
        flags = self.dead_rows(gone)
        keep = [self.head + position for position, dead in enumerate(flags) if not dead]
        for name, code in COLUMNS:
            column = getattr(self, name)
            setattr(self, name, array(code, [column[position] for position in keep]))
        self.head = 0
        self.stored = sum(self.count)

    def live_entries(self, gone: IntervalSet) -> "array[int]":
        """The entry of every row that still has a message."""
        entries = self.entry[self.head :]
        if not gone:
            return entries
        flags = self.dead_rows(gone)
        return array("Q", [entry for entry, dead in zip(entries, flags, strict=True) if not dead])
