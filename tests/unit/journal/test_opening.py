"""What has to be true before anything of a directory is believed, and what is missed when it is opened."""

from random import Random

import pytest

from haqactor.env import NullProbe
from haqactor.errors import DataDamaged
from haqactor.journal import Journal
from tests.builders.journal_bench import DIRECTORY, SMALL, Ledger, check, entries, entry, hard, running
from tests.builders.memory_disk import MemoryDisk


async def written(count: int) -> MemoryDisk:
    """A disk with so many blocks, left without a goodbye."""
    disk = MemoryDisk()
    async with running(disk, clean=False) as journal:
        ledger = Ledger(journal)
        for index in range(1, count + 1):
            ledger.submit(1, (entry(1, index, size=300),), hard(1))
            await ledger.wait()
    disk.locks.clear()
    return disk


async def reopen(disk: MemoryDisk) -> Journal:
    return await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())


@pytest.mark.parametrize("spare", [False, True])
async def test_a_newest_segment_that_is_gone_is_missed(spare: bool) -> None:
    """Also together with the one that was prepared behind it, and also where it was the only one."""
    disk = await written(20)
    numbers = sorted(name for name in disk.names if "/segment-" in name)
    assert len(numbers) > 2
    used = max(name for name in numbers if any(disk.names[name].data))
    for name in numbers:
        if name >= used if spare else name == used:
            del disk.names[name]
    with pytest.raises(DataDamaged, match=r"segment-\d+"):
        await reopen(disk)
    for name in numbers:
        disk.names.pop(name, None)
    with pytest.raises(DataDamaged, match=r"segment-\d+ is missing"):
        await reopen(disk)


async def test_a_larger_spare_takes_the_place_of_a_smaller_one_under_its_name() -> None:
    """Removed first, and not made again before a crash, it would be missed."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        await journal.segments.prepare()
        names = sorted(name for name in disk.names if "/segment-" in name)
        await journal.segments.prepare(3 * SMALL.segment_bytes)
        assert sorted(name for name in disk.names if "/segment-" in name) == names
        assert len(disk.names[names[-1]].data) == 3 * SMALL.segment_bytes
    await (await reopen(disk)).aclose()


async def test_what_a_killed_program_left_in_memory_is_durable_before_it_is_believed() -> None:
    """J15: a block that can be read may be in the page cache only, and the power may go yet."""
    disk = MemoryDisk()
    async with running(disk, clean=False) as journal:
        ledger = Ledger(journal)
        ledger.submit(1, entries(1, 1, 3), hard(1))
        await ledger.wait()
        disk.lying = True  # killed between write and sync
        ledger.submit(1, entries(1, 4, 6))
        await ledger.wait()
    disk.lying = False
    disk.locks.clear()
    for _ in range(2):
        async with running(disk, clean=False) as journal:
            await check(journal, ledger.groups, lambda _group, _index: False)
        disk.crash(Random(1), keep="none")
