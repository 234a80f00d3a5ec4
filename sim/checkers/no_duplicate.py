"""S4: a message is stored once, however often its producer tries.

One rule: attempts with the same number of the same producer are one message; all others are different ones.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Final, Place
from haqactor.sim.checkers.lineage import Lineage, place_of
from haqactor.sim.watch.history import OK, Op

Message = tuple[object, ...]


class NoDuplicate(Rule):
    """O(1) a record."""

    name = "no duplicate stored within the window"
    invariant = "S4"
    by_place = True
    calls = ("publish", "declare")
    ops = ("publish", "deliver", "declare")

    def __init__(self) -> None:
        super().__init__()
        self._attempts: dict[tuple[str, bytes | None], dict[Message, None]] = {}
        self._receipts: dict[tuple[str, int, str, int], Op] = {}
        self._places: dict[tuple[str, bytes | None], dict[Place, Op]] = {}
        self._lineage = Lineage()

    def on_call(self, op: Op) -> None:
        """An attempt."""
        if op.kind == "declare":
            self._lineage.hear(op)
        else:
            key = (op.queue, op.value)
            known = self._attempts.get(key)
            if known is None:
                known = self._attempts[key] = {}
            known[_message(op)] = None

    def on_op(self, op: Op) -> None:
        """A receipt or a delivery."""
        if op.kind == "declare":
            self._lineage.hear(op)
        elif op.kind == "publish":
            if "producer_seq" in op.out:
                known = self._attempts[op.queue, op.value]
                known.pop((op.i,), None)
                known[_message(op)] = None
                if op.outcome == OK and "producer" in op.out:
                    self._receipt(op)
        else:
            key = (op.queue, op.value)
            places = self._places.get(key)
            if places is None:
                places = self._places[key] = {}
            places[place_of(op)] = op
            if len(places) > 1:
                self._judge(op.queue, op.value)

    def finish(self, final: Final) -> None:
        """Some attempts have turned out to be the same message since."""
        for (queue, value), places in self._places.items():
            if len(places) > 1:
                self._judge(queue, value)

    def _receipt(self, op: Op) -> None:
        out = op.out
        key = (op.queue, out.get("uid", 0), out["producer"], out["producer_seq"])
        first = self._receipts.setdefault(key, op)
        if first.out["seq"] != out["seq"]:
            raise self.broken("one message has two places", first, op)

    def _judge(self, queue: str, value: bytes | None) -> None:
        places = self._places[queue, value]
        attempts = sum(
            len(self._attempts.get((origin, value), ())) for origin in self._lineage.origins(queue)
        )
        if 0 < attempts < len(places):
            text = f"published {attempts} time(s), stored at {len(places)} places"
            raise self.broken(text, *list(places.values())[-2:])


def _message(op: Op) -> Message:
    out = op.out
    if "producer" in out and "producer_seq" in out:
        return out["producer"], out["producer_seq"]
    return (op.i,)
