"""How much a connection is given at once, whatever credit its consumers have.

One rule: credit is a client's word, and may be endless; what is chosen for a connection that does not take it
would be held in memory here. So a turn chooses at most one delivery's worth for each session, and none for
one that has not taken what it got before.
"""

from collections.abc import Callable
from typing import Final

GIVEN_BYTES_MAX: Final = 1024 * 1024
"""For one session in one turn; the batch that reaches it goes as a whole."""


def endless(_session: bytes) -> bool:
    """The default of ``Room(takes=...)``."""
    return True


class Room:
    """Of one term. ``takes``: has this session's connection room now? The shell knows, and says when it has
    again (``Dispatcher.room_again``)."""

    __slots__ = ("_given", "_takes")

    def __init__(self, takes: Callable[[bytes], bool] = endless) -> None:
        self._takes = takes
        self._given: dict[bytes, int] = {}

    def begin(self) -> None:
        """A turn begins."""
        self._given.clear()

    def had_enough(self, session: bytes) -> bool:
        """Did it get its share of this turn? The next turn gives it more."""
        return self._given.get(session, 0) >= GIVEN_BYTES_MAX

    def takes(self, session: bytes) -> bool:
        """Does it take more now? For one that does not, nothing is chosen until the shell says so."""
        return self._takes(session)

    def give(self, session: bytes, size: int) -> None:
        """Bytes were chosen for it."""
        self._given[session] = self._given.get(session, 0) + size
