"""How a scenario can fail, beside by an error of its own.

One rule: an error of the user's program leaves as itself, with the frames of the program and of nobody else.
"""

from types import TracebackType
from typing import Final

from haqactor.sim.checkers.checker import Violation

_HIDDEN: Final = ("haqactor.testing", "haqactor.client.structured", "trio", "contextlib", "outcome")


class PromiseBroken(AssertionError):
    """A checker found that haqactor did not keep a promise: ``violations``."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("\n".join(str(violation) for violation in violations))
        self.violations = violations


class NodeFailed(AssertionError):
    """A node of the simulated cluster ended by an error: a fault of haqactor, not of the program under
    test."""


class Stuck(AssertionError):
    """The scenario did not end, or the healed cluster did not come to rest, in the time that a run has."""


class Undetermined(AssertionError):
    """The same seed went another way the second time: the program under test asks something outside of the
    world (the real time, ``random``, threads, the order of a set)."""


def single(error: BaseException) -> BaseException:
    """The one error in a group that holds only one, however deep; else the error itself."""
    inner = _inner(error)
    while len(inner) == 1:
        error = inner[0]
        inner = _inner(error)
    return error


def _inner(error: BaseException) -> tuple[BaseException, ...]:
    found: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return found if isinstance(error, BaseExceptionGroup) else ()


def without_our_frames(error: BaseException) -> BaseException:
    """The same error; its traceback shows where the user's code was, and what that called."""
    kept: list[TracebackType] = []
    at = error.__traceback__
    while at is not None:
        if not _is_hidden(str(at.tb_frame.f_globals.get("__name__", ""))):
            kept.append(at)
        at = at.tb_next
    found: TracebackType | None = None
    for frame in reversed(kept):
        found = TracebackType(found, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return error.with_traceback(found)


def _is_hidden(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _HIDDEN)
