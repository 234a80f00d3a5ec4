"""An open file. One rule: after a sync that failed, or a durable write whose end is unknown, it refuses for
ever.

The kernel marks pages clean whose write-back failed, so that a second sync would succeed and lie (fsyncgate).
"""

import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import trio

from haqactor.env import Buffer, DiskError
from haqactor.runtime.real.fd import disk_error, read_all, read_if_cached, write_all
from haqactor.runtime.real.syncing import Syncer

T = TypeVar("T")

CACHED_READ: Final = 262_144
"""Reads up to this many bytes first try the page cache in the loop, which is cheaper than a thread's round
trip."""


class SyncerPool(Protocol):
    """Lends syncers to files."""

    async def borrow(self) -> Syncer:
        """One that nobody else uses. Raises DiskError."""
        ...

    def give_back(self, syncer: Syncer) -> None:
        """It is free again."""
        ...

    def forget(self, fd: int) -> None:
        """Nobody may think of this descriptor any more."""
        ...


class RealFile:
    """A file descriptor, its path for messages, and where it borrows a syncer for each durable write."""

    __slots__ = (
        "_closed",
        "_failure",
        "_fd",
        "_idle",
        "_limiter",
        "_path",
        "_pool",
        "_users",
        "_writing",
    )

    def __init__(self, fd: int, path: str, limiter: trio.CapacityLimiter, pool: SyncerPool) -> None:
        self._fd = fd
        self._path = path
        self._limiter = limiter
        self._pool = pool
        self._failure: str | None = None
        self._closed = False
        self._writing = False
        self._users = 0
        self._idle = trio.Event()

    @property
    def path(self) -> str:
        """The path it was opened with."""
        return self._path

    async def size(self) -> int:
        """Bytes."""
        self._enter("stat")
        try:
            await trio.lowlevel.checkpoint()
            return os.fstat(self._fd).st_size
        except OSError as error:
            raise disk_error(error, "stat", self._path) from error
        finally:
            self._leave()

    async def pread(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; shorter only at the end of the file."""
        if size <= CACHED_READ:
            self._enter("read")
            try:
                await trio.lowlevel.checkpoint()
                cached = read_if_cached(self._fd, offset, size)
            finally:
                self._leave()
            if cached is not None:
                return cached
        return await self._on_thread("read", lambda: read_all(self._fd, offset, size))

    async def pwrite(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """All the buffers from ``offset``, into the page cache. DiskFull leaves the file usable."""
        self._refuse_if_failed()
        await self._on_thread("write", lambda: write_all(self._fd, offset, buffers))

    async def write_durable(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write and sync in one hop. Whatever goes wrong once it began, the file refuses from then on."""
        self._refuse_if_failed()
        if self._writing:
            raise trio.BusyResourceError(f"{self._path}: the writer of a file is one task")
        self._enter("write durably to")
        self._writing = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            syncer = await self._pool.borrow()
            try:
                with trio.CancelScope(shield=True):
                    await self._write_and_sync(syncer, offset, buffers)
            finally:
                self._pool.give_back(syncer)
        finally:
            self._writing = False
            self._leave()

    async def _write_and_sync(self, syncer: Syncer, offset: int, buffers: Sequence[Buffer]) -> None:
        try:
            await syncer.write_and_sync(self._fd, offset, buffers)
        except OSError as error:
            self._failure = str(error)
            raise disk_error(error, "write durably to", self._path) from error
        except Exception as error:
            self._failure = str(error) or type(error).__name__
            raise DiskError(f"cannot write durably to {self._path}: {self._failure}") from error
        except BaseException:
            self._failure = "interrupted"
            raise

    async def sync(self) -> None:
        """All of this file's bytes and its size are on the medium. DiskError: nothing since the last sync is,
        and the file refuses from now on."""
        self._refuse_if_failed()
        try:
            await self._on_thread("sync", lambda: os.fdatasync(self._fd))
        except DiskError as error:
            self._failure = str(error)
            raise

    async def truncate(self, size: int) -> None:
        """Cut or extend with a hole to ``size`` bytes."""
        self._refuse_if_failed()
        await self._on_thread("truncate", lambda: os.ftruncate(self._fd, size))

    async def aclose(self) -> None:
        """Close it as soon as the last user is done; once is enough."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        with trio.CancelScope(shield=True):
            if self._users:
                await self._idle.wait()
            self._pool.forget(self._fd)
            fd, self._fd = self._fd, -1
            try:
                await trio.to_thread.run_sync(os.close, fd, limiter=self._limiter)
            except OSError as error:
                raise disk_error(error, "close", self._path) from error

    def _enter(self, doing: str) -> None:
        # Whoever is in keeps the descriptor open: a closed one's number may soon be another file's.
        if self._closed:
            raise DiskError(f"cannot {doing} {self._path}: it was closed")
        self._users += 1

    def _leave(self) -> None:
        self._users -= 1
        if self._closed and not self._users:
            self._idle.set()

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise DiskError(
                f"{self._path} failed before ({self._failure}): nothing unsynced in it may be believed; "
                "stop the node and let it read the file again"
            )

    async def _on_thread(self, doing: str, work: Callable[[], T]) -> T:
        self._enter(doing)
        try:
            return await trio.to_thread.run_sync(work, limiter=self._limiter)
        except OSError as error:
            raise disk_error(error, doing, self._path) from error
        finally:
            self._leave()
