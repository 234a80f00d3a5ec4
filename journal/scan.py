"""Walk the blocks of one segment, and say where and why that ends.

One rule: only bytes that check out are handed on; what they mean for the journal is judged in ``recovery``.
"""

from dataclasses import dataclass
from typing import Final

from haqactor.env import DiskError, File, NullProbe, Probe
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId
from haqactor.journal.block import (
    FIXED_BYTES,
    MAGIC,
    BlockHeader,
    Payload,
    begun,
    claimed_header_bytes,
    decode_header,
    decode_payload,
    named_place,
)
from haqactor.journal.config import SECTOR_BYTES
from haqactor.journal.files import damaged

_WINDOW_BYTES: Final = 1024 * 1024
_NULL: Final = NullProbe()


@dataclass(frozen=True, slots=True)
class Block:
    """A block that checked out. ``crc``: of its header, which the next block names."""

    header: BlockHeader
    payload: Payload
    raw: bytes  #: the payload as stored


@dataclass(frozen=True, slots=True)
class BadBlock:
    """Bytes where a block should be. ``header``: it, where it is believable though the payload is not."""

    path: str
    offset: int
    what: str
    header: BlockHeader | None

    @property
    def groups(self) -> tuple[GroupId, ...] | None:
        """The groups that the header names; None: it may have been any."""
        return None if self.header is None else tuple(row.group for row in self.header.rows)


class SegmentScan:
    """One pass over a segment. After ``next`` returned None, ``bad`` says whether something was there.
    ``short``: the file may have lost its end; what is left of it is read nevertheless."""

    def __init__(
        self, file: File, number: int, size: int, probe: Probe = _NULL, *, short: bool = False
    ) -> None:
        self._probe = probe
        self._short = short
        self._file = file
        self._number = number
        self._size = size
        self._window = b""
        self._window_at = 0
        self._epoch: int | None = None
        self.offset = 0
        self.bad: BadBlock | None = None

    async def _bytes(self, offset: int, size: int) -> bytes:
        """Bytes of the file, fewer at its end, through a window."""
        at = offset - self._window_at
        if at < 0 or at + size > len(self._window):
            self._window = await self._read(offset, size)
            self._window_at, at = offset, 0
        return self._window[at : at + size]

    async def _read(self, offset: int, size: int) -> bytes:
        try:
            return await self._file.pread(offset, max(size, _WINDOW_BYTES))
        except DiskError:
            if not self._short:
                raise
            return await self._file.pread(offset, size)  # what cannot be read may lie behind it

    def _fail(self, what: str, header: BlockHeader | None = None) -> None:
        self.bad = BadBlock(self._file.path, self.offset, what, header)

    async def next(self) -> Block | None:
        """The next block, or None at the end or before a bad one. Raises DataDamaged where the file is too
        short."""
        try:
            return await self._next()
        except DiskError as error:
            raise damaged(self._file.path, self.offset, f"cannot be read: {error}") from error

    async def _next(self) -> Block | None:
        if self.offset + FIXED_BYTES > self._size:
            return None
        head = await self._bytes(self.offset, FIXED_BYTES)
        claimed = claimed_header_bytes(head, 0)
        if claimed is None:
            if not await self._zeros():
                self._fail("no block header")
            return None
        try:
            data = await self._bytes(self.offset, claimed)
            header = decode_header(data, 0, self._number, self.offset, self._size)
            if self._epoch is not None and header.file_epoch != self._epoch:
                raise DataDamaged(
                    f"the block is of file epoch {header.file_epoch}, the file of {self._epoch}"
                )
        except DataDamaged as error:
            self._fail(str(error))
            return None
        if header.file_bytes > self._size and not self._short:
            groups = tuple(row.group for row in header.rows)
            raise damaged(
                self._file.path, self._size, f"the file ends here, and should at {header.file_bytes}", groups
            )
        try:
            payload = await self._bytes(self.offset + header.header_bytes, header.payload_bytes)
            block = Block(header, decode_payload(header, payload, self._probe), payload)
        except DataDamaged as error:
            if not (header.packed and self._probe.bug("journal.unpack_error_ends_log")):
                self._fail(str(error), header)
            return None
        self._epoch = header.file_epoch
        self.offset = header.end
        return block

    def skip_to(self, offset: int) -> None:
        """Go on there, behind what is bad."""
        self.offset, self.bad = offset, None

    async def good_header(self, start: int) -> int | None:
        """Where the next block begins whose header is good, from ``start`` on; None: nowhere. What cannot be
        read is passed over, sector by sector in its window, so that the file is read twice at most."""
        at, whole = start, True
        while at < self._size:
            end = min(self._size, at - at % _WINDOW_BYTES + _WINDOW_BYTES)
            try:
                data = await self._file.pread(at, (end if whole else min(end, at + SECTOR_BYTES)) - at)
            except DiskError:
                at, whole = at if whole else at + SECTOR_BYTES, False
                continue
            for begin in range(at, at + len(data), SECTOR_BYTES):
                if data[begin - at + 4 : begin - at + 8] == MAGIC and await self._begins(begin):
                    return begin
            at += len(data)
            whole = whole or at == end
            if not data:
                return None
        return None

    async def _begins(self, offset: int) -> bool:
        """Is there a good header?"""
        try:
            head = await self._file.pread(offset, FIXED_BYTES)
            data = await self._file.pread(offset, claimed_header_bytes(head, 0) or 0)
            decode_header(data, 0, self._number, offset, self._size)
        except (DataDamaged, DiskError):
            return False
        return True

    async def _zeros(self) -> bool:
        """Is all the rest of the file zero?"""
        return await first_written(self._file, self.offset, self._size) is None

    async def later_block(self) -> str | None:
        """What says that another block was begun behind the bad one: then that was durable once, and is
        corrupt, not torn (J2). A good header does, also of another place, which a disk mixed up; and so does
        one that names its place, though its checksum is wrong: who tears two blocks?"""
        bad = self.bad
        if bad is None:
            return None
        start = bad.offset + SECTOR_BYTES if bad.header is None else bad.header.end
        data = await self._file.pread(start, self._size - start)
        for begin in range(0, len(data.rstrip(b"\0")), SECTOR_BYTES):
            if data[begin + 4 : begin + 8] == MAGIC:
                try:
                    header = decode_header(data, begin, self._number, start + begin, self._size)
                except DataDamaged:
                    if named_place(data, begin) == (self._number, bad.offset):
                        return f"a block was begun at {start + begin}"
                else:
                    return f"block {header.sequence} at {header.offset} is good"
            if begun(data, begin, self._number, start + begin):
                return f"a block was begun at {start + begin}"
        return None


async def first_written(file: File, start: int, size: int) -> int | None:
    """The offset of a window that holds anything but zeros, from ``start`` on; None: all zero."""
    for offset in range(start, size, _WINDOW_BYTES):
        data = await file.pread(offset, min(_WINDOW_BYTES, size - offset))
        if data.count(0) != len(data):
            return offset
    return None


async def last_written(file: File, start: int, size: int) -> int:
    """Where the zeros at the end of the file begin, in whole windows; ``start`` when all is zero."""
    end = start
    for offset in range(start, size, _WINDOW_BYTES):
        data = await file.pread(offset, min(_WINDOW_BYTES, size - offset))
        if data.count(0) != len(data):
            end = offset + len(data)
    return end
