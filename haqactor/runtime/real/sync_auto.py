"""Syncs by the way that suits the moment: in a thread while the journal is calm, in the helper process while
one write follows the other.

One rule: a loop that may be busy is never waited for with a thread.

A thread has the shorter way (no other process is to be woken), but starves beside a saturated loop, which is
one whose journal writes without a pause. ADR 0025 has the measurements.
"""

import time
from collections.abc import Sequence
from typing import Final

from haqactor.env import Buffer
from haqactor.runtime.real.sync_process import ProcessSyncer
from haqactor.runtime.real.syncing import ThreadSyncer

CALM_S: Final = 0.003
"""So long after the end of the last write, the loop has had nothing to write meanwhile."""


class AutoSyncer:
    """One helper process and one thread."""

    __slots__ = ("_ended", "_process", "_thread")

    def __init__(self, process: ProcessSyncer) -> None:
        self._process = process
        self._thread = ThreadSyncer()
        self._ended = time.monotonic()

    @property
    def pid(self) -> int:
        """The helper's process id."""
        return self._process.pid

    @property
    def broken(self) -> bool:
        """Whether the helper failed, and this one can only be closed."""
        return self._process.broken

    async def write_and_sync(self, fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write and sync, one way or the other. Called shielded."""
        calm = time.monotonic() - self._ended >= CALM_S
        try:
            if calm:
                await self._thread.write_and_sync(fd, offset, buffers)
            else:
                await self._process.write_and_sync(fd, offset, buffers)
        finally:
            self._ended = time.monotonic()

    def release(self, fd: int) -> None:
        """Let the helper close the file, if it is the one that it keeps."""
        self._process.release(fd)

    def close(self) -> None:
        """End both."""
        self._thread.close()
        self._process.close()
