"""The simulated ``env.Disk`` of one incarnation of a host.

One rule: an operation takes its time first and has its whole effect at the end of it, if the host still lives
then; whoever asked for it learns of it only after the effect was numbered.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import trio

from haqactor.env import DiskError, LockHeld
from haqactor.sim.disk.faults import Kind
from haqactor.sim.disk.file import SimFile
from haqactor.sim.disk.latency import Latency, Range
from haqactor.sim.disk.medium import Medium
from haqactor.sim.disk.names import normal
from haqactor.sim.host import Host
from haqactor.sim.keyed import Stream

T = TypeVar("T")

_USUAL: Final = Latency()


class SimDisk:
    """``medium`` is the host's disk, ``stream`` what delays are drawn from. It belongs to the incarnation of
    ``host`` in which it is first used; later ones get one of their own."""

    def __init__(self, medium: Medium, host: Host, stream: Stream, latency: Latency = _USUAL) -> None:
        self.medium = medium
        self.latency = latency
        self._host = host
        self._stream = stream
        self._incarnation = 0
        self._generation = 0
        self._ended: trio.Event | None = None

    # -- env.Disk

    async def open(self, path: str, *, create: bool = False) -> SimFile:
        """Open for reading and writing; with ``create`` it must not exist yet. Raises FileMissing,
        DiskError."""
        known, medium = normal(path), self.medium
        if create:
            inode = await self.change(
                "create", known, self.latency.name_ns, lambda: medium.tree.create(known)
            )
        else:
            inode = await self.look(known, self.latency.name_ns, lambda: medium.tree.find(known))
        return SimFile(self, path, known, inode)

    async def allocate(self, path: str, size: int) -> SimFile:
        """Create a zero-filled file of ``size`` bytes, durable with its length: first the name, then the
        bytes. What could not be filled is removed again. Raises DiskFull, DiskError."""
        known, medium = normal(path), self.medium
        file = await self.open(path, create=True)
        inode = file.inode

        def fill() -> None:
            medium.resize(inode, known, size)
            medium.sync(inode, known, inode.last)

        try:
            await self.change("allocate", known, self.latency.sync_ns, fill, size, begun=True)
        except DiskError:
            if medium.tree.names.seen.get(known) is inode and self.alive:
                medium.tree.unlink(known)
            raise
        return file

    async def read_file(self, path: str) -> bytes:
        """The whole of a small file. Raises FileMissing."""
        known, medium = normal(path), self.medium

        def read() -> bytes:
            inode = medium.tree.find(known)
            return medium.read(inode, known, 0, inode.size)

        return await self.look(known, self.latency.read_ns, read)

    async def rename(self, source: str, target: str) -> None:
        """Give a file another name, replacing what had it. Durable after ``sync_directory``."""
        old, new = normal(source), normal(target)
        await self.change("rename", old, self.latency.name_ns, lambda: self.medium.tree.rename(old, new))

    async def unlink(self, path: str) -> None:
        """Remove a name. Raises FileMissing. Durable after ``sync_directory``."""
        known = normal(path)
        await self.change("unlink", known, self.latency.name_ns, lambda: self.medium.tree.unlink(known))

    async def make_directory(self, path: str) -> None:
        """With its parents, durable; no error if it is there."""
        known = normal(path)
        await self.change(
            "make_directory", known, self.latency.sync_ns, lambda: self.medium.tree.make_folder(known)
        )

    async def list_directory(self, path: str) -> list[str]:
        """Names, sorted. Raises FileMissing."""
        known = normal(path)
        return await self.look(known, self.latency.name_ns, lambda: self.medium.tree.listing(known))

    async def sync_directory(self, path: str) -> None:
        """The names in it that it has now are on the medium."""
        known, upto = normal(path), self.medium.tree.names.last
        await self.change(
            "sync_directory", known, self.latency.sync_ns, lambda: self.medium.tree.sync_folder(known, upto)
        )

    async def free_bytes(self, path: str) -> int:
        """What may still be written. Raises FileMissing."""
        known, medium = normal(path), self.medium

        def measure() -> int:
            if known not in medium.tree.folders:
                medium.tree.find(known)
            return medium.free(known)

        return await self.look(known, self.latency.name_ns, measure)

    async def lock(self, path: str) -> Callable[[], None]:
        """Take the file ``path`` as an exclusive lock; it is let go when this incarnation of the host ends.
        Raises LockHeld."""
        known, medium, holder = normal(path), self.medium, object()

        def take() -> None:
            held = medium.tree.locks.get(known)
            if held is not None and held[0] == self._incarnation:
                raise LockHeld(f"{path} is held by a process of {medium.name}: stop that one")
            if known not in medium.tree.names.seen:
                medium.tree.create(known)
            medium.tree.locks[known] = (self._incarnation, holder)

        await self.change("lock", known, self.latency.name_ns, take)

        def release() -> None:
            held = medium.tree.locks.get(known)
            if held is not None and held[1] is holder:
                del medium.tree.locks[known]

        return release

    # -- for its files

    async def look(self, path: str, between: Range | None, act: Callable[[], T], size: int = 0) -> T:
        """Something that changes nothing; ``between`` None: at once. Raises DiskError once the host has
        died."""
        await self._take_time(path, between, size)
        return act()

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
        """Something that changes the disk; numbered, also when it fails. What has ``begun`` before cannot be
        cancelled. Raises DiskError once the host has died."""
        await self._take_time(path, between, size, begun)
        try:
            result = act()
        finally:
            self._numbered(kind, path, size)
            if self.medium.stopped:
                await self._stand_still()
        return result

    async def _take_time(self, path: str, between: Range | None, size: int, begun: bool = False) -> None:
        if not begun:
            await trio.lowlevel.checkpoint_if_cancelled()
        self._use()
        if between is not None:
            slow = self.medium.faults.firing(Kind.SLOW, path)
            if slow is None and self.latency.cached(self._stream, between):
                await trio.lowlevel.cancel_shielded_checkpoint()
            else:
                base_ns = self.latency.draw(self._stream, between, size)
                await self._host.rest(base_ns if slow is None else slow.slowed(base_ns))
        if self.medium.stopped:
            await self._stand_still()
        self._refuse_if_dead()
        if self.medium.lost(path):
            self._refuse_if_dead()

    def _numbered(self, kind: str, path: str, size: int) -> None:
        self._host.world.trace.add(_TRACED.get(kind, kind), self._host.name, path, size)
        self.medium.changed(kind)

    async def _stand_still(self) -> None:
        """Once the power is going, nobody hears of anything any more."""
        if self.alive and self._ended is not None:
            with trio.CancelScope(shield=True):
                await self._ended.wait()
            self._refuse_if_dead()

    # -- its host's life

    @property
    def alive(self) -> bool:
        """Does the incarnation that it belongs to live, and its disk exist?"""
        host = self._host
        return (
            host.alive
            and host.incarnation == self._incarnation
            and self.medium.generation == self._generation
        )

    def _use(self) -> None:
        if self._ended is None:
            self._incarnation, self._generation = self._host.incarnation, self.medium.generation
            self._ended = ended = trio.Event()
            self._host.on_end.append(ended.set)
            self.medium.faults.on_fire = self._trace_fault
        self._refuse_if_dead()

    def _refuse_if_dead(self) -> None:
        if self.alive:
            return
        if self.medium.generation != self._generation:
            raise DiskError(f"the disk of {self._host.name} is gone")
        raise DiskError(f"{self._host.name} has died meanwhile")

    def _trace_fault(self, kind: Kind, path: str) -> None:
        self._host.world.trace.add("fault", self._host.name, kind.value, path)


_TRACED: Final = {"sync": "fsync", "sync_directory": "fsync"}
