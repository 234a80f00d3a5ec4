"""Directories and names of a simulated disk, as programs find and change them.

One rule: what a filesystem refuses is refused here, with the errors of the environment; what survives a power
loss is the business of ``Names``.
"""

from haqactor.env import DiskError, FileMissing
from haqactor.sim.disk.faults import Faults, Kind
from haqactor.sim.disk.inode import Inode
from haqactor.sim.disk.names import Names, parent


class Tree:
    """All paths are normal. Directories are durable as soon as they are made. ``locks``: the path, and the
    incarnation and the token of whoever holds it."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.names = Names()
        self.folders: dict[str, None] = {"/": None}
        self.locks: dict[str, tuple[int, object]] = {}

    def find(self, path: str) -> Inode:
        """An existing file. Raises FileMissing, DiskError."""
        if path not in self.names.seen:
            self.refuse_folder(path, "open")
            raise FileMissing(f"cannot open {path}: no such file")
        if self.faults.fires(Kind.LOST_FILE, path):
            self.names.lose(path)
            raise FileMissing(f"cannot open {path}: no such file")
        return self.names.seen[path]

    def create(self, path: str) -> Inode:
        """An empty file. Raises FileMissing, DiskError."""
        if parent(path) not in self.folders:
            raise FileMissing(f"cannot create {path}: no such directory")
        if path in self.names.seen or path in self.folders:
            raise DiskError(f"cannot create {path}: it exists")
        inode = Inode()
        self.names.give(path, inode)
        return inode

    def unlink(self, path: str) -> None:
        """Remove a name. Raises FileMissing, DiskError."""
        self.refuse_folder(path, "remove")
        if path not in self.names.seen:
            raise FileMissing(f"cannot remove {path}: no such file")
        self.names.take(path)

    def rename(self, source: str, target: str) -> None:
        """Raises FileMissing, DiskError."""
        self.refuse_folder(source, "rename")
        self.refuse_folder(target, "replace")
        if source not in self.names.seen or parent(target) not in self.folders:
            raise FileMissing(f"cannot rename {source} to {target}: no such file or directory")
        if source != target:
            self.names.rename(source, target)

    def make_folder(self, path: str) -> bool:
        """With its parents, durable; False if it was there. Raises DiskError."""
        missing: list[str] = []
        rest = path
        while rest not in self.folders:
            if rest in self.names.seen:
                raise DiskError(f"cannot make directory {path}: {rest} is a file")
            missing.append(rest)
            rest = parent(rest)
        if missing:
            self._refuse_sync(path)
        for each in reversed(missing):
            self.folders[each] = None
        return bool(missing)

    def listing(self, path: str) -> list[str]:
        """Names, sorted. Raises FileMissing."""
        self.refuse_missing_folder(path, "list")
        for name in [name for name in self.names.seen if parent(name) == path]:
            if self.faults.fires(Kind.LOST_FILE, name):
                self.names.lose(name)
        paths = [*self.names.seen, *self.folders]
        start = len(path.rstrip("/")) + 1
        return sorted(each[start:] for each in paths if each != "/" and parent(each) == path)

    def sync_folder(self, path: str, upto: int) -> None:
        """Raises DiskError, FileMissing."""
        self.refuse_missing_folder(path, "sync directory")
        self._refuse_sync(path)
        if self.faults.fires(Kind.SYNC_LIE, path):
            self.names.promise(path, upto)
        else:
            self.names.settle(path, upto)

    def refuse_folder(self, path: str, doing: str) -> None:
        """Raises DiskError for what is no file."""
        if path in self.folders:
            raise DiskError(f"cannot {doing} {path}: it is a directory")

    def refuse_missing_folder(self, path: str, doing: str) -> None:
        """Raises FileMissing for what is no directory."""
        if path not in self.folders:
            raise FileMissing(f"cannot {doing} {path}: no such directory")

    def _refuse_sync(self, path: str) -> None:
        if self.faults.fires(Kind.SYNC_ERROR, path):
            raise DiskError(f"cannot sync {path}: input/output error")
