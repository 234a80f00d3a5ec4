"""The production source of chance. One rule: everything comes from the kernel, so that tokens cannot be
guessed."""

import os
from random import SystemRandom


class RealRandom:
    """Draws from the kernel's generator; it has no seed and no state."""

    __slots__ = ("_source",)

    def __init__(self) -> None:
        self._source = SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high]."""
        return self._source.uniform(low, high)

    def below(self, bound: int) -> int:
        """An integer in [0, bound). ValueError unless ``bound`` is positive."""
        return self._source.randrange(bound)

    def token(self, size: int) -> bytes:
        """``size`` unguessable bytes."""
        return os.urandom(size)
