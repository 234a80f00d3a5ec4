"""Segments: the next one, ready before it is needed, and large enough.

One rule: behind an empty segment there is none with blocks.
"""

from tests.builders.journal_bench import Ledger, check, entries, entry, hard, running
from tests.builders.memory_disk import MemoryDisk


async def test_a_segment_that_nothing_was_written_to_makes_place_for_a_larger_one() -> None:
    """Empty before one with blocks it would be taken for one that lost them: seed 15234 of profile swarm."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        ledger.submit(1, (entry(1, 1, size=20_000),))
        ledger.submit(1, entries(1, 2, 3))
        await ledger.wait()
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)


async def test_a_segment_whose_first_block_was_cut_makes_place_for_a_larger_one() -> None:
    """The block that comes next need not fit where the torn one stood: seed 15234 of profile swarm."""
    disk = MemoryDisk()
    async with running(disk, clean=False) as journal:
        ledger = Ledger(journal)
        for number in range(1, 4):
            ledger.submit(1, (entry(1, number, size=300),), hard(1))
            await ledger.wait()
        newest = disk.names[max(name for name in disk.names if "segment-" in name)]
    disk.locks.clear()
    assert not any(newest.data)
    newest.data[:700] = newest.durable[:700] = b"\x5a" * 700  # torn: all of it was lost but some bytes
    async with running(disk, clean=False) as journal:
        ledger = Ledger(journal, ledger.groups)
        ledger.submit(1, (entry(1, 4, size=20_000),), hard(2))
        await ledger.wait()
    disk.locks.clear()
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)
