"""Damage for the files of a node that is down. One rule: blocks are found by their bytes alone, as the layout
in ``haqactor.journal`` says, and not by the code under test.
"""

import struct
from pathlib import Path
from typing import Final, NamedTuple

SECTOR: Final = 512
GARBAGE: Final = bytes(range(1, 256))


class Place(NamedTuple):
    """A block: its file, where it begins, and its bytes without padding."""

    file: Path
    offset: int
    header: int
    payload: int

    @property
    def end(self) -> int:
        """Where the next block would begin."""
        return self.offset + -(-(self.header + self.payload) // SECTOR) * SECTOR


def segments(data: Path) -> list[Path]:
    """A directory's segments, oldest first."""
    return sorted(data.glob("segment-*[0-9]"), key=lambda file: int(file.name.split("-")[1]))


def blocks(file: Path) -> list[Place]:
    """A segment's blocks."""
    content = file.read_bytes()
    found: list[Place] = []
    at = 0
    while content[at + 4 : at + 8] == b"HQB1":
        header, payload = struct.unpack_from("<II", content, at + 12)
        found.append(Place(file, at, header, payload))
        at = found[-1].end
    return found


def last_block(data: Path) -> Place:
    """The journal's last block."""
    return [block for file in segments(data) for block in blocks(file)][-1]


def write(file: Path, offset: int, content: bytes) -> None:
    """Overwrite in place."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(content)


def garbage(size: int) -> bytes:
    """Bytes that are no block and no zeros."""
    return (GARBAGE * (size // len(GARBAGE) + 1))[:size]


def tear_unfinished(data: Path) -> Place:
    """The stop came while one more block was being written: garbage behind the last good block."""
    last = last_block(data)
    write(last.file, last.end, garbage(2 * SECTOR))
    return last


def tear_payload(data: Path) -> Place:
    """The last block's last sector never came: zeros."""
    last = last_block(data)
    tail = min(SECTOR, last.payload)
    write(last.file, last.offset + last.header + last.payload - tail, bytes(tail))
    return last


def tear_header(data: Path) -> Place:
    """The last block's first sector is garbage: whose it was is not known."""
    last = last_block(data)
    write(last.file, last.offset, garbage(SECTOR))
    return last


def flip(data: Path, block: int) -> Place:
    """One bit of a block's payload in the middle of the journal; ``block`` counts from the first."""
    place = blocks(segments(data)[0])[block]
    at = place.offset + place.header
    byte = place.file.read_bytes()[at]
    write(place.file, at, bytes([byte ^ 0x10]))
    return place
