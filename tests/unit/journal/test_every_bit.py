"""Every bit flipped in turn, of each kind of block and of each kind of file: none goes unnoticed.

One rule: blocks and files are flipped whole; only where the whole journal is opened for each bit the blocks
are small ones. The padding behind a block belongs to no block, and nothing is read from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import trio

from haqactor.entry import Kind, build
from haqactor.env import NullProbe
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term
from haqactor.journal import Identity, IdentityFile, Journal
from haqactor.journal.block import END, FLAG_HEAD, FLAG_PACKED, decode_header, decode_payload
from haqactor.journal.cold import open_cold, piece_of
from haqactor.journal.files import cold_name, snapshot_name
from haqactor.journal.identity import SLOT_BYTES, decode, encode
from haqactor.journal.index import Location
from haqactor.journal.reading import read_entries
from haqactor.journal.record import SealedRef
from haqactor.journal.scan import SegmentScan
from haqactor.journal.snapshots import open_snapshot
from tests.builders.journal_bench import DIRECTORY, SMALL, Ledger, entry, hard, read_all, running
from tests.builders.journal_files import disk_of, journal_files
from tests.builders.memory_disk import MemoryDisk
from tests.fuzz.files import byte_disk, byte_file, ran

G = GroupId(1)
TINY = replace(SMALL, compress_bytes_min=200)


def flipped(
    data: bytes, first: int = 0, end: int | None = None, step: int = 1
) -> Iterator[tuple[int, bytes]]:
    """(bit, ``data`` with it flipped) for the bits of bytes ``first`` to ``end``."""
    changed = bytearray(data)
    for bit in range(first * 8, (len(data) if end is None else end) * 8, step):
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)
        changed[bit // 8] ^= 1 << bit % 8


def blocks(number: int, content: bytes) -> list[tuple[int, int]]:
    """(begin, end without padding) of the blocks of a segment."""
    scan = SegmentScan(byte_file(content), number, len(content))
    found: list[tuple[int, int]] = []
    while (block := ran(scan.next())) is not None:
        header = block.header
        found.append((header.offset, header.offset + header.header_bytes + header.payload_bytes))
    return found


def test_of_every_block() -> None:
    """As a scan and a scrub judge it: packed, plain, first of its segment, with records alone, an end."""
    kinds: dict[tuple[int, int], int] = {}
    for name, content in journal_files().items():
        if not name.startswith("segment"):
            continue
        number = int(name.split("-")[1])
        for begin, end in blocks(number, content):
            whole = content[begin:end]
            header = decode_header(whole, 0, number, begin, len(content))
            kinds[header.kind, header.flags] = kinds.get((header.kind, header.flags), 0) + 1
            for bit, data in flipped(whole):
                with pytest.raises(DataDamaged):  # noqa: PT012 - both are asked in turn
                    judged = decode_header(data, 0, number, begin, len(content))
                    decode_payload(judged, data[judged.header_bytes :])
                    pytest.fail(f"bit {bit} of the block at {begin} of {name} went unnoticed")
    assert {(0, 0), (0, FLAG_HEAD), (0, FLAG_HEAD | FLAG_PACKED), (END, FLAG_HEAD)} <= kinds.keys()


async def small() -> Mapping[str, bytes]:
    """Four small blocks: the second is packed, the third is not."""
    disk = MemoryDisk()
    async with running(disk, TINY, clean=False) as journal:
        ledger = Ledger(journal)
        for number in range(4):
            size = 40 if number % 2 == 0 else 0
            body = b"same " * 60
            new = (
                entry(1, number + 1, size=size)
                if size
                else build(G, Index(number + 1), Term(1), Kind.COMMAND, b"", body)
            )
            ledger.submit(1, (new,), hard(1))
            await ledger.wait()
    return {name.removeprefix(f"{DIRECTORY}/"): bytes(inode.data) for name, inode in disk.names.items()}


async def opened(files: Mapping[str, bytes]) -> list[int]:
    """The indexes that are served, and -1 behind them where the group knows that it may have lost more."""
    journal = await Journal.open(disk_of(files), DIRECTORY, TINY, probe=NullProbe())
    found = [int(each.index) for each in await read_all(journal, 1)]
    suspect = journal.tail_suspect(G)
    await journal.aclose()
    return [*found, -1] if suspect else found


SEGMENT = f"segment-{1:016d}"


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 2], ids=["packed", "plain"])
async def test_of_a_block_in_the_middle_when_the_journal_opens(block: int) -> None:
    files = await small()
    begin, end = blocks(1, files[SEGMENT])[block]
    assert bool(files[SEGMENT][begin + 11] & FLAG_PACKED) is (block == 1)
    for bit, data in flipped(files[SEGMENT], begin, end):
        with pytest.raises(DataDamaged, match="corruption"):  # noqa: PT012 - the message of a failure
            await opened({**files, SEGMENT: data})
            pytest.fail(f"bit {bit} went unnoticed")


@pytest.mark.slow
async def test_of_the_last_block_when_the_journal_opens() -> None:
    """After a crash it may be torn: it is cut, and the group knows that it may have lost something."""
    files = await small()
    begin, end = blocks(1, files[SEGMENT])[-1]
    for bit, data in flipped(files[SEGMENT], begin, end):
        assert await opened({**files, SEGMENT: data}) == [1, 2, 3, -1], f"bit {bit}"


async def test_of_what_lies_between_and_behind_the_blocks() -> None:
    """Padding is no part of a block, and is not read; behind the last block a bit is a block that was begun.
    A bit in a hundred."""
    files = await small()
    found = blocks(1, files[SEGMENT])
    for (_begin, end), (following, _end) in pairwise(found):
        for _bit, data in flipped(files[SEGMENT], end, following, 101):
            assert await opened({**files, SEGMENT: data}) == [1, 2, 3, 4]
    behind = (found[-1][1] + 511) // 512 * 512
    for bit, data in flipped(files[SEGMENT], behind, None, 101):
        assert await opened({**files, SEGMENT: data}) == [1, 2, 3, 4, -1], f"bit {bit}"


def sealed(kind: str) -> tuple[bytes, SealedRef]:
    """A sealed file, and how the journal names it."""
    (content,) = (content for name, content in journal_files().items() if name.startswith(kind))
    number, crc = int.from_bytes(content[12:20], "little"), int.from_bytes(content[-40:-36], "little")
    return content, SealedRef(number, len(content), crc)


def snapshot_of(data: bytes, ref: SealedRef) -> Any:
    """All that a snapshot says."""
    snapshot = ran(open_snapshot(byte_disk({f"d/{snapshot_name(1, ref.number)}": data}), "d", G, ref))
    chunks = [ran(snapshot.chunk(number)) for number in range(len(snapshot.offsets))]
    return snapshot.meta, snapshot.live_terms, chunks


def cold_of(data: bytes, ref: SealedRef) -> Any:
    """All that a cold segment says."""
    file, columns = ran(open_cold(byte_disk({f"d/{cold_name(1, ref.number)}": data}), "d", G, ref))
    piece = piece_of(file, columns, range(len(columns.indexes)))
    places = [
        Location(file, Index(columns.indexes[row]), piece.places[row], piece.lengths[row])
        for row in range(len(columns.indexes))
    ]
    return [each.frame for each in ran(read_entries(G, places, SMALL))]


@pytest.mark.parametrize(("kind", "look"), [("snapshot", snapshot_of), ("cold", cold_of)])
def test_of_a_sealed_file(kind: str, look: Any) -> None:
    content, ref = sealed(kind)
    assert look(content, ref)
    for bit, data in flipped(content):
        with pytest.raises(DataDamaged):  # noqa: PT012 - the message of a failure
            look(data, ref)
            pytest.fail(f"bit {bit} of a {kind} went unnoticed")


def test_of_an_identity() -> None:
    """The copy is not valid any more; the older one counts."""
    older, newer = encode(Identity(boot=3), 1), encode(Identity(boot=4, nonce=b"n" * 16), 2)
    for bit, data in flipped(newer):
        assert decode(data) is None, f"bit {bit}"
    whole = newer.ljust(SLOT_BYTES, b"\0") + older.ljust(SLOT_BYTES, b"\0")

    async def boot(data: bytes) -> int:
        return (await IdentityFile.load(disk_of({"identity": data}), DIRECTORY)).current.boot

    assert trio.run(boot, whole) == 4
    for bit, data in flipped(whole, 0, len(newer), 37):
        assert trio.run(boot, data) == 3, f"bit {bit}"
