"""S3: a publish that failed for certain is never delivered (Adya's aborted read, G1a).

One rule: of equal bodies as many places may be seen as attempts did not fail; so it holds for users' bodies,
too, which need not be unique.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Place
from haqactor.sim.checkers.lineage import Lineage, place_of
from haqactor.sim.watch.history import FAIL, Op


class NoAbortedDelivery(Rule):
    """O(1) a record."""

    name = "no failed publish delivered"
    invariant = "S3"
    calls = ("publish", "declare")
    ops = ("publish", "deliver", "declare")

    def __init__(self) -> None:
        super().__init__()
        self._live: dict[tuple[str, bytes | None], int] = {}
        self._failed: dict[bytes | None, Op] = {}
        self._places: dict[tuple[str, bytes | None], dict[Place, Op]] = {}
        self._lineage = Lineage()

    def on_call(self, op: Op) -> None:
        """An attempt."""
        if op.kind == "declare":
            self._lineage.hear(op)
        else:
            key = (op.queue, op.value)
            self._live[key] = self._live.get(key, 0) + 1

    def on_op(self, op: Op) -> None:
        """A delivery, or a failure that comes to be known."""
        if op.kind == "declare":
            self._lineage.hear(op)
        elif op.kind == "publish":
            if op.outcome == FAIL:
                self._live[op.queue, op.value] -= 1
                self._failed[op.value] = op
                for queue in self._lineage.targets(op.queue):
                    self._judge(queue, op)
        else:
            key = (op.queue, op.value)
            known = self._places.get(key)
            if known is None:
                known = self._places[key] = {}
            known[place_of(op)] = op
            if op.value in self._failed:
                self._judge(op.queue, op)

    def _judge(self, queue: str, op: Op) -> None:
        places = self._places.get((queue, op.value))
        if places:
            origins = self._lineage.origins(queue)
            live = sum(self._live.get((origin, op.value), 0) for origin in origins)
            if len(places) > live:
                failed = self._failed[op.value]
                raise self.broken(
                    "a publish failed, and was delivered all the same",
                    failed,
                    next(reversed(places.values())),
                )
