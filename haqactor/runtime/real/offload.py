"""CPU work on threads. One rule: only as many at once as there are cores, for more would only take turns."""

import os
from collections.abc import Callable
from typing import Final, TypeVar

import trio

T = TypeVar("T")

INLINE_BELOW: Final = 16_384
"""Bytes of work below which a thread's round trip (about 70 us) costs more than the work itself."""


class RealOffload:
    """Runs functions that release the GIL (zstd, large CRCs) on trio's cached threads."""

    __slots__ = ("_limiter",)

    def __init__(self, threads: int | None = None) -> None:
        self._limiter = trio.CapacityLimiter(threads or os.cpu_count() or 1)

    async def run(self, function: Callable[[], T], *, cost_bytes: int = 0) -> T:
        """What ``function`` returns or raises. Work known to be tiny runs here, after a checkpoint; a size
        of 0 is unknown and runs on a thread. A cancelled caller waits for the function to end."""
        if 0 < cost_bytes < INLINE_BELOW:
            await trio.lowlevel.checkpoint()
            return function()
        return await trio.to_thread.run_sync(function, limiter=self._limiter)
