"""The world that a program lives in, where it is not the real one: ``haqactor.testing`` puts simulated
programs into theirs, and ``connect``, ``open_broker`` and ``open_node`` find it.

One rule: nothing in production sets it, and whoever set it hears of every session that is opened in it.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from haqactor.client.broker import Broker
from haqactor.env import Environment


class Surroundings(Protocol):
    """What a program finds around it."""

    @property
    def environment(self) -> Environment:
        """One for the whole life of the program."""
        ...

    @property
    def log(self) -> Any:
        """A structlog logger."""
        ...

    def addresses(self, asked: Sequence[str]) -> Sequence[str]:
        """Where to connect instead of where a URL says."""
        ...

    def opened(self, broker: Broker, *, embedded: bool) -> None:
        """A session was opened, and the program has not seen it yet. ``embedded``: with a node of the
        program's own."""
        ...


_around: ContextVar[Surroundings | None] = ContextVar("surroundings", default=None)


def surroundings() -> Surroundings | None:
    """Those of the calling task; None: the real world."""
    return _around.get()


@contextmanager
def within(place: Surroundings) -> Generator[None]:
    """Everything that is begun in the block, and tasks begun there, live in ``place``."""
    token = _around.set(place)
    try:
        yield
    finally:
        _around.reset(token)
