"""Sealed files: written once, then never changed. Cold segments and snapshots are made of them.

One rule: a sealed file is whole under its name or it is not there: written as ``.tmp``, synced, renamed, the
directory synced; and only then named in the journal, with its size and its trailer's checksum (J7).
"""

import struct
from collections.abc import Sequence
from typing import Final

import google_crc32c

from haqactor.env import Buffer, Disk, DiskError, File, FileMissing, NullProbe, Probe
from haqactor.errors import DataDamaged
from haqactor.journal.files import TEMPORARY, damaged
from haqactor.journal.record import SealedRef

COLD: Final = b"HQC1"
SNAPSHOT: Final = b"HQS1"
_HEAD: Final = struct.Struct("<I4sIQQ")
_TRAILER: Final = struct.Struct("<I4sIQQQI")
HEAD_BYTES: Final = _HEAD.size
TRAILER_BYTES: Final = _TRAILER.size
FOOTER_BYTES_MAX: Final = 1 << 32
_WRITTEN_AT_ONCE: Final = 262_144
"""Less than that is kept until there is more, or the end: a write is a journey to a thread and back."""
_SYNCED_AT_ONCE: Final = 16 * 1024 * 1024
"""A long file is synced every so often while it grows: one sync at the end would hold up the journal, whose
own syncs wait for the same disk, for as long as all of it takes."""
_NULL: Final = NullProbe()


class SealedWriter:
    """Writes one sealed file. ``number`` is its own within the group, never used again."""

    def __init__(
        self, disk: Disk, directory: str, name: str, file: File, magic: bytes, group: int, number: int
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._name = name
        self._file = file
        self._magic = magic
        self.group = group
        self.number = number
        self._path = f"{directory}/{name}{TEMPORARY}"
        self.offset = 0
        self._kept: list[Buffer] = []
        self._kept_from = 0
        self._synced = 0
        self.probe: Probe = _NULL

    @classmethod
    async def create(
        cls, disk: Disk, directory: str, name: str, magic: bytes, group: int, number: int, epoch: int
    ) -> "SealedWriter":
        """Begin the file under its temporary name; remains of an earlier attempt go."""
        path = f"{directory}/{name}{TEMPORARY}"
        try:
            await disk.unlink(path)
        except FileMissing:
            pass
        file = await disk.open(path, create=True)
        rest = _HEAD.pack(0, magic, group, number, epoch)[4:]
        writer = cls(disk, directory, name, file, magic, group, number)
        writer._keep([google_crc32c.value(rest).to_bytes(4, "little") + rest])
        return writer

    async def add(self, buffers: Sequence[Buffer]) -> int:
        """Append; returns the offset of the first byte. The buffers are not changed from now on."""
        offset = self._keep(buffers)
        if self.offset - self._kept_from >= _WRITTEN_AT_ONCE:
            await self._write()
            if self.offset - self._synced >= _SYNCED_AT_ONCE:
                self._synced = self.offset
                await self._file.sync()
        return offset

    def _keep(self, buffers: Sequence[Buffer]) -> int:
        offset = self.offset
        self._kept.extend(buffers)
        self.offset += sum(len(buffer) for buffer in buffers)
        return offset

    async def _write(self) -> None:
        await self._file.pwrite(self._kept_from, tuple(self._kept))
        self._kept, self._kept_from = [], self.offset  # not before: who is cancelled may come again

    async def finish(self, footer: bytes) -> SealedRef:
        """Footer, trailer, and all of it durable under its name."""
        at = self._keep([footer])
        rest = _TRAILER.pack(
            0, self._magic, self.group, self.number, at, len(footer), google_crc32c.value(footer)
        )[4:]
        crc = google_crc32c.value(rest)
        self._keep([crc.to_bytes(4, "little") + rest])
        await self._write()
        if not self.probe.bug("journal.renamed_before_sync"):
            await self._file.sync()
        await self._file.aclose()
        path = f"{self._directory}/{self._name}"
        await self._disk.rename(self._path, path)
        self._path = path
        await self._disk.sync_directory(self._directory)
        return SealedRef(self.number, self.offset, crc)

    async def abandon(self) -> None:
        """Give up, also on a finished file that nobody has named; leaves nothing if the disk allows. Again
        does no harm."""
        await self._file.aclose()
        try:
            await self._disk.unlink(self._path)
        except DiskError:
            return


async def open_sealed(
    file: File, magic: bytes, group: int, ref: SealedRef | None
) -> tuple[SealedRef, bytes, int]:
    """Check head, trailer and footer. Returns (what it is, footer, where the footer begins). Raises
    DataDamaged, also for what cannot be read."""
    try:
        return await _open_sealed(file, magic, group, ref)
    except DiskError as error:
        raise damaged(file.path, 0, f"cannot be read: {error}", (group,)) from error


async def _open_sealed(
    file: File, magic: bytes, group: int, ref: SealedRef | None
) -> tuple[SealedRef, bytes, int]:
    path = file.path
    size = await file.size()
    if size < HEAD_BYTES + TRAILER_BYTES or (ref is not None and ref.size != size):
        expected = "" if ref is None else f" where the journal names {ref.size}"
        raise damaged(path, 0, f"the file has {size} bytes{expected}", (group,))
    head = await file.pread(0, HEAD_BYTES)
    crc, found, found_group, number, _epoch = _HEAD.unpack(head)
    if google_crc32c.value(head[4:]) != crc or (found, found_group) != (magic, group):
        raise damaged(path, 0, "the file's head is wrong", (group,))
    at = size - TRAILER_BYTES
    trailer = await file.pread(at, TRAILER_BYTES)
    crc, found, found_group, tail_number, footer_at, footer_bytes, footer_crc = _TRAILER.unpack(trailer)
    right = google_crc32c.value(trailer[4:]) == crc and (found, found_group, tail_number) == (
        magic,
        group,
        number,
    )
    if not right or (ref is not None and ref.crc >= 0 and (ref.crc, ref.number) != (crc, number)):
        raise damaged(path, at, "the file's trailer is wrong", (group,))
    if footer_at + footer_bytes != at:
        raise damaged(path, at, "the file's trailer has impossible lengths", (group,))
    footer = await file.pread(footer_at, footer_bytes)
    if google_crc32c.value(footer) != footer_crc:
        raise damaged(path, footer_at, "the footer's checksum is wrong", (group,))
    return SealedRef(number, size, crc), footer, footer_at


async def open_named(disk: Disk, directory: str, name: str, group: int) -> File:
    """A sealed file that the journal names; where it is missing that is damage."""
    try:
        return await disk.open(f"{directory}/{name}")
    except FileMissing as error:
        raise DataDamaged(
            f"{directory}/{name} is missing, though the journal names it (group {group})"
        ) from error
