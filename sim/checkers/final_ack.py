"""S5: a confirmed settlement is final: the message is not chosen for delivery again.

One rule: what counts is the moment at which the leader chose the delivery, not the one at which it arrived:
it may have been under way when the settlement was confirmed.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Place
from haqactor.sim.checkers.lineage import place_of
from haqactor.sim.watch.history import OK, Op
from haqactor.sim.watch.observed import Chosen, Event


class FinalAcknowledgement(Rule):
    """O(1) a record. A delivery's choice is ``chosen_ns``, else that of the event with its lease, else the
    moment from which its client waited for it."""

    name = "a confirmed acknowledgement is final"
    invariant = "S5"
    by_place = True
    ops = ("ack", "reject", "deliver")
    events = (Chosen,)

    def __init__(self) -> None:
        super().__init__()
        self._settled: dict[Place, Op] = {}
        self._chosen: dict[
            tuple[int, int, int, int], int
        ] = {}  # uid (0: the first of any), term, counter, seq

    def on_op(self, op: Op) -> None:
        """A settlement or a delivery."""
        if op.kind != "deliver":
            if op.outcome == OK:
                self._settled.setdefault(place_of(op), op)
            return
        settled = self._settled.get(place_of(op))
        if settled is not None and settled.returned_ns is not None:
            chosen_ns = self._chosen_ns(op)
            if chosen_ns > settled.returned_ns:
                text = f"{settled.kind} was confirmed, and the message chosen for delivery again"
                raise self.broken(f"{text} at {chosen_ns / 1e9:.6f}", settled, op)

    def on_event(self, event: Event) -> None:
        """A choice."""
        if isinstance(event, Chosen):
            for low, high in event.ranges:
                for seq in range(low, high + 1):
                    self._chosen[event.uid, event.term, event.counter, seq] = event.at_ns
                    self._chosen.setdefault((0, event.term, event.counter, seq), event.at_ns)

    def _chosen_ns(self, op: Op) -> int:
        out = op.out
        known: int | None = out.get("chosen_ns")
        if known is None and "counter" in out:
            known = self._chosen.get((out.get("uid", 0), out["term"], out["counter"], out["seq"]))
        return op.invoked_ns if known is None else known
