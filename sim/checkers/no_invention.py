"""S2: nothing is delivered that nobody published there, byte for byte.

One rule: an attempt counts from its call on, whatever became of it.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.lineage import Lineage
from haqactor.sim.watch.history import Op


class NothingInvented(Rule):
    """O(1) a delivery."""

    name = "nothing invented"
    invariant = "S2"
    calls = ("publish", "declare")
    ops = ("deliver", "declare")

    def __init__(self) -> None:
        super().__init__()
        self._attempted: dict[str, dict[bytes | None, None]] = {}
        self._lineage = Lineage()

    def on_call(self, op: Op) -> None:
        """An attempt."""
        if op.kind == "declare":
            self._lineage.hear(op)
        else:
            known = self._attempted.get(op.queue)
            if known is None:
                known = self._attempted[op.queue] = {}
            known[op.value] = None

    def on_op(self, op: Op) -> None:
        """A delivery."""
        if op.kind == "declare":
            self._lineage.hear(op)
        elif op.value not in self._attempted.get(op.queue, ()) and not any(
            op.value in self._attempted.get(origin, ()) for origin in self._lineage.origins(op.queue)
        ):
            elsewhere = [queue for queue, known in self._attempted.items() if op.value in known]
            where = f"it was published to {elsewhere[0]}" if elsewhere else "nobody published it"
            raise self.broken(f"a message was delivered from {op.queue}, but {where}", op)
