"""A block: what one fsync writes. Its header, its payload, and the judgement whether bytes are one.

One rule: nothing of a block is believed before its header's checksum, place and lengths are, and nothing
of its payload
before the payload's checksum is. Pure functions; the layout is in the package's docstring.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import google_crc32c
import zstandard

from haqactor.entry import ENTRY_BYTES_MAX, HEAD_BYTES, Kind
from haqactor.env import NullProbe, Probe
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term
from haqactor.journal.config import SECTOR_BYTES

MAGIC: Final = b"HQB1"
VERSION: Final = 1
DATA: Final = 0
END: Final = 1
FLAG_HEAD: Final = 1
FLAG_PACKED: Final = 2
SECTION_BYTES_MAX: Final = 64 * 1024 * 1024
PACKED_BYTES_MAX: Final = 16 * 1024 * 1024

_FIXED: Final = struct.Struct("<I4sHBBIIIQQQQQQQQIIIIHHI")
_ROW: Final = struct.Struct("<IIQQ")
_ENTRY: Final = struct.Struct("<IIIBBHQQI")
FIXED_BYTES: Final = _FIXED.size
HEADER_BYTES_MAX: Final = FIXED_BYTES + 65_535 * _ROW.size
_MAGIC_AT: Final = 4
_NULL: Final = NullProbe()


class Row(NamedTuple):
    """One group of a block: ``entries`` of it, ``first`` to ``last``; all 0 where it has only records."""

    group: GroupId
    entries: int
    first: Index
    last: Index


@dataclass(slots=True)
class BlockHeader:
    """A block's header. Sizes in bytes. Never changed; not frozen, since that would triple the cost of
    making one."""

    kind: int
    flags: int
    header_bytes: int
    payload_bytes: int
    payload_crc: int
    file_id: int
    file_epoch: int
    file_bytes: int
    offset: int
    sequence: int
    durable_upto: int
    boot: int
    oldest: int
    previous_crc: int
    records_bytes: int
    section_bytes: int
    section_raw_bytes: int
    entry_count: int
    rows: tuple[Row, ...]
    crc: int

    @property
    def packed(self) -> bool:
        """The section is zstd."""
        return bool(self.flags & FLAG_PACKED)

    @property
    def end(self) -> int:
        """Where the next block begins."""
        return aligned(self.offset + self.header_bytes + self.payload_bytes)

    @property
    def section_offset(self) -> int:
        """Where in the file the section begins."""
        return self.offset + self.header_bytes


class Frame(NamedTuple):
    """Where an entry of a block lies: ``position`` in the unpacked section if ``packed``, else in the
    file."""

    group: GroupId
    log_index: Index
    term: Term
    kind: int
    packed: bool
    position: int
    length: int


class Payload(NamedTuple):
    """A payload, checked: its unpacked section, its records' bytes and its entries by place."""

    section: bytes
    records: bytes
    frames: list[Frame]


def aligned(size: int) -> int:
    """``size`` rounded up to whole sectors."""
    return (size + SECTOR_BYTES - 1) // SECTOR_BYTES * SECTOR_BYTES


def encode_header(header: BlockHeader, rows: Sequence[tuple[int, ...]] | None = None) -> tuple[bytes, int]:
    """The header's bytes and their checksum (``header.crc`` and ``header_bytes`` are not looked at).
    ``rows``: in
    place of ``header.rows``."""
    if rows is None:
        rows = header.rows
    fixed = _FIXED.pack(
        0,
        MAGIC,
        VERSION,
        header.kind,
        header.flags,
        FIXED_BYTES + len(rows) * _ROW.size,
        header.payload_bytes,
        header.payload_crc,
        header.file_id,
        header.file_epoch,
        header.file_bytes,
        header.offset,
        header.sequence,
        header.durable_upto,
        header.boot,
        header.oldest,
        header.previous_crc,
        header.records_bytes,
        header.section_bytes,
        header.section_raw_bytes,
        len(rows),
        0,
        header.entry_count,
    )
    rest = fixed[4:] + b"".join([_ROW.pack(*row) for row in rows])
    crc = google_crc32c.value(rest)
    return crc.to_bytes(4, "little") + rest, crc


def header_size(groups: int) -> int:
    """Bytes of a header that names so many groups."""
    return FIXED_BYTES + groups * _ROW.size


def claimed_header_bytes(data: bytes, at: int) -> int | None:
    """How long the header at ``at`` says it is; None where there is no header. Needs ``FIXED_BYTES``
    bytes."""
    if data[at + _MAGIC_AT : at + _MAGIC_AT + 4] != MAGIC or len(data) - at < FIXED_BYTES:
        return None
    size = int.from_bytes(data[at + 12 : at + 16], "little")
    return size if FIXED_BYTES <= size <= HEADER_BYTES_MAX else None


def named_place(data: bytes, at: int) -> tuple[int, int] | None:
    """The segment and the offset that the header at ``at`` names, right or wrong; None where there is no
    header."""
    if claimed_header_bytes(data, at) is None:
        return None
    fields = _FIXED.unpack_from(data, at)
    return fields[8], fields[11]


def begun(data: bytes, at: int, file_id: int, offset: int) -> bool:
    """Was a block written at ``data[at:]``, which lies at ``offset`` of that file? Two of the three marks
    that say so are enough, for one may have rotted."""
    if len(data) - at < FIXED_BYTES:
        return False
    fields: tuple[Any, ...] = _FIXED.unpack_from(data, at)
    marks: tuple[bool, ...] = (fields[1] == MAGIC, fields[8] == file_id, fields[11] == offset)
    return sum(marks) >= 2


