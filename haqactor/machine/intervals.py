"""Sets of integers kept as disjoint, sorted, inclusive intervals.

One rule: intervals never touch; neighbours are merged, so that what was settled in order costs one interval
whatever its length.

Lookups are O(log n); a change moves at most 8 bytes an interval behind it (memmove), 16 bytes are kept for
each.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from haqactor.machine.commands import Range


class IntervalSet:
    """A set of integers from 0 to 2**63. ``total`` is how many there are."""

    __slots__ = ("ends", "starts", "total")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self.starts = array("Q")
        self.ends = array("Q")
        self.total = 0
        for low, high in ranges:
            self.add(low, high)

    def __bool__(self) -> bool:
        return self.total > 0

    def __len__(self) -> int:
        """How many intervals."""
        return len(self.starts)

    def __iter__(self) -> Iterator[Range]:
        return iter(list(zip(self.starts, self.ends, strict=True)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalSet) and self.starts == other.starts and self.ends == other.ends

    __hash__ = None  # type: ignore[assignment]  # mutable, as a list

    def __repr__(self) -> str:
        return f"IntervalSet({list(self)})"

    def add(self, low: int, high: int) -> int:
        """Put in ``low..high``; returns how many of them are new."""
        starts, ends = self.starts, self.ends
        new = high - low + 1
        if not ends or low > ends[-1] + 1:
            starts.append(low)
            ends.append(high)
            self.total += new
            return new
        i = bisect_left(ends, low - 1)
        j = bisect_right(starts, high + 1, i)
        if i == j:
            starts.insert(i, low)
            ends.insert(i, high)
            self.total += new
            return new
        low, high = min(low, starts[i]), max(high, ends[j - 1])
        new = high - low + 1
        if j - i == 1:
            new -= ends[i] - starts[i] + 1
            starts[i], ends[i] = low, high
        else:
            new -= sum(ends[i:j]) - sum(starts[i:j]) + j - i
            starts[i:j] = array("Q", (low,))
            ends[i:j] = array("Q", (high,))
        self.total += new
        return new

    def discard(self, low: int, high: int) -> int:
        """Take out ``low..high``; returns how many of them were in."""
        starts, ends = self.starts, self.ends
        if not ends or low > ends[-1] or high < starts[0]:
            return 0
        i = bisect_left(ends, low)
        j = bisect_right(starts, high, i)
        if i == j:
            return 0
        if j - i == 1:  # nearly always: cut it where it stands
            gone = self._cut(i, low, high)
            self.total -= gone
            return gone
        gone = sum(ends[i:j]) - sum(starts[i:j]) + j - i
        first, last = starts[i], ends[j - 1]
        kept_starts, kept_ends = array("Q"), array("Q")
        if first < low:
            kept_starts.append(first)
            kept_ends.append(low - 1)
            gone -= low - first
        if last > high:
            kept_starts.append(high + 1)
            kept_ends.append(last)
            gone -= last - high
        starts[i:j] = kept_starts
        ends[i:j] = kept_ends
        self.total -= gone
        return gone

    def _cut(self, i: int, low: int, high: int) -> int:
        """Take ``low..high`` out of one interval that it touches; returns how many of them were in."""
        starts, ends = self.starts, self.ends
        first, last = starts[i], ends[i]
        if first < low:
            ends[i] = low - 1
            if last > high:
                starts.insert(i + 1, high + 1)
                ends.insert(i + 1, last)
                return high - low + 1
            return last - low + 1
        if last > high:
            starts[i] = high + 1
            return high - first + 1
        del starts[i], ends[i]
        return last - first + 1

    def __contains__(self, value: int) -> bool:
        i = bisect_left(self.ends, value)
        return i < len(self.starts) and self.starts[i] <= value

    def covers(self, low: int, high: int) -> bool:
        """Are all of ``low..high`` in?"""
        i = bisect_left(self.ends, high)
        return i < len(self.starts) and self.starts[i] <= low

    def overlaps(self, low: int, high: int) -> bool:
        """Is any of ``low..high`` in?"""
        i = bisect_left(self.ends, low)
        return i < len(self.starts) and self.starts[i] <= high

    def within(self, low: int, high: int) -> list[Range]:
        """Those of ``low..high`` that are in."""
        starts, ends = self.starts, self.ends
        i = bisect_left(ends, low)
        found: list[Range] = []
        while i < len(starts) and (first := starts[i]) <= high:
            last = ends[i]
            found.append((low if first < low else first, high if last > high else last))
            i += 1
        return found

    def missing(self, low: int, high: int) -> list[Range]:
        """Those of ``low..high`` that are not in."""
        if low > high:
            return []
        starts, ends = self.starts, self.ends
        if not ends or low > ends[-1] or high < starts[0]:
            return [(low, high)]
        i = bisect_left(ends, low)
        found: list[Range] = []
        while i < len(starts) and (first := starts[i]) <= high:
            if first > low:
                found.append((low, first - 1))
            low = ends[i] + 1
            i += 1
        if low <= high:
            found.append((low, high))
        return found

    def next_missing(self, value: int) -> int:
        """The first number from ``value`` on that is not in."""
        i = bisect_left(self.ends, value)
        if i < len(self.starts) and self.starts[i] <= value:
            return self.ends[i] + 1
        return value

    def next_present(self, value: int) -> Range | None:
        """The first interval with numbers from ``value`` on, clipped to them."""
        i = bisect_left(self.ends, value)
        return (max(value, self.starts[i]), self.ends[i]) if i < len(self.starts) else None

    def pop_first(self) -> Range:
        """Take out the lowest interval."""
        low, high = self.starts.pop(0), self.ends.pop(0)
        self.total -= high - low + 1
        return low, high


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same numbers as sorted, disjoint, maximal ranges."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            if high > result[-1][1]:
                result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return result


def minus(ranges: Iterable[Range], taken: IntervalSet) -> list[Range]:
    """What of ``ranges`` is not in ``taken``, in the same order."""
    if not taken.total:
        return list(ranges)
    return [piece for low, high in ranges for piece in taken.missing(low, high)]


def count(ranges: Iterable[Range]) -> int:
    """How many numbers disjoint ranges hold."""
    return sum(high - low + 1 for low, high in ranges)
