"""Runs checkers over a world: hands each what it wants to hear, and keeps what they find.

One rule: nothing that a checker raises reaches the world; the first violation of each is kept, and that
checker hears no more.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from haqactor.sim.checkers.checker import Checker, Violation
from haqactor.sim.checkers.final import Final
from haqactor.sim.watch.history import FAIL, History, Op
from haqactor.sim.watch.observed import Event

K = TypeVar("K")
H = TypeVar("H")


class Panel:
    """``violations``: in the order in which they were found. Make the ``history`` with it; look at ``failed``
    to end a world at its first violation, or let ``on_found`` be told of each."""

    def __init__(self, checkers: Iterable[Checker]) -> None:
        self.checkers = list(checkers)
        self.violations: list[Violation] = []
        self.on_found: Callable[[Violation], None] | None = None
        self.history = History(self.on_call, self.on_return)
        self._calls: dict[str, list[tuple[Checker, Callable[[Op], None]]]] = {}
        self._returns: dict[str, list[tuple[Checker, Callable[[Op], None]]]] = {}
        self._events: dict[type[Event], list[tuple[Checker, Callable[[Event], None]]]] = {}
        for checker in self.checkers:
            for kind in checker.calls:
                self._calls.setdefault(kind, []).append((checker, checker.on_call))
            for kind in checker.ops:
                self._returns.setdefault(kind, []).append((checker, checker.on_op))
            for event in checker.events:
                self._events.setdefault(event, []).append((checker, checker.on_event))
        self._deleted: dict[str, int] = {}  # queues, and how many deletions may have happened
        self._finished = False

    @property
    def failed(self) -> bool:
        """Was a promise broken?"""
        return bool(self.violations)

    @property
    def unknown(self) -> dict[str, str]:
        """Invariants that could not be judged, and why."""
        return {checker.invariant: checker.unknown for checker in self.checkers if checker.unknown}

    @property
    def verdict(self) -> str:
        """``pass``, ``fail``, or ``unknown``, which is never green."""
        return "fail" if self.failed else "unknown" if self.unknown or not self._finished else "pass"

    def on_call(self, op: Op) -> None:
        """The history's."""
        if op.kind == "delete":
            self._deleted[op.queue] = self._deleted.get(op.queue, 0) + 1
        for checker, hear in self._calls.get(op.kind, ()):
            try:
                hear(op)
            except Violation as violation:
                self._found(checker, violation)

    def on_return(self, op: Op) -> None:
        """The history's."""
        if op.kind == "delete" and op.outcome == FAIL:
            self._deleted[op.queue] -= 1
        blurred = self._deleted.get(op.queue) and not op.out.get("uid")
        for checker, hear in self._returns.get(op.kind, ()):
            if blurred and checker.by_place:
                continue
            try:
                hear(op)
            except Violation as violation:
                self._found(checker, violation)

    def on_event(self, event: Event) -> None:
        """The observer's."""
        for checker, hear in self._events.get(type(event), ()):
            try:
                hear(event)
            except Violation as violation:
                self._found(checker, violation)

    def finish(self, final: Final) -> list[Violation]:
        """The run is over; all that was found."""
        for checker in list(self.checkers):
            if not any(violation.invariant == checker.invariant for violation in self.violations):
                try:
                    checker.finish(final)
                except Violation as violation:
                    self._found(checker, violation)
        self._finished = True
        return self.violations

    def report(self, violation: Violation) -> None:
        """Somebody else has found it."""
        self.violations.append(violation)
        if self.on_found is not None:
            self.on_found(violation)

    def _found(self, checker: Checker, violation: Violation) -> None:
        self.report(violation)
        # New lists: those at hand are being walked through.
        self._calls = _without(self._calls, checker)
        self._returns = _without(self._returns, checker)
        self._events = _without(self._events, checker)


def _without(table: dict[K, list[tuple[Checker, H]]], checker: Checker) -> dict[K, list[tuple[Checker, H]]]:
    return {key: [row for row in rows if row[0] is not checker] for key, rows in table.items()}
