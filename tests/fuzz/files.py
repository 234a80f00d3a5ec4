"""Files that are bytes in memory, for decoders that read a disk; and coroutines that never wait.

One rule: nothing here yields to a scheduler, so that an input costs microseconds.
"""

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from haqactor.env import Disk, File, FileMissing

T = TypeVar("T")


class ByteFile:
    """An open file that is read only."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data

    async def size(self) -> int:
        return len(self.data)

    async def pread(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]

    async def aclose(self) -> None:
        """Nothing is held."""


class ByteDisk:
    """A directory of such files, by path."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    async def open(self, path: str, *, create: bool = False) -> File:
        if path not in self.files:
            raise FileMissing(path)
        return cast(File, ByteFile(path, self.files[path]))


def byte_file(data: bytes) -> File:
    """A file of that content."""
    return cast(File, ByteFile("file", data))


def byte_disk(files: dict[str, bytes]) -> Disk:
    """A disk with those files."""
    return cast(Disk, ByteDisk(files))


def ran(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a coroutine waits, and nobody is there to wake it")
