"""The names on a simulated disk: which of them programs see, and which of them would be there after a power
loss.

One rule: a name that was made, changed or removed is durable only once its directory was synced.
"""

import posixpath
from dataclasses import dataclass

from haqactor.sim.disk.fates import Fate, Survival, fates
from haqactor.sim.disk.inode import Inode
from haqactor.sim.keyed import Stream

Table = dict[str, Inode]


def normal(path: str) -> str:
    """One spelling for each path: absolute, without ``.``, ``..`` or a slash at the end."""
    return posixpath.normpath("/" + path.lstrip("/"))


def parent(path: str) -> str:
    """The directory of a normal path."""
    return posixpath.dirname(path)


@dataclass(slots=True)
class Naming:
    """An unsynced change: in ``removed`` the name goes if it stands for that file still, ``given`` is set. A
    rename is both, at once. ``promised``: a sync has lied about it."""

    directory: str
    number: int
    removed: tuple[str, Inode] | None
    given: tuple[str, Inode] | None
    promised: bool = False

    def apply(self, table: Table) -> None:
        """Do it."""
        if self.removed is not None and table.get(self.removed[0]) is self.removed[1]:
            del table[self.removed[0]]
        if self.given is not None:
            table[self.given[0]] = self.given[1]

    def touches(self, path: str) -> bool:
        """Is it about that name?"""
        return path in (
            None if self.removed is None else self.removed[0],
            None if self.given is None else self.given[0],
        )


class Names:
    """``seen``: by programs. ``durable`` and ``sound``: on the medium, with and without the faults of the
    disk."""

    __slots__ = ("durable", "last", "pending", "seen", "sound")

    def __init__(self) -> None:
        self.seen: Table = {}
        self.durable: Table = {}
        self.sound: Table = {}
        self.pending: list[Naming] = []
        self.last = 0

    def give(self, path: str, inode: Inode) -> None:
        """A new name."""
        self._change(parent(path), None, (path, inode))

    def take(self, path: str) -> None:
        """A name less."""
        self._change(parent(path), (path, self.seen[path]), None)

    def rename(self, source: str, target: str) -> None:
        """Both at once, whatever happens; durable with the target's directory."""
        inode = self.seen[source]
        self._change(parent(target), (source, inode), (target, inode))

    def _change(
        self, directory: str, removed: tuple[str, Inode] | None, given: tuple[str, Inode] | None
    ) -> None:
        self.last += 1
        change = Naming(directory, self.last, removed, given)
        change.apply(self.seen)
        self.pending.append(change)

    def settle(self, directory: str, upto: int) -> None:
        """The changes in a directory up to that number are durable."""
        left: list[Naming] = []
        for change in self.pending:
            if change.directory != directory or change.number > upto:
                left.append(change)
                continue
            change.apply(self.durable)
            if not change.promised:
                change.apply(self.sound)
        self.pending = left

    def promise(self, directory: str, upto: int) -> None:
        """Say so only."""
        for change in self.pending:
            if change.directory == directory and change.number <= upto and not change.promised:
                change.promised = True
                change.apply(self.sound)

    def crash(self, stream: Stream, survival: Survival | None = None) -> list[Fate]:
        """Each unsynced change is kept or dropped; the fate of each. A torn one is one or the other."""
        drawn = fates(stream, len(self.pending), survival) if self.pending else []
        for at, (change, fate) in enumerate(zip(self.pending, drawn, strict=True)):
            if fate is Fate.TORN:
                drawn[at] = stream.choice((Fate.KEPT, Fate.DROPPED))
            if drawn[at] is Fate.KEPT:
                change.apply(self.durable)
                if not change.promised:
                    change.apply(self.sound)
        self.pending = []
        self.seen = dict(self.durable)
        return drawn

    def is_durable(self, path: str) -> bool:
        """Does this name stand for the same file after a power loss, whatever its outcome?"""
        inode = self.seen.get(path)
        return (
            inode is not None
            and self.durable.get(path) is inode
            and not any(change.touches(path) for change in self.pending)
        )

    def is_synced(self, path: str) -> bool:
        """Has the host been told that this name is durable?"""
        return self.seen.get(path) is not None and not any(
            change.touches(path) and not change.promised for change in self.pending
        )

    def lose(self, path: str) -> None:
        """The file is gone, though nobody removed it."""
        inode = self.seen.pop(path, None)
        if self.durable.get(path) is inode:
            self.durable.pop(path, None)
        self.pending = [
            change for change in self.pending if change.given is None or change.given != (path, inode)
        ]

    def missing(self) -> list[str]:
        """Durable names that should be there, and are not; sorted."""
        return sorted(
            path
            for path, inode in self.sound.items()
            if self.durable.get(path) is not inode
            and not any(change.promised and change.touches(path) for change in self.pending)
        )

    def heal(self) -> None:
        """They are there again."""
        for path in self.missing():
            self.durable[path] = self.sound[path]
            if path not in self.seen and not any(change.touches(path) for change in self.pending):
                self.seen[path] = self.sound[path]
        for change in self.pending:
            if change.promised:
                change.apply(self.durable)
        self.pending = [change for change in self.pending if not change.promised]

    def inodes(self) -> list[Inode]:
        """Every file that has a name, or would have one after a power loss."""
        tables = (self.seen, self.durable, self.sound)
        return list(dict.fromkeys([inode for table in tables for inode in table.values()]))
