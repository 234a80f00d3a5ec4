"""What a checker is: one promise, watched while a run goes on and judged once more at its end.

One rule: a checker raises ``Violation`` at the first record that contradicts its promise, with the records
that do; it never alarms at what is only unknown.

To add one: a class with a ``name``, an ``invariant`` and what it wants to hear of, in a module of its own; a
row in ``registry``; and rows of good and bad histories in the tests, for a checker that cannot fail is a
defect.
"""

from typing import Protocol

from haqactor.sim.checkers.final import Final
from haqactor.sim.watch.history import Kind, Op
from haqactor.sim.watch.observed import Event

Record = Op | Event


class Violation(Exception):
    """A promise was broken. ``invariant`` is its number, such as ``S1``; ``records`` contradict each
    other."""

    def __init__(self, invariant: str, text: str, *records: Record) -> None:
        super().__init__(invariant, text, *records)
        self.invariant = invariant
        self.text = text
        self.records = records

    def __str__(self) -> str:
        return "\n  ".join([f"{self.invariant}: {self.text}", *map(str, self.records)])


class Checker(Protocol):
    """``calls`` and ``ops``: the kinds of operations whose beginnings and ends it hears of; ``events``: the
    types of events. ``by_place``: it takes places for messages, so it does not hear of ends that do not name
    the incarnation of a queue that may have been deleted. ``unknown``: why it could not tell, once it has
    finished. Each hearing is O(1), ``finish`` O(n log n) at most."""

    @property
    def name(self) -> str: ...
    @property
    def invariant(self) -> str: ...
    @property
    def calls(self) -> tuple[Kind, ...]: ...
    @property
    def ops(self) -> tuple[Kind, ...]: ...
    @property
    def events(self) -> tuple[type[Event], ...]: ...
    @property
    def by_place(self) -> bool: ...
    @property
    def unknown(self) -> str: ...

    def on_call(self, op: Op) -> None:
        """An operation begins."""
        ...

    def on_op(self, op: Op) -> None:
        """An operation returned. Raises Violation."""
        ...

    def on_event(self, event: Event) -> None:
        """Something happened inside. Raises Violation."""
        ...

    def finish(self, final: Final) -> None:
        """The run is over. Raises Violation."""
        ...


class Rule:
    """A checker that hears nothing: the base of those that are. ``unknown``: why it could not tell, once it
    has finished; "" if it could."""

    name: str = ""
    invariant: str = ""
    calls: tuple[Kind, ...] = ()
    ops: tuple[Kind, ...] = ()
    events: tuple[type[Event], ...] = ()
    by_place: bool = False

    def __init__(self) -> None:
        self.unknown = ""

    def on_call(self, op: Op) -> None:
        """See ``Checker``."""

    def on_op(self, op: Op) -> None:
        """See ``Checker``."""

    def on_event(self, event: Event) -> None:
        """See ``Checker``."""

    def finish(self, final: Final) -> None:
        """See ``Checker``."""

    def broken(self, text: str, *records: Record) -> Violation:
        """To be raised."""
        return Violation(self.invariant, text, *records)
