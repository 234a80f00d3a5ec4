"""What a link does to bytes: the five modes of one direction, and what comes of several faults at once.

One rule: of all faults that hold a direction the worst one counts, and when the last of them ends it passes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Mode(IntEnum):
    """From harmless to fatal. ``PASS``; ``DELAY``: each piece waits, so the link is slow and narrow;
    ``STALL``: connections are accepted, and nothing is read; ``RESET``: a connection ends with an RST once
    something would pass; ``CUT``: connections are dropped and refused. Datagrams are lost in the last
    three."""

    PASS = 0
    DELAY = 1
    STALL = 2
    RESET = 3
    CUT = 4


@dataclass(frozen=True, slots=True)
class Way:
    """One direction. ``delay_s`` counts for ``DELAY`` alone."""

    mode: Mode = Mode.PASS
    delay_s: float = 0.0


OPEN: Final = Way()


@dataclass(frozen=True, slots=True)
class Condition:
    """Both directions of a link: ``there`` from the one who dials, ``back`` to it."""

    there: Way = OPEN
    back: Way = OPEN


CALM: Final = Condition()


def worst_way(ways: Iterable[Way]) -> Way:
    """The one that counts; of delays the longest."""
    return max(ways, key=lambda way: (way.mode, way.delay_s), default=OPEN)


def worst(conditions: Iterable[Condition]) -> Condition:
    """Both directions for themselves."""
    held = list(conditions)
    return Condition(worst_way(each.there for each in held), worst_way(each.back for each in held))
