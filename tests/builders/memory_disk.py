"""A disk in memory that forgets what was not synced, tears sectors, runs full and refuses, as a real one may.

One rule: only ``sync``, ``write_durable``, ``allocate`` and ``sync_directory`` make anything survive
``crash``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import trio

from haqactor.env import Buffer, DiskError, DiskFull, FileMissing, LockHeld

SECTOR = 512


class Crashed(Exception):
    """The power went; not a DiskError, so nothing under test may catch it."""


@dataclass(slots=True)
class Inode:
    """A file's bytes as programs see them, and as the medium has them."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    dirty: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])

    def settle(self) -> None:
        """All is on the medium."""
        for offset, piece in self.dirty:
            write_at(self.durable, offset, piece)
        self.dirty.clear()
        if len(self.durable) != len(self.data):
            self.durable[:] = self.data


def write_at(target: bytearray, offset: int, piece: bytes) -> None:
    """Write, growing with zeros."""
    if len(target) < offset + len(piece):
        target.extend(bytes(offset + len(piece) - len(target)))
    target[offset : offset + len(piece)] = piece


class MemoryFile:
    """An open file."""

    def __init__(self, disk: "MemoryDisk", path: str, inode: Inode) -> None:
        self._disk = disk
        self._path = path
        self.inode = inode

    @property
    def path(self) -> str:
        return self._path

    async def size(self) -> int:
        await self._disk.step("size", self._path)
        return len(self.inode.data)

    async def pread(self, offset: int, size: int) -> bytes:
        await self._disk.step("pread", self._path)
        self._disk.bytes_read += size
        bad = self._disk.unreadable.get(self._path, ())
        if any(offset < at + SECTOR and at < offset + size for at in bad):
            raise DiskError("input/output error")
        return bytes(self.inode.data[offset : offset + size])

    def _write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        piece = b"".join(bytes(buffer) for buffer in buffers)
        self._disk.spend(max(0, offset + len(piece) - len(self.inode.data)))
        write_at(self.inode.data, offset, piece)
        self.inode.dirty.append((offset, piece))

    async def pwrite(self, offset: int, buffers: Sequence[Buffer]) -> None:
        await self._disk.step("pwrite", self._path, lambda: self._write(offset, buffers))
        self._write(offset, buffers)

    async def write_durable(self, offset: int, buffers: Sequence[Buffer]) -> None:
        await self._disk.step("write_durable", self._path, lambda: self._write(offset, buffers))
        before = len(self.inode.data)
        self._write(offset, buffers)
        assert len(self.inode.data) == before, "write_durable must not change the size"
        if not self._disk.lying:
            self.inode.settle()

    async def sync(self) -> None:
        await self._disk.step("sync", self._path)
        if not self._disk.lying:
            self.inode.settle()

    async def truncate(self, size: int) -> None:
        await self._disk.step("truncate", self._path)
        del self.inode.data[size:]
        self.inode.data.extend(bytes(size - len(self.inode.data)))

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class MemoryDisk:
    """The whole disk. ``crash_at``: the operation (counted from 0, reads excluded) at which the power
    goes."""

    def __init__(self, *, capacity: int = 1 << 40, crash_at: int | None = None) -> None:
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.pending: list[Callable[[dict[str, Inode]], None]] = []
        self.locks: dict[str, bool] = {}
        self.capacity = capacity
        self.used = 0
        self.crash_at = crash_at
        self.operations = 0
        self.dead = False
        self.lying = False
        self.bytes_read = 0
        self.log: list[tuple[str, str]] = []
        self.faults: list[tuple[str, str, DiskError]] = []
        self.unreadable: dict[str, list[int]] = {}  #: of a path: where its bad sectors begin

    def fail(self, operation: str, part: str, error: DiskError) -> None:
        """The next such operation on a path that contains ``part`` raises ``error``."""
        self.faults.append((operation, part, error))

    def spend(self, size: int) -> None:
        """Take space."""
        if self.used + size > self.capacity:
            raise DiskFull("no space left")
        self.used += size

    async def step(self, operation: str, path: str, half: Callable[[], None] | None = None) -> None:
        """Count one operation; fail or die where told. ``half``: what a dying one leaves unsynced."""
        await trio.lowlevel.checkpoint()
        if self.dead:
            raise Crashed
        if operation not in ("size", "pread"):
            if self.crash_at == self.operations:
                if half is not None:
                    half()
                self.dead = True
                raise Crashed
            self.operations += 1
        self.log.append((operation, path))
        for at, (name, part, error) in enumerate(self.faults):
            if name == operation and part in path:
                del self.faults[at]
                raise error

    def crash(self, random: Random, *, keep: str = "torn") -> None:
        """Lose power now. ``keep``: ``none`` or ``all`` of what was unsynced, or ``torn``: any of its
        sectors."""
        names = dict(self.durable_names)
        count = {"none": 0, "all": len(self.pending)}.get(keep)
        for change in self.pending[: random.randint(0, len(self.pending)) if count is None else count]:
            change(names)
        inodes: dict[int, Inode] = {id(inode): inode for inode in (*names.values(), *self.names.values())}
        for inode in inodes.values():
            if keep == "all":
                inode.settle()
            elif keep == "torn":
                for offset, piece in inode.dirty:
                    self._tear(inode, offset, piece, random)
            inode.dirty.clear()
            inode.data[:] = inode.durable
        self.names, self.durable_names, self.pending = names, dict(names), []
        self.locks.clear()
        self.dead, self.crash_at, self.operations = False, None, 0

    def _tear(self, inode: Inode, offset: int, piece: bytes, random: Random) -> None:
        at = 0
        style = random.choice(("prefix", "any"))
        while at < len(piece):
            size = min(SECTOR - (offset + at) % SECTOR, len(piece) - at)
            if random.random() < 0.5:
                write_at(inode.durable, offset + at, piece[at : at + size])
            elif style == "prefix":
                return
            at += size

    def _change(self, change: Callable[[dict[str, Inode]], None]) -> None:
        change(self.names)
        self.pending.append(change)

    async def open(self, path: str, *, create: bool = False) -> MemoryFile:
        if not create:
            await self.step("open", path)
            if path not in self.names:
                raise FileMissing(path)
            return MemoryFile(self, path, self.names[path])
        await self.step("create", path)
        if path in self.names:
            raise DiskError(f"{path} exists")
        inode = Inode()
        self._change(lambda names: names.__setitem__(path, inode))
        return MemoryFile(self, path, inode)

    async def allocate(self, path: str, size: int) -> MemoryFile:
        await self.step("allocate", path)
        if path in self.names:
            raise DiskError(f"{path} exists")
        self.spend(size)
        inode = Inode(bytearray(size), bytearray(size))
        self._change(lambda names: names.__setitem__(path, inode))
        return MemoryFile(self, path, inode)

    async def read_file(self, path: str) -> bytes:
        file = await self.open(path)
        return bytes(file.inode.data)

    async def rename(self, source: str, target: str) -> None:
        await self.step("rename", source)
        inode = self.names.get(source)
        if inode is None:
            raise FileMissing(source)

        def change(names: dict[str, Inode]) -> None:
            names.pop(source, None)
            names[target] = inode

        self._change(change)

    async def unlink(self, path: str) -> None:
        await self.step("unlink", path)
        if path not in self.names:
            raise FileMissing(path)
        self.used -= len(self.names[path].data)

        def change(names: dict[str, Inode]) -> None:
            names.pop(path, None)

        self._change(change)

    async def make_directory(self, path: str) -> None:
        await self.step("make_directory", path)

    async def list_directory(self, path: str) -> list[str]:
        await self.step("list_directory", path)
        prefix = path + "/"
        return sorted(name[len(prefix) :] for name in self.names if name.startswith(prefix))

    async def sync_directory(self, path: str) -> None:
        await self.step("sync_directory", path)
        self.durable_names, self.pending = dict(self.names), []

    async def free_bytes(self, path: str) -> int:
        await trio.lowlevel.checkpoint()
        return self.capacity - self.used

    async def lock(self, path: str) -> Callable[[], None]:
        await self.step("lock", path)
        if path in self.locks:
            raise LockHeld(path)
        self.locks[path] = True

        def unlock() -> None:
            self.locks.pop(path, None)

        return unlock
