"""S5: a confirmed settlement is final: the message is not chosen for delivery again.

One rule: what counts is the moment at which the leader chose the delivery, not the one at which it arrived:
it may have been under way when the settlement was confirmed.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.choices import Choices
from haqactor.sim.checkers.final import Place
from haqactor.sim.checkers.lineage import place_of
from haqactor.sim.watch.history import OK, Op
from haqactor.sim.watch.observed import Chosen, Event


class FinalAcknowledgement(Rule):
    """O(1) a record; see ``Choices`` for the moment that counts."""

    name = "a confirmed acknowledgement is final"
    invariant = "S5"
    by_place = True
    ops = ("ack", "reject", "deliver")
    events = (Chosen,)

    def __init__(self) -> None:
        super().__init__()
        self._settled: dict[Place, Op] = {}
        self._choices = Choices()

    def on_op(self, op: Op) -> None:
        """A settlement or a delivery."""
        if op.kind != "deliver":
            if op.outcome == OK:
                self._settled.setdefault(place_of(op), op)
            return
        settled = self._settled.get(place_of(op))
        if settled is not None and settled.returned_ns is not None:
            chosen_ns = self._choices.chosen_ns(op)
            if chosen_ns > settled.returned_ns:
                text = f"{settled.kind} was confirmed, and the message chosen for delivery again"
                raise self.broken(f"{text} at {chosen_ns / 1e9:.6f}", settled, op)

    def on_event(self, event: Event) -> None:
        """A choice."""
        self._choices.hear(event)
