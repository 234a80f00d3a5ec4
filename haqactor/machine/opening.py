"""When a new leader may deliver from a queue: after those who may hold leases of an older leader have spoken.

One rule: nothing is leased while a holder that the log names is silent, unless the grace is over. What nobody
claimed is then returned by a logged entry that charges no attempt, and the queue is open once that has
applied.
"""

from collections.abc import Callable
from enum import Enum

from haqactor.machine.commands import Range
from haqactor.machine.leases import Key


class Stage(Enum):
    """How far the opening is."""

    WAITING = "waiting"
    RETURNING = "returning"
    OPEN = "open"


class Opening:
    """One queue's opening in one term. ``silent``: holders not heard of yet."""

    __slots__ = ("deadline_ns", "returned", "silent", "stage")

    def __init__(self, holders: list[Key], deadline_ns: int, died: Callable[[bytes], bool]) -> None:
        self.silent: dict[Key, bool] = {key: True for key in holders if not died(key[0])}
        self.deadline_ns = deadline_ns
        self.stage = Stage.WAITING if holders else Stage.OPEN
        self.returned: tuple[Range, ...] = ()  #: what the return that opens the queue names

    @property
    def open(self) -> bool:
        """May messages be leased?"""
        return self.stage is Stage.OPEN

    @property
    def waiting(self) -> bool:
        """May leases of an older leader still be claimed?"""
        return self.stage is Stage.WAITING

    def heard(self, key: Key) -> None:
        """This holder has re-asserted what it holds, perhaps nothing."""
        self.silent.pop(key, None)

    def closed(self, session: bytes) -> None:
        """This session is over."""
        for key in [key for key in self.silent if key[0] == session]:
            del self.silent[key]

    def due(self, now_ns: int) -> bool:
        """Is the time of claims over?"""
        return self.stage is Stage.WAITING and (not self.silent or now_ns >= self.deadline_ns)

    def begin_return(self, ranges: list[Range]) -> None:
        """The return of what nobody claimed is on its way; without ranges the queue is open at once."""
        self.returned = tuple(ranges)
        self.stage = Stage.RETURNING if ranges else Stage.OPEN

    def applied(self, moved: tuple[Range, ...]) -> bool:
        """Was this the return? Then the queue is open."""
        if self.stage is Stage.RETURNING and moved == self.returned:
            self.stage = Stage.OPEN
            return True
        return False
