"""Chance for everything that draws: a stream of its own for each link, disk, host and client, from one seed.

One rule: a stream depends on the seed and its key alone, so that taking one fault or one client away leaves
every other draw as it was.
"""

from hashlib import blake2b
from random import Random
from typing import Any, TypeAlias

Stream: TypeAlias = Random
"""A stream of draws."""


def keyed(seed: int, *key: str | int) -> Stream:
    """The stream of ``key``."""
    text = "\x1f".join([str(seed), *(f"{type(part).__name__}:{part}" for part in key)])
    return Random(int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big"))


class HostRandom:
    """``env.Random`` over a stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high]."""
        return low + (high - low) * self._stream.random()

    def below(self, bound: int) -> int:
        """An integer in [0, bound)."""
        return self._stream.randrange(bound)

    def token(self, size: int) -> bytes:
        """``size`` bytes."""
        return self._stream.randbytes(size)


class SeededOrder:
    """Tasks that are ready run in an order drawn from a stream."""

    __slots__ = ("_draw",)

    def __init__(self, stream: Stream) -> None:
        self._draw = stream.random

    def shuffle(self, batch: list[Any]) -> None:
        """Draw an order (Fisher and Yates)."""
        draw = self._draw
        for last in range(len(batch) - 1, 0, -1):
            other = int(draw() * (last + 1))
            batch[last], batch[other] = batch[other], batch[last]


class OldestFirst:
    """Tasks that are ready run in the order of their ages: the plainest schedule, for shrinking."""

    __slots__ = ()

    def shuffle(self, batch: list[Any]) -> None:
        """The last one runs first."""
        batch.reverse()