def decode_header(data: bytes, at: int, file_id: int, offset: int, file_bytes: int) -> BlockHeader:
    """The header at ``data[at:]``, which lies at ``offset`` of that file. Raises DataDamaged with what is
    wrong."""
    size = claimed_header_bytes(data, at)
    if size is None or size > len(data) - at:
        raise DataDamaged("no block header")
    fields = _FIXED.unpack_from(data, at)
    crc = fields[0]
    if (size - FIXED_BYTES) % _ROW.size:
        raise DataDamaged(f"no block header has {size} bytes")
    if google_crc32c.value(data[at + 4 : at + size]) != crc:
        raise DataDamaged("the block header's checksum is wrong")
    rows = tuple(
        Row(GroupId(group), count, Index(first), Index(last))
        for group, count, first, last in _ROW.iter_unpack(data[at + FIXED_BYTES : at + size])
    )
    values: tuple[Any, ...] = (*fields[3:20], fields[22], rows, crc)
    header = BlockHeader(*values)
    if fields[2] != VERSION:
        raise DataDamaged(f"the block is of version {fields[2]}; this program reads {VERSION}")
    if fields[20] != len(rows):
        raise DataDamaged("the block header's group count disagrees with its length")
    if (header.file_id, header.offset) != (file_id, offset):
        raise DataDamaged(f"the block belongs to segment {header.file_id}, offset {header.offset}")
    if header.end > max(header.file_bytes, file_bytes) or header.section_bytes > header.payload_bytes:
        raise DataDamaged("the block header's lengths are impossible")
    return header


class Packer:
    """Compresses the small frames of blocks for one writer, and stops trying for a while where that does
    not pay.

    A zstd compressor must not be shared between threads; each writer has one of these.
    """

    def __init__(self, level: int) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level, write_content_size=True) if level else None
        self._skip = 0
        self._penalty = 1

    def pack(self, section: bytes) -> bytes | None:
        """The packed section, or None: it stays as it is."""
        if self._zstd is None:
            return None
        packed = self._zstd.compress(section)
        if len(packed) * 4 > len(section) * 3:
            self._penalty = min(self._penalty * 2, 64)
            self._skip = self._penalty
            return None
        self._penalty = 1
        return packed

    def rests(self) -> bool:
        """This block is not tried; asking counts it."""
        if self._zstd is None:
            return True
        if self._skip:
            self._skip -= 1
            return True
        return False


def unpack(stored: bytes, raw_bytes: int) -> bytes:
    """A packed section, bounded by what its header says (J11). Raises DataDamaged."""
    if raw_bytes > PACKED_BYTES_MAX:
        raise DataDamaged(f"a packed section claims {raw_bytes} bytes; {PACKED_BYTES_MAX} is the most")
    try:
        if zstandard.frame_content_size(stored) != raw_bytes:
            raise DataDamaged("a packed section's size disagrees with its header")
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=raw_bytes)
    except zstandard.ZstdError as error:
        raise DataDamaged(f"a packed section cannot be unpacked ({error})") from error


def _frames(data: bytes, at: int, end: int, base: int, packed: bool, into: list[Frame]) -> None:
    """Walk entry heads in ``data[at:end]``; positions count from ``base`` at ``data[0]``."""
    while at < end:
        if end - at < HEAD_BYTES:
            raise DataDamaged("a block's entries end in the middle of a head")
        _crc, length, group, kind, _flags, _zero, index, term, header = _ENTRY.unpack_from(data, at)
        if not HEAD_BYTES + header <= length <= min(end - at, ENTRY_BYTES_MAX) or kind > Kind.COMMAND:
            raise DataDamaged(f"entry {index} of group {group} has impossible lengths")
        into.append(Frame(GroupId(group), Index(index), Term(term), kind, packed, base + at, length))
        at += length


def decode_payload(header: BlockHeader, payload: bytes, probe: Probe = _NULL) -> Payload:
    """The payload of a block, checked whole: checksum, section, entries against the header's rows. Raises
    DataDamaged."""
    sound = len(payload) == header.payload_bytes and google_crc32c.value(payload) == header.payload_crc
    if not (sound or probe.bug("journal.torn_block_taken") or probe.bug("journal.checksum_ignored")):
        raise DataDamaged("the block payload's checksum is wrong")
    section = payload[: header.section_bytes]
    if header.packed:
        section = unpack(section, header.section_raw_bytes)
    if header.records_bytes > len(section):
        raise DataDamaged("the block's records are longer than their section")
    frames: list[Frame] = []
    base = 0 if header.packed else header.section_offset
    _frames(section, header.records_bytes, len(section), base, header.packed, frames)
    _frames(payload, header.section_bytes, len(payload), header.section_offset, False, frames)
    if len(frames) != header.entry_count:
        raise DataDamaged(f"the block holds {len(frames)} entries where its header says {header.entry_count}")
    by_group: dict[GroupId, list[Frame]] = {}
    for frame in frames:
        by_group.setdefault(frame.group, []).append(frame)
    ordered: list[Frame] = []
    for row in header.rows:
        mine = sorted(by_group.pop(row.group, ()), key=lambda frame: frame.log_index)
        if len(mine) != row.entries or (
            mine and (mine[0].log_index, mine[-1].log_index) != (row.first, row.last)
        ):
            raise DataDamaged(f"the block's entries of group {row.group} disagree with its header")
        ordered += mine
    if by_group:
        raise DataDamaged("the block holds entries of groups that its header does not name")
    return Payload(section, section[: header.records_bytes], ordered)
