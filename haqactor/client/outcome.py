"""One result that is not there yet: what the core resolves and a task of the shell waits for.

One rule: an outcome is decided once; later answers are ignored. The core only ever calls ``Signal.set``.
"""

from copy import copy
from typing import Generic, Protocol, TypeVar, cast

from haqactor.errors import Error

T = TypeVar("T")


class Wake(Protocol):
    """What lets a task of the shell go on."""

    def set(self) -> object: ...


class Signal(Wake, Protocol):
    """What any number of them may wait for; ``trio.Event`` is one."""

    async def wait(self) -> None: ...


class Outcome(Generic[T]):
    """A value or an error, once."""

    __slots__ = ("_value", "done", "error", "signal")

    def __init__(self) -> None:
        self.done = False
        self.error: Error | None = None
        self.signal: Signal | None = None
        self._value: T | None = None

    def resolve(self, value: T) -> None:
        """It is ``value``, unless it was decided before."""
        if not self.done:
            self._value = value
            self._finish()

    def fail(self, error: Error) -> None:
        """It is ``error``, unless it was decided before."""
        if not self.done:
            self.error = error
            self._finish()

    def _finish(self) -> None:
        self.done = True
        if self.signal is not None:
            self.signal.set()

    def get(self) -> T:
        """The value; raises a copy of the error (several tasks may wait for one outcome)."""
        if self.error is not None:
            raise copy(self.error)
        return cast("T", self._value)
