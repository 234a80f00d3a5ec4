"""A batch: the messages of one publish, packed once by the producer and copied, never decoded, by the
servers.

One rule: the server reads the head and the columns of the table; only a client or the slicer opens the
content.

Layout, little endian, 24 bytes, the table, the content::

    0   u8   version, 1
    1   u8   flags: 1 content is zstd, 2 all lengths equal (one row of lengths), 4 flag column, 8 key column
    2   u16  number of messages, 1..256
    4   u32  bytes of the table
    8   u32  bytes of the content as stored
    12  u32  bytes of the content unpacked
    16  u32  crc32c of the content unpacked, which is also the producer's CRC of the batch
    20  u32  crc32c of bytes 0..20 and the table
    24  lengths u32 x n (or x 1), flags u8 x n, key hashes u64 x n
    ..  content: the messages one behind the other

A message whose flag has bit 0 begins with u32 and a CBOR list ``[key | None, headers | None, message_id |
None]``."""

import struct
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeGuard, cast

import google_crc32c
import zstandard

from haqactor import codec
from haqactor.config import MESSAGE_BYTES_MOST, MIB
from haqactor.env import Buffer
from haqactor.errors import ProtocolError

_HEAD: Final = struct.Struct("<BBHIIIII")
HEAD_BYTES: Final = _HEAD.size
VERSION: Final = 1
COUNT_MAX: Final = 256
PACKED_BYTES_MAX: Final = 256 * 1024
UNPACKED_BYTES_MAX: Final = MESSAGE_BYTES_MOST + MIB
"""What anybody who reads a stored batch unpacks: the largest message that any limit allows, and its extras.
Not the limit of today, or lowering it would make unreadable what was stored before (Q16)."""
ZSTD, EQUAL, FLAGS, KEYS = 1, 2, 4, 8
EXTRAS: Final = 1
_COMPRESS_FROM: Final = 256
_PIECE_BYTES: Final = 1024
_SURE_EVERY: Final = 16
_TEXT: Final = (str, type(None))
_MAP: Final = (dict, type(None))


Extras = tuple[str | None, dict[str, Any] | None, str | None]
"""A message's key, headers and id."""


class Content(NamedTuple):
    """One message as it is packed; ``extras``: None where it has none of them."""

    body: bytes
    extras: Extras | None = None


class Head(NamedTuple):
    """What the server knows of a batch. ``lengths`` has one row a message."""

    count: int  # type: ignore[assignment]  # shadows tuple.count, which nobody calls
    flags: int
    table_bytes: int
    stored_bytes: int
    content_bytes: int
    crc: int
    size: int


Contents = Sequence[bytes] | Sequence[Content]
"""Messages; where none has extras their bodies alone, for each object that is there beside them costs time
whenever garbage is collected."""


def are_bodies(contents: Contents) -> TypeGuard[Sequence[bytes]]:
    """Are they bodies alone?"""
    return type(contents[0]) is bytes


def key_hash(key: str) -> int:
    """The 64-bit hash of a routing key, the same on every machine."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")


class Packer:
    """Packs batches. Owned by one task: a zstd compressor must never be shared between threads."""

    __slots__ = ("_compressor", "_vain")

    def __init__(self, level: int = 1) -> None:
        self._compressor = zstandard.ZstdCompressor(level=level, write_content_size=True)
        self._vain = 0  # batches since the last one that shrank

    def pack(self, contents: Contents) -> bytes:
        """The bytes of a batch of 1..256 messages."""
        if are_bodies(contents):
            return self._pack(contents, 0, b"", array("Q"))
        given = cast("Sequence[Content]", contents)
        if any(content.extras is not None for content in given):
            pieces, marks, hashes = _with_extras(given)
            return self._pack(pieces, FLAGS | (KEYS if any(hashes) else 0), marks, hashes)
        return self._pack([content.body for content in given], 0, b"", array("Q"))

    def _pack(self, pieces: Sequence[bytes], flags: int, marks: bytes, hashes: "array[int]") -> bytes:
        lengths = array("I", map(len, pieces))
        if lengths.count(lengths[0]) == len(lengths):
            flags |= EQUAL
            lengths = lengths[:1]
        table = b"".join((lengths.tobytes(), marks, hashes.tobytes() if flags & KEYS else b""))
        raw = b"".join(pieces)
        stored = self._compressed(raw) if len(raw) >= _COMPRESS_FROM else None
        if stored is None:
            stored = raw
        else:
            flags |= ZSTD
        fixed = _HEAD.pack(
            VERSION, flags, len(pieces), len(table), len(stored), len(raw), google_crc32c.value(raw), 0
        )[:20]
        check = google_crc32c.extend(google_crc32c.value(fixed), table)
        return b"".join((fixed, check.to_bytes(4, "little"), table, stored))

    def _compressed(self, raw: bytes) -> bytes | None:
        """None where that is not worth it. Who publishes what does not shrink (pictures, ciphertext) mostly
        goes on so, and trying would be a third of a producer's work: after one that did not shrink a piece is
        tried first. All of every sixteenth is, whatever its piece says: that sees no repetition far away."""
        if self._vain % _SURE_EVERY and len(raw) >= 2 * _PIECE_BYTES:
            piece = raw[:_PIECE_BYTES]
            if not _shrank(self._compressor.compress(piece), piece):
                self._vain += 1
                return None
        packed = self._compressor.compress(raw)
        if _shrank(packed, raw):
            self._vain = 0
            return packed
        self._vain += 1
        return None


def _shrank(packed: bytes, raw: bytes) -> bool:
    return len(packed) < len(raw) - len(raw) // 16


def _with_extras(contents: Sequence[Content]) -> tuple[list[bytes], bytes, "array[int]"]:
    pieces: list[bytes] = []
    marks = bytearray()
    hashes = array("Q")
    for body, extras in contents:
        if extras is None:
            pieces.append(body)
            marks.append(0)
            hashes.append(0)
            continue
        head = codec.dumps(list(extras))
        pieces.append(b"".join((len(head).to_bytes(4, "little"), head, body)))
        marks.append(EXTRAS)
        hashes.append(key_hash(extras[0]) if extras[0] is not None else 0)
    return pieces, bytes(marks), hashes


def head(data: Buffer) -> Head:
    """Read and check the head and table of the batch that ``data`` is. Raises ProtocolError."""
    if len(data) < HEAD_BYTES:
        raise ProtocolError("a batch is shorter than its head")
    version, flags, count, table, stored, raw, crc, check = _HEAD.unpack_from(data)
    size = HEAD_BYTES + table + stored
    if version != VERSION or not 1 <= count <= COUNT_MAX or size != len(data):
        raise ProtocolError(
            f"a batch's head is wrong (version {version}, {count} messages, {size} of {len(data)} bytes)"
        )
    if table != _table_bytes(flags, count) or (not flags & ZSTD and stored != raw):
        raise ProtocolError("a batch's table has the wrong length")
    view = memoryview(data)
    if (
        google_crc32c.extend(
            google_crc32c.value(bytes(view[:20])), bytes(view[HEAD_BYTES : HEAD_BYTES + table])
        )
        != check
    ):
        raise ProtocolError("a batch's table has the wrong checksum")
    if sum(lengths(data)) != raw:
        raise ProtocolError("a batch's lengths do not add up to its content")
    return Head(count, flags, table, stored, raw, crc, size)


def _table_bytes(flags: int, count: int) -> int:
    rows = 1 if flags & EQUAL else count
    return rows * 4 + (count if flags & FLAGS else 0) + (count * 8 if flags & KEYS else 0)


def lengths(data: Buffer) -> Sequence[int]:
    """The messages' lengths as packed."""
    flags, count = data[1], int.from_bytes(bytes(data[2:4]), "little")
    rows = 1 if flags & EQUAL else count
    column = array("I")
    column.frombytes(bytes(data[HEAD_BYTES : HEAD_BYTES + rows * 4]))
    return column * count if flags & EQUAL else column


