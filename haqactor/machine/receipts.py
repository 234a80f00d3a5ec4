"""What leases gave up by nacks, rejects and releases of their own, for whoever says so again.

One rule: a receipt says that it was accepted, not that it has applied: a repeat is answered behind the first
copy, in the log's order, and changes nothing by itself.

A client whose connection broke cannot know whether its settlement arrived. Like leases, receipts live one
term: the next leader has none, and refuses what it does not know to be held.
"""

from collections import OrderedDict
from enum import IntEnum
from typing import Final, TypeAlias

from haqactor.machine.commands import Range
from haqactor.machine.intervals import IntervalSet
from haqactor.machine.leases import Key, LeaseId

RECEIPTS_MAX: Final = 4096
"""Of all queues of a group; beyond them the oldest go."""


class Verdict(IntEnum):
    """How messages were given up."""

    NACK = 1
    REJECT = 2
    RELEASE = 3


Name: TypeAlias = tuple[int, Key, LeaseId, Verdict]
"""Queue, consumer, its lease, and the verdict."""


class Receipts:
    """The last ones of a group."""

    __slots__ = ("_given",)

    def __init__(self) -> None:
        self._given: OrderedDict[Name, IntervalSet] = OrderedDict()

    def __len__(self) -> int:
        return len(self._given)

    def add(self, name: Name, ranges: list[Range]) -> None:
        """These were accepted."""
        given = self._given.get(name)
        if given is None:
            given = self._given[name] = IntervalSet()
        for low, high in ranges:
            given.add(low, high)
        self._given.move_to_end(name)
        if len(self._given) > RECEIPTS_MAX:
            self._given.popitem(last=False)

    def within(self, name: Name, low: int, high: int) -> list[Range]:
        """Those of ``low..high`` that were accepted before."""
        given = self._given.get(name)
        return [] if given is None else given.within(low, high)
