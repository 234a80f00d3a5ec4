"""When deliveries were chosen: what is under way for long was decided long ago.

One rule: a delivery's choice is its ``chosen_ns``, else that of the event with its lease, else the moment
from which its client waited for it.
"""

from haqactor.sim.watch.history import Op
from haqactor.sim.watch.observed import Chosen, Event


class Choices:
    """Tell it of every ``Chosen``."""

    def __init__(self) -> None:
        # uid (0: the first of any), term, counter, seq
        self._chosen: dict[tuple[int, int, int, int], int] = {}

    def hear(self, event: Event) -> None:
        """A choice."""
        if isinstance(event, Chosen):
            for low, high in event.ranges:
                for seq in range(low, high + 1):
                    self._chosen[event.uid, event.term, event.counter, seq] = event.at_ns
                    self._chosen.setdefault((0, event.term, event.counter, seq), event.at_ns)

    def chosen_ns(self, op: Op) -> int:
        """Of a delivery."""
        out = op.out
        known: int | None = out.get("chosen_ns")
        if known is None and "counter" in out:
            known = self._chosen.get((out.get("uid", 0), out["term"], out["counter"], out["seq"]))
        return op.invoked_ns if known is None else known
