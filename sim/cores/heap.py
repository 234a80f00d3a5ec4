"""Time: one heap of what is going to happen, in whole nanoseconds.

One rule: what is due at the same instant happens in the order in which it was asked for.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Happening = Callable[[Any], None]


class Timeline:
    """``now_ns``: the true time of the world; hosts have clocks of their own. ``heap`` and ``number`` are
    open to those who push by the thousand: (when, a number of its own, what, its argument)."""

    __slots__ = ("heap", "now_ns", "number")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, Happening, Any]] = []
        self.number = 0
        self.now_ns = 0

    def at(self, at_ns: int, happening: Happening, argument: Any = None) -> None:
        """Let ``happening(argument)`` be called then."""
        self.number = number = self.number + 1
        heappush(self.heap, (at_ns, number, happening, argument))

    def after(self, delay_ns: int, happening: Happening, argument: Any = None) -> None:
        """The same, from now."""
        self.number = number = self.number + 1
        heappush(self.heap, (self.now_ns + delay_ns, number, happening, argument))

    def run(self, until_ns: int) -> None:
        """Everything that is due up to then."""
        heap, pop = self.heap, heappop
        while heap and heap[0][0] <= until_ns:
            self.now_ns, _, happening, argument = pop(heap)
            happening(argument)
        self.now_ns = until_ns
