"""Walking a segment with sectors that cannot be read.

One rule: such a sector costs the block that it lies in, and the way past it is short.
"""

from dataclasses import replace

import pytest

from haqactor.errors import DataDamaged
from haqactor.journal.config import SECTOR_BYTES
from haqactor.journal.scan import SegmentScan
from tests.builders.journal_bench import DIRECTORY, SMALL, Ledger, entry, running
from tests.builders.memory_disk import MemoryDisk

SEGMENT = f"{DIRECTORY}/segment-{1:016d}"
MIB = 1024 * 1024
SIZE = 8 * MIB


async def written(blocks: int) -> tuple[MemoryDisk, list[int]]:
    """A segment of ``blocks`` blocks of half a MiB each, and where they begin."""
    disk, ends = MemoryDisk(), [0]
    async with running(disk, replace(SMALL, segment_bytes=SIZE, compress_bytes_min=SIZE)) as journal:
        ledger = Ledger(journal)
        for index in range(1, blocks + 1):
            ledger.submit(1, (entry(1, index, size=MIB // 2),))
            await ledger.wait()
            ends.append(journal.writer.offset)
    return disk, ends[:-1]


async def sequences(disk: MemoryDisk) -> list[int]:
    """Of the blocks that are good, past all that is bad."""
    file = await disk.open(SEGMENT)
    scan = SegmentScan(file, 1, await file.size(), short=True)
    found: list[int] = []
    while True:
        try:
            block = await scan.next()
        except DataDamaged:
            block = None
        if block is not None:
            found.append(block.header.sequence)
            continue
        following = await scan.good_header(scan.offset + SECTOR_BYTES)
        if following is None:
            return found
        scan.skip_to(following)


async def test_a_sector_that_cannot_be_read_costs_its_block_only() -> None:
    disk, begins = await written(7)
    everything = await sequences(disk)
    assert len(everything) == 8, "the last is that of the clean stop"
    disk.unreadable[SEGMENT] = [begins[2], begins[5] + 20 * SECTOR_BYTES]
    assert await sequences(disk) == [each for at, each in enumerate(everything) if at not in (2, 5)]


async def test_the_way_past_what_cannot_be_read_is_short() -> None:
    disk, begins = await written(7)
    disk.unreadable[SEGMENT] = [begins[1], begins[6]]
    disk.bytes_read = 0
    await sequences(disk)
    assert disk.bytes_read < 6 * SIZE


async def test_before_a_repair_it_ends_the_walk() -> None:
    disk, begins = await written(3)
    disk.unreadable[SEGMENT] = [begins[1] - SECTOR_BYTES]
    file = await disk.open(SEGMENT)
    scan = SegmentScan(file, 1, await file.size())
    with pytest.raises(DataDamaged, match="cannot be read"):
        await scan.next()
