"""S7: first deliveries keep each producer's order.

One rule, in two halves: messages are stored in the order of their producer's numbers, and first chosen for
delivery in the order in which they are stored. Arrivals are not compared: two consumers may be reached in any
order, and what was chosen first may be lost on its way.
"""

from itertools import pairwise

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Final
from haqactor.sim.watch.history import OK, Op
from haqactor.sim.watch.observed import Chosen, Event

Stream = tuple[str, int, str]  # queue, uid, producer


class ProducerOrder(Rule):
    """O(1) a choice; receipts, which come in any order, are sorted at the end."""

    name = "first deliveries in each producer's order"
    invariant = "S7"
    by_place = True
    ops = ("publish",)
    events = (Chosen,)

    def __init__(self) -> None:
        super().__init__()
        self._stored: dict[Stream, list[Op]] = {}
        self._chosen: dict[tuple[int, int], dict[int, None]] = {}
        self._highest: dict[tuple[int, int], tuple[int, Chosen]] = {}

    def on_op(self, op: Op) -> None:
        """A receipt."""
        out = op.out
        if op.outcome == OK and "producer" in out and "producer_seq" in out:
            key = (op.queue, out.get("uid", 0), out["producer"])
            known = self._stored.get(key)
            if known is None:
                known = self._stored[key] = []
            known.append(op)

    def on_event(self, event: Event) -> None:
        """A choice."""
        if not isinstance(event, Chosen):
            return
        key = (event.group, event.uid)
        ever = self._chosen.setdefault(key, {})
        highest, before = self._highest.get(key, (0, event))
        fresh = [seq for low, high in event.ranges for seq in range(low, high + 1) if seq not in ever]
        if not fresh:
            return
        if min(fresh) < highest:
            text = f"message {highest} of queue {event.uid} was chosen before message {min(fresh)} ever was"
            raise self.broken(text, before, event)
        for seq in fresh:
            ever[seq] = None
        self._highest[key] = (max(fresh), event)

    def finish(self, final: Final) -> None:
        """Were they stored in order?"""
        for ops in self._stored.values():
            ops.sort(key=lambda op: (op.out["producer_seq"], op.i))
            for before, after in pairwise(ops):
                numbers = before.out["producer_seq"], after.out["producer_seq"]
                if numbers[0] < numbers[1] and before.out["seq"] >= after.out["seq"]:
                    raise self.broken(
                        "a producer's later message stands before an earlier one", before, after
                    )
