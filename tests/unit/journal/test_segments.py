"""Segments: the next one, ready before it is needed, and large enough.

One rule: behind an empty segment there is none with blocks.
"""

from dataclasses import replace
from random import Random

import pytest
import trio
from trio.testing import MockClock

from haqactor.env import NoDescriptors, NullProbe
from haqactor.journal.files import segment_name
from haqactor.journal.segments import Segments
from tests.builders.journal_bench import (
    DIRECTORY,
    SMALL,
    Ledger,
    check,
    entries,
    entry,
    hard,
    running,
)
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


@pytest.mark.parametrize("operation", ["allocate", "sync_directory", "open"])
async def test_where_descriptors_are_wanting_the_segment_is_made_later(
    operation: str, autojump_clock: MockClock
) -> None:
    """Wherever in its making: also where the larger one has its name already, in place of a small one that
    was ready, to which nothing may be written any more."""
    disk = MemoryDisk()
    async with running(disk, replace(SMALL, segment_bytes=4096)) as journal:
        ledger = Ledger(journal)
        for index in range(1, 4):
            ledger.submit(1, (entry(1, index, size=450),), hard(1))
            await ledger.wait()
        for _ in range(3):
            disk.fail(
                operation, "segment" if operation != "sync_directory" else "", NoDescriptors("none left")
            )
        ledger.submit(1, (entry(1, 4, size=20_000),))
        ledger.submit(1, (entry(1, 5, size=450),))
        await trio.sleep(10)
        await ledger.wait()
        assert not disk.faults
        assert not journal.space_low
    disk.crash(Random(1), keep="none")
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)


async def test_where_descriptors_are_wanting_in_the_middle_it_waits(autojump_clock: MockClock) -> None:
    """A segment that nothing was written to makes place for a larger one, once that can be opened."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        for operation in ("allocate", "open", "open"):
            disk.fail(operation, "segment", NoDescriptors("none left"))
        ledger.submit(1, (entry(1, 1, size=20_000),))
        await trio.sleep(10)
        await ledger.wait()
        assert not disk.faults
    disk.crash(Random(1), keep="none")
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)


@pytest.mark.parametrize("rolls", [False, True])
async def test_who_is_cancelled_while_a_segment_gets_its_name_leaves_no_nameless_one(rolls: bool) -> None:
    """The larger one had the name already, in place of the small one that was ready; a node that stopped in
    order on a slow disk wrote its last blocks to the latter, and nobody found them: seed 831658 of profile
    swarm."""
    disk = MemoryDisk()
    await disk.make_directory(DIRECTORY)
    scope = trio.CancelScope()
    patient = True

    async def named(_number: int) -> None:
        if not patient:
            scope.cancel()
        await trio.lowlevel.checkpoint()

    segments = Segments(disk, DIRECTORY, replace(SMALL, segment_bytes=4096), NullProbe(), named)
    await segments.first()
    await segments.prepare()
    patient = False
    with scope:
        await (segments.roll(8192) if rolls else segments.prepare(8192))
    assert scope.cancelled_caught
    patient = True
    file = await segments.roll(4096)
    await file.file.write_durable(0, (b"x" * 512,))
    found = await disk.open(f"{DIRECTORY}/{segment_name(2)}")
    assert await found.pread(0, 512) == b"x" * 512


async def test_who_is_cancelled_while_the_current_segment_is_enlarged_goes_on_with_it() -> None:
    """Its file has no name in the middle of that."""
    disk = MemoryDisk()
    await disk.make_directory(DIRECTORY)
    scope = trio.CancelScope()
    patient = True

    async def named(_number: int) -> None:
        if not patient:
            scope.cancel()
        await trio.lowlevel.checkpoint()

    segments = Segments(disk, DIRECTORY, replace(SMALL, segment_bytes=4096), NullProbe(), named)
    await segments.first()
    patient = False
    with scope:
        await segments.roll(8192, unused=True)
    file = segments.files[1]
    await file.file.write_durable(0, (b"x" * 512,))
    found = await disk.open(f"{DIRECTORY}/{segment_name(1)}")
    assert await found.pread(0, 512) == b"x" * 512
