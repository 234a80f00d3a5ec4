"""S6: what was delivered and not settled is delivered again, or still held.

One rule: a settlement that may have happened settles; without any, the last delivery of a message must not be
the last that is heard of it.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.choices import Choices
from haqactor.sim.checkers.final import Final, Place
from haqactor.sim.checkers.lineage import Lineage, Removals, place_of
from haqactor.sim.watch.history import FAIL, Kind, Op
from haqactor.sim.watch.observed import Chosen, Event

_SHOWN = 5
_SETTLING: tuple[Kind, ...] = ("ack", "reject")


class Redelivery(Rule):
    """Judged at the end, O(n)."""

    name = "unacknowledged is delivered again"
    invariant = "S6"
    calls = ("declare", *_SETTLING, *Removals.KINDS)
    ops = ("deliver", "declare", *_SETTLING, *Removals.KINDS)
    events = (Chosen,)

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[Place, Op] = {}
        self._settling: dict[Place, int] = {}  # settlements that may count
        self._dead: dict[bytes | None, None] = {}
        self._lineage = Lineage()
        self._removals = Removals()
        self._choices = Choices()

    def on_event(self, event: Event) -> None:
        """A delivery may be under way while its message is taken away."""
        self._choices.hear(event)

    def on_call(self, op: Op) -> None:
        """It may count from now on."""
        if op.kind in _SETTLING:
            place = place_of(op)
            self._settling[place] = self._settling.get(place, 0) + 1
        elif op.kind == "declare":
            self._lineage.hear(op)
        else:
            self._removals.begun(op)

    def on_op(self, op: Op) -> None:
        """Something ended."""
        if op.kind == "deliver":
            self._last[place_of(op)] = op
            if not self._lineage.is_plain(op.queue):
                self._dead[op.value] = None
        elif op.kind in _SETTLING:
            if op.outcome == FAIL:
                self._settling[place_of(op)] -= 1
        elif op.kind == "declare":
            self._lineage.hear(op)
        else:
            self._removals.ended(op)

    def finish(self, final: Final) -> None:
        """Look for what fell through."""
        remaining = final.remaining
        open_ = [
            op
            for place, op in self._last.items()
            if not self._settling.get(place)
            and not (op.value in self._dead and self._lineage.is_plain(op.queue))
            and self._choices.chosen_ns(op) > self._removals.until_ns(op.queue)
        ]
        if remaining is None:
            if open_:
                self.unknown = f"{len(open_)} deliveries were not settled, and the queues could not be read"
            return
        values = {value: None for _state, value in remaining.values()}
        gone = [op for op in open_ if place_of(op) not in remaining and op.value not in values]
        if gone:
            text = f"{len(gone)} messages were delivered, never settled, and never came again"
            raise self.broken(text, *gone[:_SHOWN])
