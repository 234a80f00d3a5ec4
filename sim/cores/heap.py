"""Time: one heap of what is going to happen, in whole nanoseconds.

One rule: what is due at the same instant happens in the order in which it was asked for.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Happening = Callable[[Any], None]


class Timeline:
    """``now_ns``: the true time of the world; hosts have clocks of their own."""

    __slots__ = ("_heap", "_number", "now_ns")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Happening, Any]] = []
        self._number = 0
        self.now_ns = 0

    def at(self, at_ns: int, happening: Happening, argument: Any = None) -> None:
        """Let ``happening(argument)`` be called then."""
        self._number = number = self._number + 1
        heappush(self._heap, (at_ns, number, happening, argument))

    def after(self, delay_ns: int, happening: Happening, argument: Any = None) -> None:
        """The same, from now."""
        self._number = number = self._number + 1
        heappush(self._heap, (self.now_ns + delay_ns, number, happening, argument))

    def run(self, until_ns: int) -> None:
        """Everything that is due up to then."""
        heap = self._heap
        while heap and heap[0][0] <= until_ns:
            self.now_ns, _, happening, argument = heappop(heap)
            happening(argument)
        self.now_ns = until_ns
