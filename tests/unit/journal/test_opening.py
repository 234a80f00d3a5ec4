"""What has to be true before anything of a directory is believed."""

from random import Random

from tests.builders.journal_bench import Ledger, check, entries, hard, running
from tests.builders.memory_disk import MemoryDisk


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
