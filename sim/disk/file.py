"""The simulated ``env.File``. One rule: after a sync that failed, or a durable write whose end is unknown, it
refuses for ever, as the production twin does.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import trio

from haqactor.env import Buffer, DiskError
from haqactor.sim.disk.inode import Inode
from haqactor.sim.disk.latency import Latency, Range
from haqactor.sim.disk.medium import Medium

T = TypeVar("T")


class Owner(Protocol):
    """The disk that opened it."""

    medium: Medium
    latency: Latency

    async def look(self, path: str, between: Range | None, act: Callable[[], T], size: int = 0) -> T:
        """Something that changes nothing."""
        ...

    async def change(
        self,
        kind: str,
        path: str,
        between: Range | None,
        act: Callable[[], T],
        size: int = 0,
        *,
        begun: bool = False,
    ) -> T:
        """Something that changes the disk."""
        ...


class SimFile:
    """``path`` as it was given, ``known`` as the disk spells it."""

    __slots__ = ("_closed", "_disk", "_failure", "_idle", "_known", "_path", "_users", "_writing", "inode")

    def __init__(self, disk: Owner, path: str, known: str, inode: Inode) -> None:
        self.inode = inode
        self._disk = disk
        self._path = path
        self._known = known
        self._failure: str | None = None
        self._closed = False
        self._writing = False
        self._users = 0
        self._idle: trio.Event | None = None

    @property
    def path(self) -> str:
        """The path it was opened with."""
        return self._path

    async def size(self) -> int:
        """Bytes."""
        self._enter("stat")
        try:
            size = await self._disk.look(self._known, None, lambda: self.inode.size)
            await trio.lowlevel.cancel_shielded_checkpoint()
            return size
        finally:
            self._leave()

    async def pread(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; shorter only at the end of the file."""
        disk, inode = self._disk, self.inode
        self._enter("read")
        try:
            return await disk.look(
                self._known,
                disk.latency.read_ns,
                lambda: disk.medium.read(inode, self._known, offset, size),
                min(size, max(0, inode.size - offset)),
            )
        finally:
            self._leave()

    async def pwrite(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """All the buffers from ``offset``, into the page cache. DiskFull leaves the file usable."""
        self._refuse_if_failed()
        self._enter("write")
        try:
            await self._write(offset, b"".join(buffers))
        finally:
            self._leave()

    async def write_durable(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write and sync, with nothing in between but a crash, and all the time it takes behind the write.
        Whatever goes wrong once it began, the file refuses from then on."""
        self._refuse_if_failed()
        if self._writing:
            raise trio.BusyResourceError(f"{self._path}: the writer of a file is one task")
        self._enter("write durably to")
        self._writing = True
        try:
            data = b"".join(buffers)
            await self._write(offset, data, at_once=True)
            await self._sync(len(data), begun=True)
        except DiskError as error:
            self._failure = str(error)
            raise
        finally:
            self._writing = False
            self._leave()

    async def sync(self) -> None:
        """All of this file's bytes and its size are on the medium. DiskError: nothing since the last sync is,
        and the file refuses from now on."""
        self._refuse_if_failed()
        self._enter("sync")
        try:
            await self._sync()
        except DiskError as error:
            self._failure = str(error)
            raise
        finally:
            self._leave()

    async def truncate(self, size: int) -> None:
        """Cut or extend with a hole to ``size`` bytes."""
        disk = self._disk
        self._refuse_if_failed()
        self._enter("truncate")
        try:
            await disk.change(
                "truncate",
                self._known,
                disk.latency.name_ns,
                lambda: disk.medium.resize(self.inode, self._known, size),
                size,
            )
        finally:
            self._leave()

    async def aclose(self) -> None:
        """Close it as soon as the last user is done; once is enough. What was not synced stays so."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._closed = True
        if self._users:
            if self._idle is None:
                self._idle = trio.Event()
            with trio.CancelScope(shield=True):
                await self._idle.wait()

    async def _write(self, offset: int, data: bytes, *, at_once: bool = False) -> None:
        disk = self._disk
        await disk.change(
            "write",
            self._known,
            None if at_once else disk.latency.write_ns,
            lambda: disk.medium.write(self.inode, self._known, offset, data),
            len(data),
        )

    async def _sync(self, size: int = 0, *, begun: bool = False) -> None:
        """What was written when it began is durable when it ends."""
        disk, upto = self._disk, self.inode.last
        await disk.change(
            "sync",
            self._known,
            disk.latency.sync_ns,
            lambda: disk.medium.sync(self.inode, self._known, upto),
            size,
            begun=begun,
        )

    def _enter(self, doing: str) -> None:
        if self._closed:
            raise DiskError(f"cannot {doing} {self._path}: it was closed")
        self._users += 1

    def _leave(self) -> None:
        self._users -= 1
        if not self._users and self._idle is not None:
            self._idle.set()

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise DiskError(
                f"{self._path} failed before ({self._failure}): nothing unsynced in it may be believed; "
                "stop the node and let it read the file again"
            )
