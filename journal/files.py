"""Open data files shared by the writer, readers and compaction; and the names of all files in a data
directory.

One rule: a retired file stays open until its last reader is done.
"""

from array import array
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from haqactor.env import File
from haqactor.errors import DataDamaged

LOCK: Final = "lock"
IDENTITY: Final = "identity"
TEMPORARY: Final = ".tmp"
PACKED: Final = 1 << 63
_NUMBER_SHIFT: Final = 32
_POSITION_MASK: Final = (1 << _NUMBER_SHIFT) - 1


def segment_name(number: int) -> str:
    """``segment-0000000000000001``"""
    return f"segment-{number:016d}"


def cold_name(group: int, number: int) -> str:
    """``cold-<group>-<number>``"""
    return f"cold-{group:08d}-{number:016d}"


def snapshot_name(group: int, number: int) -> str:
    """``snapshot-<group>-<number>``"""
    return f"snapshot-{group:08d}-{number:016d}"


def parse_name(name: str) -> tuple[str, int, int] | None:
    """(kind, group, number) of a file of ours; group 0 for segments. None for others and temporary ones."""
    parts = name.split("-")
    if not all(part.isdecimal() for part in parts[1:]):
        return None
    if parts[0] == "segment" and len(parts) == 2:
        return "segment", 0, int(parts[1])
    if parts[0] in ("cold", "snapshot") and len(parts) == 3:
        return parts[0], int(parts[1]), int(parts[2])
    return None


def packed_place(ordinal: int, position: int) -> int:
    """Where an entry in the ``ordinal``-th packed section of a file is."""
    return PACKED | ordinal << _NUMBER_SHIFT | position


def split_place(place: int) -> tuple[int, int]:
    """(ordinal, position) of a packed place."""
    return (place & ~PACKED) >> _NUMBER_SHIFT, place & _POSITION_MASK


class DataFile:
    """A segment or a cold segment, open. ``packed_*`` are columns with a row per packed section."""

    __slots__ = (
        "doomed",
        "file",
        "first_sequence",
        "frame_bytes",
        "number",
        "packed_at",
        "packed_raw",
        "packed_stored",
        "size",
        "users",
    )

    def __init__(self, file: File, number: int, size: int) -> None:
        self.file = file
        self.number = number
        self.size = size
        self.users = 0
        self.doomed = False
        self.first_sequence = 0
        self.frame_bytes = 0
        self.packed_at = array("Q")
        self.packed_stored = array("I")
        self.packed_raw = array("I")

    @property
    def path(self) -> str:
        """The file's path."""
        return self.file.path

    def add_packed(self, offset: int, stored: int, raw: int) -> int:
        """One more packed section; returns its ordinal."""
        self.packed_at.append(offset)
        self.packed_stored.append(stored)
        self.packed_raw.append(raw)
        return len(self.packed_at) - 1

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[File, None]:
        """Use the file; it will not be closed meanwhile."""
        self.users += 1
        try:
            yield self.file
        finally:
            self.users -= 1
            if self.doomed and not self.users:
                await self.file.aclose()

    async def retire(self) -> None:
        """Close as soon as nobody reads."""
        if not self.doomed:
            self.doomed = True
            if not self.users:
                await self.file.aclose()


def damaged(path: str, offset: int, what: object, groups: tuple[int, ...] = ()) -> DataDamaged:
    """The error for bytes that are not what was written: it names file, place and groups."""
    named = f" (groups {', '.join(str(group) for group in groups)})" if groups else ""
    return DataDamaged(f"{path} at offset {offset}: {what}{named}")
