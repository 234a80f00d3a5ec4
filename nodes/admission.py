"""Who may begin with what holds much memory while it lasts.

One rule: a few at once, a bounded line behind them; whoever finds that full is refused.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


class Admission:
    """Places for ``at_once``, and a line of ``waiting_max``."""

    def __init__(self, at_once: int, waiting_max: int) -> None:
        self._limiter = trio.CapacityLimiter(at_once)
        self._most = at_once + waiting_max
        self._count = 0

    def ask(self) -> bool:
        """Join the line, unless it is full; whoever did takes its ``place``, once."""
        if self._count >= self._most:
            return False
        self._count += 1
        return True

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None, None]:
        """In the order of coming."""
        try:
            async with self._limiter:
                yield
        finally:
            self._count -= 1
