"""A map from integers to small counts, kept as runs of equal values.

One rule: the value 0 is not stored, so that messages which never failed cost nothing.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

Run = tuple[int, int, int]


class RangeMap:
    """``low..high -> value`` in runs; 24 bytes a run."""

    __slots__ = ("ends", "starts", "values")

    def __init__(self) -> None:
        self.starts = array("Q")
        self.ends = array("Q")
        self.values = array("Q")

    def __len__(self) -> int:
        """How many runs."""
        return len(self.starts)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(zip(self.starts, self.ends, self.values, strict=True)))

    def __repr__(self) -> str:
        return f"RangeMap({list(self)})"

    def get(self, key: int) -> int:
        """The value of one number."""
        i = bisect_left(self.ends, key)
        return self.values[i] if i < len(self.starts) and self.starts[i] <= key else 0

    def put(self, low: int, high: int, value: int) -> None:
        """Give ``low..high`` the value; 0 takes them out."""
        starts, ends, values = self.starts, self.ends, self.values
        if value == 0 and (not ends or low > ends[-1] or high < starts[0]):
            return
        i = bisect_left(ends, low - 1)
        j = bisect_right(starts, high + 1, i)
        runs: list[Run] = [(low, high, value)] if value else []
        for k in range(i, j):
            start, end, old = starts[k], ends[k], values[k]
            if start < low:
                runs.append((start, min(end, low - 1), old))
            if end > high:
                runs.append((max(start, high + 1), end, old))
        runs = _joined(runs)
        starts[i:j] = array("Q", [run[0] for run in runs])
        ends[i:j] = array("Q", [run[1] for run in runs])
        values[i:j] = array("Q", [run[2] for run in runs])

    def runs(self, low: int, high: int) -> list[Run]:
        """All of ``low..high`` as runs of equal values, 0 included."""
        starts, ends = self.starts, self.ends
        if not ends or low > ends[-1]:
            return [(low, high, 0)]
        found: list[Run] = []
        i = bisect_left(ends, low)
        while i < len(starts) and starts[i] <= high:
            if starts[i] > low:
                found.append((low, starts[i] - 1, 0))
                low = starts[i]
            end = min(high, ends[i])
            found.append((low, end, self.values[i]))
            low = end + 1
            i += 1
        if low <= high:
            found.append((low, high, 0))
        return found


def _joined(runs: list[Run]) -> list[Run]:
    result: list[Run] = []
    for low, high, value in sorted(runs):
        if result and result[-1][1] + 1 == low and result[-1][2] == value:
            result[-1] = (result[-1][0], high, value)
        else:
            result.append((low, high, value))
    return result
