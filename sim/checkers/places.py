"""S9: a place in a queue names one message, for ever.

One rule: every receipt and every delivery of a place agree on the body, and every receipt on the producer's
number, too.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Place
from haqactor.sim.checkers.lineage import place_of
from haqactor.sim.watch.history import OK, Op


class UniquePlaces(Rule):
    """O(1) a record."""

    name = "(queue, seq) names one message for ever"
    invariant = "S9"
    by_place = True
    ops = ("publish", "deliver")

    def __init__(self) -> None:
        super().__init__()
        self._bodies: dict[Place, Op] = {}
        self._owners: dict[Place, Op] = {}

    def on_op(self, op: Op) -> None:
        """A receipt or a delivery."""
        if op.outcome != OK or "seq" not in op.out:
            return
        place = place_of(op)
        known = self._bodies.setdefault(place, op)
        if known.value != op.value:
            raise self.broken(f"place {place[2]} of {op.queue} names two messages", known, op)
        if op.kind == "publish" and "producer_seq" in op.out:
            owner = self._owners.setdefault(place, op)
            if _number(owner) != _number(op):
                raise self.broken(f"place {place[2]} of {op.queue} was confirmed to two messages", owner, op)


def _number(op: Op) -> tuple[object, object]:
    return op.out.get("producer"), op.out["producer_seq"]
