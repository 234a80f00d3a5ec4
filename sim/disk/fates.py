"""What becomes of each operation that was not synced when the power went.

One rule: nothing that a real disk could leave behind is impossible, and nothing else is possible: a sector is
whole or untouched.
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from haqactor.sim.keyed import Stream

SECTOR: Final = 512
"""Bytes that a disk writes wholly or not at all."""


class Fate(StrEnum):
    """Of one operation."""

    KEPT = "kept"
    DROPPED = "dropped"
    TORN = "torn"


class Survival(StrEnum):
    """Of all unsynced operations of a file, or of all names. NOTHING, EVERYTHING and TORN: all share that
    fate. PREFIX: those before one moment are kept, the one under way is torn. EACH: every one has its own.
    TORN is never drawn, but asked for; then nothing of several sectors is whole, or not there at all."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    TORN = "torn"
    PREFIX = "prefix"
    EACH = "each"


_SURVIVALS: Final = (Survival.NOTHING, Survival.EVERYTHING, Survival.PREFIX, Survival.EACH, Survival.EACH)
_EACH: Final = (Fate.KEPT, Fate.DROPPED, Fate.TORN)


class Piece(NamedTuple):
    """A part of a write, within one sector."""

    offset: int
    data: bytes


def fates(stream: Stream, count: int, survival: Survival | None = None) -> list[Fate]:
    """The fate of each of ``count`` operations, in their order; how they hang together is drawn, too, unless
    it is given."""
    chosen = stream.choice(_SURVIVALS) if survival is None else survival
    match chosen:
        case Survival.NOTHING:
            return [Fate.DROPPED] * count
        case Survival.EVERYTHING:
            return [Fate.KEPT] * count
        case Survival.TORN:
            return [Fate.TORN] * count
        case Survival.PREFIX:
            whole = stream.randrange(count + 1)
            return ([Fate.KEPT] * whole + [Fate.TORN] + [Fate.DROPPED] * count)[:count]
        case Survival.EACH:
            return [stream.choice(_EACH) for _ in range(count)]


def sectors(offset: int, data: bytes) -> list[Piece]:
    """A write, cut where sectors begin."""
    cuts = [0, *range(SECTOR - offset % SECTOR, len(data), SECTOR), len(data)]
    return [Piece(offset + start, data[start:end]) for start, end in pairwise(cuts) if start < end]


def torn(stream: Stream, offset: int, data: bytes, *, surely: bool = False) -> Sequence[Piece]:
    """The sectors of a write that reached the medium: a beginning of it, or any of them; ``surely``: neither
    all nor none."""
    pieces = sectors(offset, data)
    if surely and len(pieces) > 1:
        missing = stream.randrange(len(pieces))
        there = (missing + 1 + stream.randrange(len(pieces) - 1)) % len(pieces)
        return [
            piece
            for at, piece in enumerate(pieces)
            if at == there or (at != missing and stream.random() < 0.5)
        ]
    if stream.random() < 0.5:
        return pieces[: stream.randrange(len(pieces) + 1)]
    return [piece for piece in pieces if stream.random() < 0.5]
