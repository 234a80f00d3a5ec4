"""What a conformance test may use of the world that it runs in.

One rule: a test knows only this; whoever adds a kind of twins writes one more ``Twins`` and enters it in
``conftest``.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from haqactor.env import Disk, Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One host to test on, and a second one that can reach it (production: the same machine).

    ``host`` is the first one's name without a port, ``other_host`` the second one's; ``nobody`` is an address
    on the first at which nobody listens, ``directory`` an empty directory on its disk. ``same_disk`` gives
    that disk as another process sees it. Within ``failing_syncs`` every sync on it fails.
    """

    env: Environment
    other: Environment
    host: str
    other_host: str
    nobody: str
    directory: str
    same_disk: Callable[[], Disk]
    failing_syncs: Callable[[], AbstractContextManager[None]]


Body = Callable[[World], Awaitable[None]]


class Twins(Protocol):
    """One kind of twins."""

    def run(self, body: Body) -> None:
        """Make a new world, run ``body`` in it to its end, under the trio clock that belongs to it; errors
        come out as they are."""
        ...


def conforms(body: Body) -> Callable[[Twins], None]:
    """Make an async function of a world a test of all twins."""

    def test(twins: Twins) -> None:
        twins.run(body)

    test.__name__ = getattr(body, "__name__", "test")
    test.__doc__ = body.__doc__
    return test