def content(data: Buffer, content_bytes_max: int) -> bytes:
    """The unpacked content, bounded (a decompression bomb is a ProtocolError) and checked."""
    at = head(data)
    if at.content_bytes > content_bytes_max:
        raise ProtocolError(
            f"a batch unpacks to {at.content_bytes} bytes, over the limit of {content_bytes_max}"
        )
    stored = bytes(memoryview(data)[HEAD_BYTES + at.table_bytes :])
    raw = stored
    if at.flags & ZSTD:
        raw = _decompress(stored, at.content_bytes)
    if len(raw) != at.content_bytes or google_crc32c.value(raw) != at.crc:
        raise ProtocolError("a batch's content has the wrong length or checksum")
    return raw


def _decompress(stored: bytes, size: int) -> bytes:
    try:
        declared = zstandard.frame_content_size(stored)
        if declared != size:
            raise ProtocolError(f"a batch says {size} bytes where its zstd frame says {declared}")
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=size)
    except zstandard.ZstdError as error:
        raise ProtocolError(f"a batch does not unpack: {error}") from error


def unpack(data: Buffer, content_bytes_max: int) -> list[Content]:
    """The messages. Raises ProtocolError."""
    bodies, extras = columns(data, content_bytes_max)
    return list(map(Content, bodies, extras or [None] * len(bodies)))


def columns(data: Buffer, content_bytes_max: int) -> tuple[list[bytes], list[Extras | None] | None]:
    """Their bodies, and their extras where any has some. Raises ProtocolError."""
    raw = content(data, content_bytes_max)
    flags, count = data[1], int.from_bytes(bytes(data[2:4]), "little")
    ends = list(accumulate(lengths(data)))
    pieces = [raw[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    if not flags & FLAGS:
        return pieces, None
    start = HEAD_BYTES + (4 if flags & EQUAL else 4 * count)
    extras: list[Extras | None] = [None] * count
    for row, mark in enumerate(bytes(data[start : start + count])):
        if mark & EXTRAS:
            pieces[row], extras[row] = _open(pieces[row])
    return pieces, extras


def _open(piece: bytes) -> Content:
    size = int.from_bytes(piece[:4], "little")
    if 4 + size > len(piece):
        raise ProtocolError("a message's extras are longer than the message")
    given: object = codec.loads(piece[4 : 4 + size])
    extras = given if codec.is_list(given) else []
    if (
        len(extras) != 3
        or type(extras[0]) not in _TEXT
        or type(extras[1]) not in _MAP
        or type(extras[2]) not in _TEXT
    ):
        raise ProtocolError("a message's extras are not [key, headers, message_id]")
    return Content(piece[4 + size :], (extras[0], extras[1], extras[2]))


def select(data: Buffer, rows: Sequence[int], content_bytes_max: int) -> bytes:
    """The slicer: a new batch of some of the rows, in that order. CPU work: run it through ``offload``."""
    contents = unpack(data, content_bytes_max)
    return Packer().pack([contents[row] for row in rows])
