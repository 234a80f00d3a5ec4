"""Right checksums over wrong bytes, for each format that has them.

One rule: nothing of the code under test is used: the layouts are written down here a second time, and what is
too broken to have a place for its checksum is left as it is.
"""

import google_crc32c
import zstandard


def crc(data: bytes) -> bytes:
    """As it stands in all formats."""
    value: int = google_crc32c.value(data)
    return value.to_bytes(4, "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def frames(data: bytes) -> bytes:
    """Frames of a stream, as far as their lengths lead; the length of the last one is made right, too."""
    done = bytearray()
    while len(data) >= 16:
        length = _u32(data, 0)
        if not 16 <= length <= len(data):
            length = len(data)
        rest = data[8:length]
        done += length.to_bytes(4, "little") + crc(rest) + rest
        data = data[length:]
    return bytes(done) + data


def gossip(data: bytes) -> bytes:
    """A gossip packet."""
    return data[:5] + crc(data[9:]) + data[9:] if len(data) > 9 else data


def entries(data: bytes) -> bytes:
    """Entry frames one behind the other."""
    done = bytearray()
    while len(data) >= 36:
        length = _u32(data, 4)
        if not 36 <= length <= len(data):
            length = len(data)
        rest = length.to_bytes(4, "little") + data[8:length]
        done += crc(rest) + rest
        data = data[length:]
    return bytes(done) + data


def batch(data: bytes) -> bytes:
    """Both checksums of a batch, and the length of what is stored."""
    if len(data) < 24:
        return data
    table = _u32(data, 4)
    stored = data[24 + table :]
    raw = stored
    if data[1] & 1:
        try:
            if zstandard.frame_content_size(stored) < 1 << 24:
                raw = zstandard.ZstdDecompressor().decompress(stored)
        except zstandard.ZstdError:
            raw = stored
    fixed = data[:8] + len(stored).to_bytes(4, "little") + data[12:16] + crc(raw)
    return fixed + crc(fixed + data[24 : 24 + table]) + data[24:]


def block(data: bytes) -> bytes:
    """Header and payload of a block that begins at the first byte."""
    size, payload = _u32(data, 12), _u32(data, 16)
    if not 112 <= size <= len(data) or data[4:8] != b"HQB1":
        return data
    head = data[4:20] + crc(data[size : size + payload]) + data[24:size]
    return crc(head) + head + data[size:]


def segment(data: bytes) -> bytes:
    """All blocks of a segment, as far as their headers lead, with the chain from one to the next."""
    done = bytearray()
    previous: bytes | None = None
    while data[4:8] == b"HQB1":
        size, payload = _u32(data, 12), _u32(data, 16)
        end = -(-(size + payload) // 512) * 512
        if not 112 <= size <= len(data) or not 0 < end <= len(data):
            break
        whole = data[:end] if previous is None else data[:88] + previous + data[92:end]
        whole = block(whole)
        previous = whole[:4]
        done += whole
        data = data[end:]
    return bytes(done) + data


def identity_slot(data: bytes) -> bytes:
    """A slot of the identity's file."""
    end = min(20 + _u32(data, 8), len(data))
    rest = (
        data[4:8] + (end - 20).to_bytes(4, "little", signed=False) + data[12:end] if end >= 20 else data[4:]
    )
    return crc(rest) + rest + data[end:]


def sealed(data: bytes) -> bytes:
    """Head, footer and trailer of a cold segment or a snapshot."""
    if len(data) < 28 + 40:
        return data
    head, trailer = data[4:28], data[-40:]
    at, size = int.from_bytes(trailer[20:28], "little"), int.from_bytes(trailer[28:36], "little")
    if at + size != len(data) - 40:
        at = min(max(28, at), len(data) - 40)
        size = len(data) - 40 - at
    footer = data[at : at + size]
    rest = trailer[4:20] + at.to_bytes(8, "little") + size.to_bytes(8, "little") + crc(footer)
    return crc(head) + head + data[28:-40] + crc(rest) + rest
