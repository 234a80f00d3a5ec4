"""How a write reaches the medium without stopping the loop: the candidates behind one interface.

One rule: ``write_and_sync`` returns only when the bytes are durable, and any other end is an exception; it
cannot be cancelled while it works. The measurements that chose the default stand in
``docs/adr/0003-how-the-journal-syncs.md``.
"""

import os
import queue
import threading
import time
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

import outcome
import trio

from haqactor.env import Buffer
from haqactor.runtime.real.fd import write_all

Sync = Literal["process", "thread", "yield", "inline"]
"""``process``: a helper process syncs. ``thread``: a thread writes and syncs. ``yield``: the same, and the
loop pauses for a moment in each turn. ``inline``: the loop itself blocks."""


class Syncer(Protocol):
    """Writes to one file at a time, for one task at a time, and syncs it."""

    async def write_and_sync(self, fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write and make durable. OSError or any other exception: the outcome is unknown. The caller shields
        it from cancellation."""
        ...

    def release(self, fd: int) -> None:
        """The file is about to be closed: forget its descriptor."""
        ...

    def close(self) -> None:
        """End for good."""
        ...


class _Job(NamedTuple):
    token: trio.lowlevel.TrioToken
    task: trio.lowlevel.Task
    fd: int
    offset: int
    buffers: Sequence[Buffer]


def _never_abort(_raise_cancel: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


class ThreadSyncer:
    """One thread that lives as long as this object: handing over costs half of what ``trio.to_thread``
    does."""

    __slots__ = ("_jobs",)

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._jobs,), name="haqactor-sync", daemon=True).start()

    async def write_and_sync(self, fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """Hand the work to the thread and wait for it, whatever happens."""
        task = trio.lowlevel.current_task()
        self._jobs.put(_Job(trio.lowlevel.current_trio_token(), task, fd, offset, buffers))
        await trio.lowlevel.wait_task_rescheduled(_never_abort)

    def release(self, fd: int) -> None:
        """The thread keeps no descriptor."""

    def close(self) -> None:
        """Let the thread end."""
        self._jobs.put(None)


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        result = outcome.capture(_write_and_sync, job.fd, job.offset, job.buffers)
        job.token.run_sync_soon(trio.lowlevel.reschedule, job.task, result)


def _write_and_sync(fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
    write_all(fd, offset, buffers)
    os.fdatasync(fd)


class _Pause(trio.abc.Instrument):
    """Sleeps for a moment before each look at the sockets, so that a waiting thread gets the GIL."""

    SECONDS: Final = 1e-6

    def before_io_wait(self, timeout: float) -> None:
        """Let go of the GIL for longer than a wake-up takes."""
        if timeout <= 0:
            time.sleep(self.SECONDS)


class YieldSyncer(ThreadSyncer):
    """A thread, for which the loop makes way as long as a sync is outstanding."""

    __slots__ = ("_pause",)

    def __init__(self) -> None:
        super().__init__()
        self._pause = _Pause()

    async def write_and_sync(self, fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """As the thread does it, with the pause switched on meanwhile."""
        trio.lowlevel.add_instrument(self._pause)
        try:
            await super().write_and_sync(fd, offset, buffers)
        finally:
            trio.lowlevel.remove_instrument(self._pause)


class InlineSyncer:
    """Blocks the loop: the least work in all, and everybody else waits for the disk."""

    __slots__ = ()

    async def write_and_sync(self, fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write and sync here and now."""
        _write_and_sync(fd, offset, buffers)
        await trio.lowlevel.cancel_shielded_checkpoint()

    def release(self, fd: int) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is kept."""
