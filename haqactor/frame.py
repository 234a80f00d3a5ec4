"""Frames on a byte stream, for clients and peers alike; sans-IO.

One rule: nothing behind a prelude is believed before its length is within the bound and its checksum is
right.

Frame, little endian, 16 bytes and the payload::

    0   u32  length of the whole frame
    4   u32  crc32c of bytes 8..length
    8   u8   kind (the protocol above gives it a meaning)
    9   u8   flags, 0
    10  u16  magic 0x4A51 ("QJ")
    12  u32  length of the header
    16  header (CBOR), then blob (opaque)
"""

import struct
from typing import Any, Final, NamedTuple

import google_crc32c

from haqactor import codec
from haqactor.env import Buffer, NullProbe, Probe
from haqactor.errors import ProtocolError

_PRELUDE: Final = struct.Struct("<IIBBHI")
_AFTER_CRC: Final = struct.Struct("<BBHI")
_BEFORE: Final = struct.Struct("<II")
PRELUDE_BYTES: Final = _PRELUDE.size
MAGIC: Final = 0x4A51
_DECODED: Final = 8
"""What a header takes in memory, lists and numbers, about: so many times its bytes on the wire."""
_JOINED_BYTES_MAX: Final = 4096
"""Blobs up to this are copied twice: one checksum over all costs less than one for each."""
_SMALL_BYTES: Final = 4096
"""Reads below are put together in one buffer: each as an object of its own would take several times its
bytes."""
_NULL: Final = NullProbe()


class Frame(NamedTuple):
    """One received frame; ``header`` is decoded CBOR (from ``header_bytes`` on the wire), ``blob`` its opaque
    rest."""

    kind: int
    header: Any
    blob: bytes
    header_bytes: int = 0

    @property
    def size(self) -> int:
        """About the bytes that it holds, for flow control."""
        return PRELUDE_BYTES + self.header_bytes * _DECODED + len(self.blob)


def encode(kind: int, header: Any, *blobs: Buffer) -> bytes:
    """A frame's bytes; the blobs are joined."""
    head = codec.dumps(header)
    rest = _AFTER_CRC.pack(kind, 0, MAGIC, len(head)) + head
    size = sum(map(len, blobs))
    if size <= _JOINED_BYTES_MAX:
        rest = b"".join((rest, *blobs))
        return _BEFORE.pack(len(rest) + 8, google_crc32c.value(rest)) + rest
    crc = google_crc32c.value(rest)
    parts = [blob if type(blob) is bytes else bytes(blob) for blob in blobs]
    for part in parts:  # bytes are copied once
        crc = google_crc32c.extend(crc, part)
    return b"".join((_BEFORE.pack(len(rest) + size + 8, crc), rest, *parts))


class Decoder:
    """Bytes in, frames out. Memory is bounded by one frame of ``frame_bytes_max`` and what was fed behind
    it."""

    __slots__ = ("_fault", "_forgets", "_parts", "_wanted", "frame_bytes_max", "pending_bytes")

    def __init__(self, frame_bytes_max: int, probe: Probe = _NULL) -> None:
        self._forgets = probe.bug("frame.rest_forgotten")
        self._parts: list[bytes | bytearray] = []
        self._wanted = 0
        self._fault: ProtocolError | None = None
        self.frame_bytes_max = frame_bytes_max
        self.pending_bytes = 0
        """Bytes of an incomplete frame; 0 between frames."""

    def feed(self, data: Buffer) -> list[Frame]:
        """All frames that ``data`` completes. Raises ProtocolError; the stream is then out of step and must
        end. Good frames ahead of what is wrong are returned first: ``check``, or the next ``feed``, raises
        then."""
        self.check()
        if self._parts:
            self._keep(data)
            if self.pending_bytes < self._wanted:
                return []
            data = b"".join(self._parts)
            self._drop()
        whole = data if type(data) is bytes else bytes(data)
        frames: list[Frame] = []
        try:
            at = self._parse(whole, frames)
        except ProtocolError as error:
            self._fault = error
            if not frames:
                raise
            return frames
        if at < len(whole) and not self._forgets:
            self._keep(whole[at:])
        return frames

    def _keep(self, data: Buffer) -> None:
        """Wait for the rest; what is large is put together, and so copied, once."""
        parts = self._parts
        if len(data) >= _SMALL_BYTES:
            parts.append(data if type(data) is bytes else bytes(data))
        elif parts and type(parts[-1]) is bytearray:
            parts[-1] += data
        else:
            parts.append(bytearray(data))
        self.pending_bytes += len(data)

    def _drop(self) -> None:
        self._parts.clear()
        self.pending_bytes = 0

    def check(self) -> None:
        """Raise what was wrong behind the frames that ``feed`` returned. Raises ProtocolError."""
        if self._fault is not None:
            raise self._fault

    def _parse(self, buffer: bytes, frames: list[Frame]) -> int:
        """Take whole frames off the beginning; returns where the rest begins, and notes how long that is
        going to be."""
        at, end = 0, len(buffer)
        while end - at >= PRELUDE_BYTES:
            length, crc, kind, _flags, magic, head = _PRELUDE.unpack_from(buffer, at)
            if magic != MAGIC:
                raise ProtocolError("this is not the haqactor protocol (is the port right?)")
            if not PRELUDE_BYTES + head <= length <= self.frame_bytes_max:
                raise ProtocolError(
                    f"a frame of {length} bytes (header {head}) is over the limit of {self.frame_bytes_max}"
                )
            if end - at < length:
                self._wanted = length
                return at
            begin = at + PRELUDE_BYTES + head
            first, blob = buffer[at + 8 : begin], buffer[begin : at + length]
            if google_crc32c.extend(google_crc32c.value(first), blob) != crc:
                raise ProtocolError("a frame's checksum is wrong")
            frames.append(Frame(kind, codec.loads(first[8:]), blob, head))
            at += length
        self._wanted = PRELUDE_BYTES
        return at
