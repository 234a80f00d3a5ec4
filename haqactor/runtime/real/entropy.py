"""The production source of chance. One rule: tokens come from the kernel, so that they cannot be guessed;
waits and picks, which need only differ, from a generator that the kernel has seeded.
"""

import os
from random import Random


class RealRandom:
    """Chance for one node."""

    __slots__ = ("_source",)

    def __init__(self) -> None:
        self._source = Random(os.urandom(32))

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high]."""
        return self._source.uniform(low, high)

    def below(self, bound: int) -> int:
        """An integer in [0, bound). ValueError unless ``bound`` is positive."""
        return self._source.randrange(bound)

    def token(self, size: int) -> bytes:
        """``size`` unguessable bytes."""
        return os.urandom(size)
