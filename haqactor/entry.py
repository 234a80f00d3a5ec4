"""An entry: one event in a group's log, the same bytes in the journal, on peer links and in caches.

One rule: the frame is built once, by the leader that appends it, and copied from there on.

Frame, little endian, 36 bytes and the payload::

    0   u32  crc32c of bytes 4..length
    4   u32  length of the whole frame
    8   u32  group
    12  u8   kind (Kind)
    13  u8   flags, 0
    14  u16  0
    16  u64  index
    24  u64  term
    32  u32  length of the header
    36  header (CBOR, or empty), then body (opaque)
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import google_crc32c

from haqactor.env import Buffer
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term

_HEAD: Final = struct.Struct("<IIIBBHQQI")
_AFTER_CRC: Final = struct.Struct("<IIBBHQQI")
HEAD_BYTES: Final = _HEAD.size
ENTRY_BYTES_MAX: Final = 64 * 1024 * 1024
"""What any reader takes: of the journal, and of what a peer sends."""
PROPOSED_BYTES_MAX: Final = 48 * 1024 * 1024
"""What a leader appends at most, well below that: an entry that no reader takes would be applied, and be
damage at the next start. The largest message and what may travel beside it fit."""


class Kind(IntEnum):
    """What an entry is for."""

    NOOP = 0  #: the start of a leader's term
    CONFIG = 1  #: the group's voters and learners; takes effect on append
    COMMAND = 2  #: for the group's machine


_KINDS: Final[dict[int, Kind]] = {int(kind): kind for kind in Kind}


class Entry:
    """One event. Immutable; ``frame`` is its bytes on every medium."""

    __slots__ = ("body_at", "frame", "group", "index", "kind", "term")

    def __init__(
        self, group: GroupId, index: Index, term: Term, kind: Kind, frame: bytes, body_at: int
    ) -> None:
        self.group = group
        self.index = index
        self.term = term
        self.kind = kind
        self.frame = frame
        self.body_at = body_at

    @property
    def header(self) -> memoryview:
        """The CBOR header's bytes."""
        return memoryview(self.frame)[HEAD_BYTES : self.body_at]

    @property
    def body(self) -> memoryview:
        """The opaque body; offsets into it are what the machine stores."""
        return memoryview(self.frame)[self.body_at :]

    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
        return len(self.frame)

    @property
    def crc(self) -> int:
        """CRC-32C of the frame, as it stands in it."""
        return int.from_bytes(self.frame[:4], "little")

    def __repr__(self) -> str:
        place = f"group={self.group}, index={self.index}, term={self.term}"
        return f"Entry({place}, {self.kind.name}, {self.size} B)"


def build(group: GroupId, index: Index, term: Term, kind: Kind, header: bytes, body: Buffer = b"") -> Entry:
    """A new entry; ``body`` is copied once."""
    length = HEAD_BYTES + len(header) + len(body)
    after = _AFTER_CRC.pack(length, group, kind, 0, 0, index, term, len(header))
    first = after + header
    body = body if type(body) is bytes else bytes(body)
    crc = google_crc32c.extend(google_crc32c.value(first), body)
    frame = b"".join((crc.to_bytes(4, "little"), first, body))
    return Entry(group, index, term, kind, frame, HEAD_BYTES + len(header))


def parse(frame: bytes, *, unchecked: bool = False) -> Entry:
    """One frame, checked (``unchecked``: a planted bug). Raises DataDamaged."""
    if len(frame) < HEAD_BYTES:
        raise DataDamaged(f"an entry of {len(frame)} bytes is shorter than its head")
    crc, length, group, kind, _flags, _zero, index, term, header = _HEAD.unpack_from(frame)
    if length != len(frame) or HEAD_BYTES + header > length:
        raise DataDamaged(f"an entry's lengths disagree: {length} and {header} in a frame of {len(frame)}")
    if not unchecked and google_crc32c.value(frame[4:]) != crc:
        raise DataDamaged(f"checksum of entry {index} (term {term}) of group {group} is wrong")
    if kind not in _KINDS or (index | term) >> 63:
        raise DataDamaged(f"no release writes entry {index} (term {term}, kind {kind}) of group {group}")
    return Entry(GroupId(group), Index(index), Term(term), _KINDS[kind], frame, HEAD_BYTES + header)


def parse_many(data: Buffer) -> Iterator[Entry]:
    """Frames one behind the other, each checked. Raises DataDamaged."""
    view = memoryview(data)
    at, end = 0, len(view)
    while at < end:
        if end - at < HEAD_BYTES:
            raise DataDamaged("entries end in the middle of a head")
        length = int.from_bytes(view[at + 4 : at + 8], "little")
        if not HEAD_BYTES <= length <= min(end - at, ENTRY_BYTES_MAX):
            raise DataDamaged(f"an entry claims {length} bytes where {end - at} are left")
        yield parse(data if length == end and isinstance(data, bytes) else bytes(view[at : at + length]))
        at += length
