"""One host's disk: its files, names, space and locks. It outlives every incarnation of its host.

One rule: nothing here waits; time, and who may still use it, is the business of ``SimDisk``. Beside the
faulty state stands the sound one, so that a checker can ask what should be there and what is durable.
"""

from collections.abc import Callable
from typing import Final

from haqactor.env import DiskError, DiskFull, FileMissing
from haqactor.sim.disk.fates import SECTOR, Fate, Survival
from haqactor.sim.disk.faults import Faults, Kind
from haqactor.sim.disk.inode import Change, Inode
from haqactor.sim.disk.names import normal
from haqactor.sim.disk.tree import Tree
from haqactor.sim.keyed import Stream, keyed

CAPACITY: Final = 1 << 40


class Medium:
    """``capacity`` in bytes, settable. ``operations``: how often it was changed, over all incarnations;
    ``on_operation`` is told the number, from 1, and the kind, right after each. ``stopped``: nothing has an
    effect any more, and nobody gets an answer, until ``crash``. ``generation`` counts replaced disks,
    ``fates`` what became of all that was unsynced when the power went."""

    def __init__(self, seed: int, name: str, *, capacity: int = CAPACITY) -> None:
        self.name = name
        self.capacity = capacity
        self.stopped = False
        self.rotted = False  #: a durable bit has flipped, at any time
        self.operations = 0
        self.on_operation: Callable[[int, str], None] | None = None
        self.generation = 1
        self.crashes = 0
        self.fates: dict[Fate, int] = dict.fromkeys(Fate, 0)
        self._seed = seed
        self.faults = Faults(self._stream)
        self.tree = Tree(self.faults)

    def _stream(self, *key: str | int) -> Stream:
        return keyed(self._seed, "disk", self.name, *key)

    def changed(self, kind: str) -> None:
        """One more operation has taken effect."""
        self.operations += 1
        if self.on_operation is not None:
            self.on_operation(self.operations, kind)

    # -- the power

    def crash(self, stream: Stream | None = None, survival: Survival | None = None) -> dict[Fate, int]:
        """The power goes: what was not synced gets its fate, drawn from ``stream`` (default: the disk's own
        for its n-th crash); how they hang together may be given. Returns how many had which fate."""
        self.crashes += 1
        chance = self._stream("crash", self.crashes) if stream is None else stream
        inodes = self.tree.names.inodes()
        drawn = self.tree.names.crash(chance, survival)
        for inode in inodes:
            drawn += inode.crash(chance, survival)
        self.tree.locks.clear()
        self.stopped = False
        counted = {fate: drawn.count(fate) for fate in Fate}
        for fate, count in counted.items():
            self.fates[fate] += count
        return counted

    def wipe(self) -> None:
        """Another disk is in its place, an empty one; whoever used the old one is told that it is gone."""
        self.faults.count(Kind.LOST_DISK, "/")
        self._replace()

    def lost(self, path: str) -> bool:
        """Was it lost by a fault at this very operation?"""
        fired = self.faults.fires(Kind.LOST_DISK, path)
        if fired:
            self._replace()
        return fired

    def _replace(self) -> None:
        self.tree = Tree(self.faults)
        self.generation += 1

    def heal(self) -> None:
        """Every fault is switched off, and what they did is undone; a lost disk stays lost."""
        self.faults.switch_off()
        self.tree.names.heal()
        for inode in self.tree.names.inodes():
            inode.heal()

    def longest_unsynced(self, prefix: str = "/") -> int:
        """Bytes of the longest write below ``prefix`` that no sync has made durable yet."""
        found = [
            len(change.data)
            for path, inode in self.tree.names.seen.items()
            for change in inode.pending
            if change.data is not None and path.startswith(prefix)
        ]
        return max(found, default=0)

    # -- bytes

    def read(self, inode: Inode, path: str, offset: int, size: int) -> bytes:
        """Raises DiskError where a sector cannot be read."""
        there = min(size, inode.size - offset)
        if there > 0:
            rotten = self.faults.firing(Kind.BIT_ROT, path)
            if rotten is not None:
                self._flip(inode, offset + rotten.stream.randrange(there), rotten.stream.randrange(8))
            broken = self.faults.firing(Kind.READ_ERROR, path)
            if broken is not None:
                inode.bad[(offset + broken.stream.randrange(there)) // SECTOR] = None
            sector = inode.unreadable(offset, there)
            if sector is not None:
                raise DiskError(f"cannot read {path}: input/output error at offset {sector * SECTOR}")
        return inode.read(offset, size)

    def write(self, inode: Inode, path: str, offset: int, data: bytes) -> None:
        """Into the cache. Raises DiskFull."""
        self._refuse_growth(inode, path, offset + len(data) if data else 0)
        inode.write(offset, data)

    def resize(self, inode: Inode, path: str, size: int) -> None:
        """In the cache. Raises DiskFull."""
        self._refuse_growth(inode, path, size)
        inode.resize(size)

    def sync(self, inode: Inode, path: str, upto: int) -> None:
        """Make the changes up to that number durable. DiskError: what was dirty got its fate, and is clean
        now."""
        failing = self.faults.firing(Kind.SYNC_ERROR, path)
        if failing is not None:
            inode.crash(failing.stream)
            raise DiskError(f"cannot sync {path}: input/output error")
        if self.faults.fires(Kind.SYNC_LIE, path):
            inode.promise(upto)
            return
        inode.settle(upto, lambda change: self._route(inode, path, change))

    def _route(self, inode: Inode, path: str, change: Change) -> int | None:
        if self.faults.fires(Kind.LOST_WRITE, path):
            return None
        astray = self.faults.firing(Kind.MISDIRECTED_WRITE, path)
        if astray is None or change.data is None:
            return change.offset
        first = change.offset % SECTOR
        last = max(first, len(inode.medium) - len(change.data))
        places = [place for place in range(first, last + 1, SECTOR) if place != change.offset]
        return astray.stream.choice(places) if places else None

    # -- space

    @property
    def used(self) -> int:
        """Bytes in all the files that programs see."""
        return sum([inode.size for inode in self.tree.names.seen.values()])

    def free(self, path: str) -> int:
        """Bytes that may still be written."""
        return 0 if self.faults.fires(Kind.FULL, path) else max(0, self.capacity - self.used)

    def _refuse_growth(self, inode: Inode, path: str, size: int) -> None:
        if size > inode.size and (
            self.faults.fires(Kind.FULL, path) or self.used + size - inode.size > self.capacity
        ):
            raise DiskFull(f"cannot write {path}: no space left; free some, or give the disk more")

    # -- faults that are brought about by hand

    def flip(self, path: str, offset: int, bit: int = 0) -> None:
        """A durable bit has flipped."""
        self._flip(self._known(path), offset, bit)
        self.faults.count(Kind.BIT_ROT, path)

    def spoil(self, path: str, offset: int) -> None:
        """A sector cannot be read until it is written again."""
        self._known(path).bad[offset // SECTOR] = None
        self.faults.count(Kind.READ_ERROR, path)

    def lose(self, path: str) -> None:
        """A file is gone."""
        self._known(path)
        self.tree.names.lose(normal(path))
        self.faults.count(Kind.LOST_FILE, path)

    def misdirect(self, path: str, source: int, target: int) -> None:
        """The sector that was written at ``source`` arrived at ``target``, long ago."""
        self._known(path).misdirect(source // SECTOR, target // SECTOR)
        self.faults.count(Kind.MISDIRECTED_WRITE, path)

    def shorten(self, path: str, size: int) -> None:
        """The end of a file is gone."""
        self._known(path).shorten(size)
        self.faults.count(Kind.SHORT_FILE, path)

    def _flip(self, inode: Inode, offset: int, bit: int) -> None:
        if offset < len(inode.medium):
            self.rotted = True
            inode.medium[offset] ^= 1 << bit

    # -- for checkers

    def paths(self) -> list[str]:
        """Files that programs see; sorted."""
        return sorted(self.tree.names.seen)

    def written(self, path: str, offset: int = 0, size: int = CAPACITY) -> bytes:
        """What should be read there now: everything written, whatever the disk did with it. Raises
        FileMissing."""
        return self._known(path).truth(offset, size)

    def content(self, path: str, offset: int = 0, size: int = CAPACITY) -> bytes:
        """What would be read there now, without an error and without counting anything. Raises
        FileMissing."""
        return self._known(path).read(offset, size)

    def synced(self, path: str, offset: int, size: int) -> bool:
        """Has the host done, and been told, all that makes these bytes durable under that name? True also
        where the disk has lied."""
        normalized = normal(path)
        inode = self.tree.names.seen.get(normalized)
        return inode is not None and self.tree.names.is_synced(normalized) and inode.synced(offset, size)

    def durable(self, path: str, offset: int, size: int) -> bool:
        """Would these bytes, as written, be read under that name after a power loss, whatever its outcome?"""
        normalized = normal(path)
        inode = self.tree.names.seen.get(normalized)
        return inode is not None and self.tree.names.is_durable(normalized) and inode.durable(offset, size)

    def image(self, path: str) -> bytes:
        """What lies on the medium under that name. Raises FileMissing."""
        return bytes(self._known(path).medium)

    def settled(self, path: str, offset: int, size: int) -> bool:
        """Has the disk truly done all that makes these bytes durable, whatever it did to them since?"""
        normalized = normal(path)
        inode = self.tree.names.seen.get(normalized)
        return inode is not None and self.tree.names.is_durable(normalized) and inode.settled(offset, size)

    def holds(self, path: str, offset: int, data: bytes) -> bool:
        """Are just these bytes there, durable, and readable?"""
        size = len(data)
        return self.settled(path, offset, size) and self._known(path).holds(offset, data)

    def damage(self) -> dict[str, list[int]]:
        """What the faults have done to durable bytes: the sectors of each file; for a lost file, -1."""
        found = {path: inode.damage() for path, inode in sorted(self.tree.names.durable.items())}
        found.update((path, [-1]) for path in self.tree.names.missing())
        return {path: sectors for path, sectors in found.items() if sectors}

    def _known(self, path: str) -> Inode:
        normalized = normal(path)
        inode = self.tree.names.seen.get(normalized) or self.tree.names.sound.get(normalized)
        if inode is None:
            raise FileMissing(f"there is no {path}")
        return inode
