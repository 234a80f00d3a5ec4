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
    rest = b"".join((_AFTER_CRC.pack(kind, 0, MAGIC, len(head)), head, *blobs))
    return b"".join((_BEFORE.pack(len(rest) + 8, google_crc32c.value(rest)), rest))


class Decoder:
    """Bytes in, frames out. Memory is bounded by one frame of ``frame_bytes_max`` and what was fed behind
    it."""

    __slots__ = ("_buffer", "_fault", "_forgets", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int, probe: Probe = _NULL) -> None:
        self._forgets = probe.bug("frame.rest_forgotten")
        self._buffer = bytearray()
        self._fault: ProtocolError | None = None
        self.frame_bytes_max = frame_bytes_max

    @property
    def pending_bytes(self) -> int:
        """Bytes of an incomplete frame; 0 between frames."""
        return len(self._buffer)

    def feed(self, data: Buffer) -> list[Frame]:
        """All frames that ``data`` completes. Raises ProtocolError; the stream is then out of step and must
        end. Good frames ahead of what is wrong are returned first: ``check``, or the next ``feed``, raises
        then."""
        self.check()
        frames: list[Frame] = []
        try:
            if self._buffer or not isinstance(data, bytes):
                self._buffer += data
                at = self._parse(self._buffer, frames)
                del self._buffer[: len(self._buffer) if self._forgets else at]
            else:  # most reads begin and end with a frame: nothing is kept, or copied twice
                at = self._parse(data, frames)
                if at < len(data) and not self._forgets:
                    self._buffer += memoryview(data)[at:]
        except ProtocolError as error:
            self._fault = error
            self._buffer.clear()
            if not frames:
                raise
        return frames

    def check(self) -> None:
        """Raise what was wrong behind the frames that ``feed`` returned. Raises ProtocolError."""
        if self._fault is not None:
            raise self._fault

    def _parse(self, buffer: bytes | bytearray, frames: list[Frame]) -> int:
        """Take whole frames off the beginning; returns where the rest begins."""
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
                break
            whole = bytes(memoryview(buffer)[at + 8 : at + length])
            if google_crc32c.value(whole) != crc:
                raise ProtocolError("a frame's checksum is wrong")
            frames.append(Frame(kind, codec.loads(whole[8 : 8 + head]), whole[8 + head :], head))
            at += length
        return at
