"""S18: what a client sees never goes back, and holds what it was confirmed.

One rule: an answer is compared with what its client had been told before it asked; requests under way
together are in no order.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.history import OK, Op

View = tuple[int, int, int]  # uid, first_seq, next_seq
_NOTHING: View = (0, 0, 0)


class MonotoneViews(Rule):
    """O(1) a record."""

    name = "a client's view never goes back"
    invariant = "S18"
    by_place = True
    calls = ("info",)
    ops = ("publish", "info")

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[View, Op | None]] = {}
        self._asked: dict[int, tuple[View, Op | None]] = {}

    def on_call(self, op: Op) -> None:
        """What it knows when it asks is the least that it may be told."""
        self._asked[op.i] = self._seen.get((op.client, op.queue), (_NOTHING, None))

    def on_op(self, op: Op) -> None:
        """What it was told."""
        out = op.out
        if op.kind == "publish":
            if op.outcome == OK and "seq" in out:
                self._learn(op, (out.get("uid", 0), 0, out["seq"] + 1))
            return
        (uid, first, following), source = self._asked.pop(op.i)
        if op.outcome != OK:
            return
        view: View = (out.get("uid", 0), out.get("first_seq", 0), out.get("next_seq", 0))
        told = [op] if source is None else [source, op]
        if view[0] < uid:
            raise self.broken("an older incarnation of the queue is seen again", *told)
        if view[0] == uid and (view[1] < first or view[2] < following):
            raise self.broken(f"the queue went from {first}..{following} to {view[1]}..{view[2]}", *told)
        self._learn(op, view)

    def _learn(self, op: Op, view: View) -> None:
        key = (op.client, op.queue)
        known = self._seen.get(key, (_NOTHING, None))[0]
        if view[0] == known[0]:
            view = (known[0], max(known[1], view[1]), max(known[2], view[2]))
        if view[0] >= known[0] and view != known:
            self._seen[key] = (view, op)
