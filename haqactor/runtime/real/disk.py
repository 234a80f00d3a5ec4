"""Files and directories for production. One rule: no OSError leaves this file; each becomes a DiskError."""

import fcntl
import os
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from haqactor.env import DiskError, LockHeld
from haqactor.runtime.real.fd import NO_DESCRIPTORS, disk_error, fill_with_zeroes, read_all
from haqactor.runtime.real.file import RealFile
from haqactor.runtime.real.switching import switch_threads_fairly
from haqactor.runtime.real.sync_process import ProcessSyncer
from haqactor.runtime.real.syncing import InlineSyncer, Sync, Syncer, ThreadSyncer, YieldSyncer

T = TypeVar("T")

THREADS: Final = 8
"""Disk calls at once, beside the durable writes, which have their own way."""
_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC


class _Pool:
    """Syncers for one write at a time each; starting one takes milliseconds and 8 MB, and a journal has many
    files. ``_lent``: those that write now."""

    __slots__ = ("__weakref__", "_free", "_lent", "_sync")

    def __init__(self, sync: Sync) -> None:
        self._sync: Sync = sync
        self._free: list[Syncer] = []
        self._lent: list[Syncer] = []
        weakref.finalize(self, _close_all, self._free)

    async def borrow(self) -> Syncer:
        """A free one, or a new one. Raises DiskError."""
        syncer = self._free.pop() if self._free else await self._new()
        self._lent.append(syncer)
        return syncer

    async def _new(self) -> Syncer:
        match self._sync:
            case "thread":
                return ThreadSyncer()
            case "yield":
                return YieldSyncer()
            case "inline":
                return InlineSyncer()
            case "process":
                try:
                    return await trio.to_thread.run_sync(ProcessSyncer.start)
                except OSError as error:
                    if error.errno in NO_DESCRIPTORS:
                        return ThreadSyncer()  # which needs none; slower, until a helper is to be had again
                    raise DiskError(
                        f"cannot start the process that syncs: {error}; "
                        "choose the thread where none may be started"
                    ) from error

    def give_back(self, syncer: Syncer) -> None:
        """Keep one for the next write; one that failed, or is too many, ends."""
        self._lent.remove(syncer)
        stopgap = self._sync == "process" and not isinstance(syncer, ProcessSyncer)
        if self._free or stopgap or (isinstance(syncer, ProcessSyncer) and syncer.broken):
            syncer.close()
        else:
            self._free.append(syncer)

    def forget(self, fd: int) -> None:
        """A file is about to be closed, and its number may soon be another one's."""
        for syncer in (*self._free, *self._lent):
            syncer.release(fd)


def _close_all(free: list[Syncer]) -> None:
    for syncer in free:
        syncer.close()
    free.clear()


class RealDisk:
    """The filesystem. ``sync`` chooses how ``write_durable`` waits for the medium; see ADR 0003. With
    ``fair_threads`` its first use lowers the process's thread switch interval (see ``switching``)."""

    __slots__ = ("_fair", "_limiter", "_pool")

    def __init__(self, *, sync: Sync = "process", fair_threads: bool = True) -> None:
        self._limiter = trio.CapacityLimiter(THREADS)
        self._pool = _Pool(sync)
        self._fair = fair_threads

    async def open(self, path: str, *, create: bool = False) -> RealFile:
        """Open for reading and writing; with ``create`` it must not exist yet. Raises FileMissing,
        DiskError."""
        flags = _FLAGS | os.O_CREAT | os.O_EXCL if create else _FLAGS
        fd = await self._call("create" if create else "open", path, lambda: os.open(path, flags, 0o600))
        return self._file(fd, path)

    async def allocate(self, path: str, size: int) -> RealFile:
        """Create a zero-filled file of ``size`` bytes, durable with its length. What could not be filled is
        removed again. Raises DiskFull, DiskError."""
        fd = await self._call("allocate", path, lambda: _allocate(path, size))
        return self._file(fd, path)

    def _file(self, fd: int, path: str) -> RealFile:
        return RealFile(fd, path, self._limiter, self._pool)

    async def read_file(self, path: str) -> bytes:
        """The whole of a small file. Raises FileMissing."""
        return await self._call("read", path, lambda: _read_file(path))

    async def rename(self, source: str, target: str) -> None:
        """Give a file another name, replacing what had it. Durable after ``sync_directory``."""
        await self._call("rename", source, lambda: os.rename(source, target))

    async def unlink(self, path: str) -> None:
        """Remove a name. Raises FileMissing. Durable after ``sync_directory``."""
        await self._call("remove", path, lambda: os.unlink(path))

    async def make_directory(self, path: str) -> None:
        """With its parents, durable; no error if it is there."""
        await self._call("make directory", path, lambda: _make_directory(path))

    async def list_directory(self, path: str) -> list[str]:
        """Names, sorted. Raises FileMissing."""
        return await self._call("list", path, lambda: sorted(os.listdir(path)))

    async def sync_directory(self, path: str) -> None:
        """The names in it are on the medium."""
        await self._call("sync directory", path, lambda: _sync_directory(path))

    async def free_bytes(self, path: str) -> int:
        """What an unprivileged user may still write."""
        found = await self._call("measure", path, lambda: os.statvfs(path))
        return found.f_bavail * found.f_frsize

    async def lock(self, path: str) -> Callable[[], None]:
        """Take the file ``path`` as an exclusive lock between processes; the kernel lets it go when the
        process ends, however it ends. Raises LockHeld."""
        fd = await self._call("lock", path, lambda: _lock(path))
        held = [fd]

        def release() -> None:
            if held:
                os.close(held.pop())

        return release

    async def _call(self, doing: str, path: str, work: Callable[[], T]) -> T:
        if self._fair:
            self._fair = False
            switch_threads_fairly()
        try:
            return await trio.to_thread.run_sync(work, limiter=self._limiter)
        except OSError as error:
            raise disk_error(error, doing, path) from error


def _allocate(path: str, size: int) -> int:
    fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fill_with_zeroes(fd, size)
    except BaseException:
        os.close(fd)
        os.unlink(path)
        raise
    return fd


def _read_file(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_all(fd, 0, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def _make_directory(path: str) -> None:
    missing: list[str] = []
    rest = os.path.abspath(path)
    while not os.path.isdir(rest):
        missing.append(rest)
        rest = os.path.dirname(rest)
    for name in reversed(missing):
        try:
            os.mkdir(name, 0o700)
        except FileExistsError:
            # Another process may have made it meanwhile; what is no directory is an error.
            if not os.path.isdir(name):
                raise
        _sync_directory(os.path.dirname(name))


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock(path: str) -> int:
    fd = os.open(path, _FLAGS | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise LockHeld(
            f"{path} is held by process {holder or '(unknown)'}: stop that one, or use another directory"
        ) from error
    except BaseException:
        os.close(fd)
        raise
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    return fd
