"""Giving space back: retirement, cold segments, merging, pins, and what is wanted for it."""

from dataclasses import replace
from random import Random

import pytest
import trio
from trio.testing import MockClock

from haqactor.env import DiskFull
from haqactor.errors import Conflict, InvalidArgument, Overloaded, StorageFailed
from haqactor.ids import GroupId, Index
from haqactor.journal import Journal
from tests.builders.journal_bench import (
    SMALL,
    Ledger,
    check,
    chunks,
    entries,
    entry,
    hard,
    meta,
    read_all,
    running,
)
from tests.builders.memory_disk import MemoryDisk

G = GroupId(1)
Range = tuple[Index, Index]


def span(first: int, last: int) -> Range:
    return Index(first), Index(last)


async def fill(ledger: Ledger, group: int, first: int, last: int, size: int = 450) -> None:
    for index in range(first, last + 1):
        ledger.submit(group, (entry(group, index, size=size),), hard(1) if index == 1 else None)
        await ledger.wait()


async def settle(journal: Journal) -> int:
    steps = 0
    while await journal.compact():
        steps += 1
    return steps


async def indexes(journal: Journal, group: int = 1) -> list[int]:
    return [each.index for each in await read_all(journal, group)]


async def test_a_drained_queue_costs_no_copy() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        await fill(Ledger(journal), 1, 1, 20)
        assert journal.wanted_snapshots() == (G,)
        assert await settle(journal) == 0
        await journal.save_snapshot(G, meta(20), chunks(), [])
        assert journal.wanted_snapshots() == ()
        assert await settle(journal) > 1
        figures = journal.statistics()
        assert (figures.bytes_copied, figures.cold_files, figures.segments) == (0, 0, 1)


async def test_one_slow_queue_does_not_pin_the_disk() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 30)
        await journal.save_snapshot(G, meta(29), chunks(), [span(2, 2), span(9, 10)])
        await settle(journal)
        assert journal.statistics().segments <= 2
        assert [index for index in await indexes(journal) if index < 20] == [2, 9, 10]
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, index: index <= 29 and index not in (2, 9, 10))
        assert [index for index in await indexes(journal) if index < 20] == [2, 9, 10]
        assert journal.recovered[G].runs == ((30, 1),)


async def test_what_nobody_snapshots_is_copied_only_beyond_the_bound() -> None:
    config = replace(SMALL, segments_pinned_max=3)
    disk = MemoryDisk()
    async with running(disk, config) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 40)
        assert await settle(journal) > 0
        assert journal.statistics().segments == 4
        assert await indexes(journal) == list(range(1, 41))
        ledger.submit(1, entries(1, 5, 6, 2), hard(2))
        await ledger.wait()
        assert await indexes(journal) == list(range(1, 7))
    async with running(disk, config) as journal:
        assert await indexes(journal) == list(range(1, 7))
        assert journal.recovered[G].runs == ((1, 1), (5, 2))


async def test_a_group_that_puts_its_snapshot_off_holds_no_segment_of_others() -> None:
    """What none of its snapshots covers is copied. A group that only has not come to it yet is waited for."""
    other = GroupId(2)
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 2, 1, 3)
        await fill(ledger, 1, 1, 40)
        assert not await journal.compact(lambda group: group == other)
        await journal.save_snapshot(G, meta(40), chunks(), [])
        assert journal.wanted_snapshots() == (other,)
        assert not await journal.compact()
        assert journal.statistics().segments > 4
        while await journal.compact(lambda group: group == other):
            pass
        assert journal.statistics().segments == 1
        assert await indexes(journal, 2) == [1, 2, 3]
    async with running(disk) as journal:
        assert await indexes(journal, 2) == [1, 2, 3]
        assert journal.recovered[other].runs == ((1, 1),)


async def test_a_segment_does_not_wait_for_a_merge() -> None:
    """It goes between two pieces of what is copied; else a busy journal would have many by the end. Here the
    group that held them has its snapshot from the second piece on."""
    looks: list[GroupId] = []

    def puts_off(group: GroupId) -> bool:
        looks.append(group)
        return len(looks) > 2

    disk = MemoryDisk()
    async with running(disk, replace(SMALL, copy_bytes=512)) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 40)
        await journal.save_snapshot(G, meta(40), chunks(), [span(1, 40)])
        await settle(journal)
        journal.live(G, [span(at, at) for at in range(1, 38, 3)])
        await fill(ledger, 2, 1, 40)
        before = journal.statistics()
        assert before.segments > 4
        assert await journal.compact(puts_off)
        after = journal.statistics()
        assert after.segments_retired > before.segments_retired
        await settle(journal)
        assert await indexes(journal) == list(range(1, 38, 3))
    async with running(disk) as journal:
        assert await indexes(journal) == list(range(1, 38, 3))
        assert await indexes(journal, 2) == list(range(1, 41))


async def test_neighbours_under_half_live_merge_and_dead_ones_go() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 40)
        live = [span(1, 30)]
        await journal.save_snapshot(G, meta(40), chunks(), live)
        await settle(journal)
        before = journal.statistics()
        assert before.cold_files > 2
        assert await indexes(journal) == sorted(await indexes(journal))
        journal.live(G, [span(3, 3), span(12, 12), span(28, 28)])
        await settle(journal)
        after = journal.statistics()
        assert after.cold_files < before.cold_files
        assert after.cold_bytes < 0.3 * before.cold_bytes
        assert [index for index in await indexes(journal) if index < 30] == [3, 12, 28]
        journal.live(G, [])
        await settle(journal)
        assert journal.statistics().cold_files == 0
    async with running(disk) as journal:
        assert [index for index in await indexes(journal) if index < 30] == []


async def test_a_pinned_snapshot_keeps_its_entries_and_its_state() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 20)
        await journal.save_snapshot(G, meta(15), chunks(3), [span(2, 4)])
        reader = journal.snapshot(G)
        assert reader is not None
        reader.pin()
        await fill(ledger, 1, 21, 40)
        await journal.save_snapshot(G, meta(38), chunks(1), [])
        await settle(journal)
        assert [index for index in await indexes(journal) if index < 10] == [2, 3, 4]
        assert [await reader.chunk(number) for number in range(reader.chunk_count)] == list(chunks(3))
        assert (reader.meta, reader.live, reader.size) == (meta(15), (span(2, 4),), 600)
        reader.unpin()
        await settle(journal)
        assert [index for index in await indexes(journal) if index < 10] == []
        assert len([name for name in disk.names if "snapshot" in name]) == 1


async def test_pins_are_bounded() -> None:
    async with running(MemoryDisk(), replace(SMALL, pins_max=1)) as journal:
        await fill(Ledger(journal), 1, 1, 3)
        await journal.save_snapshot(G, meta(2), chunks(), [])
        first, second = journal.snapshot(G), journal.snapshot(G)
        assert first is not None
        assert second is not None
        first.pin()
        first.pin()
        with pytest.raises(Overloaded):
            second.pin()
        first.unpin()
        second.pin()


async def test_a_late_or_impossible_snapshot_changes_nothing() -> None:
    """R12: an old snapshot that finishes after a newer one."""
    async with running(MemoryDisk()) as journal:
        await fill(Ledger(journal), 1, 1, 10)
        await journal.save_snapshot(G, meta(8), chunks(), [])
        await journal.save_snapshot(G, meta(5), chunks(), [])
        reader = journal.snapshot(G)
        assert reader is not None
        assert reader.meta.index == 8
        with pytest.raises(Conflict):
            await journal.save_snapshot(G, meta(11), chunks(), [])


async def test_a_snapshot_that_is_overtaken_while_it_is_written_changes_nothing() -> None:
    """R12: the same, with both under way together."""
    async with running(MemoryDisk()) as journal:
        await fill(Ledger(journal), 1, 1, 10)
        async with trio.open_nursery() as nursery:
            for index, state in ((5, [b"slow"] * 50), (8, [b"quick"])):
                live: list[Range] = []
                nursery.start_soon(journal.save_snapshot, G, meta(index), state, live)
        reader = journal.snapshot(G)
        assert reader is not None
        assert reader.meta.index == 8


async def test_a_full_disk_refuses_a_snapshot_and_leaves_nothing() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        await fill(Ledger(journal), 1, 1, 10)
        disk.fail("pwrite", "snapshot", DiskFull("no space"))
        with pytest.raises(Overloaded):
            await journal.save_snapshot(G, meta(8), chunks(), [])
        assert journal.space_low
        assert not [name for name in disk.names if "snapshot" in name]
        await journal.save_snapshot(G, meta(8), chunks(), [span(2, 2)])
        disk.fail("pwrite", "cold", DiskFull("no space"))
        assert not await journal.compact()
        assert not [name for name in disk.names if "cold" in name]
        assert await journal.compact()


@pytest.mark.parametrize("part", ["cold", "snapshot"])
async def test_a_full_disk_refuses_an_install_and_leaves_nothing(part: str) -> None:
    """Whichever of its files does not fit: the simulator's seed 200 of the swarm profile, in which a follower
    with a full disk kept the remains of each offer."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        await fill(Ledger(journal), 1, 1, 3)
        install = await journal.begin_install(G, meta(10))
        await install.add_entries([entry(1, 7)])
        await install.add_chunk(b"state")
        disk.fail("pwrite", part, DiskFull("no space"))
        with pytest.raises(Overloaded):
            await install.finish()
        disk.fail("create", "snapshot", DiskFull("no space"))
        with pytest.raises(Overloaded):
            await journal.begin_install(G, meta(10))
        assert not [name for name in disk.names if "cold" in name or "snapshot" in name]
        install = await journal.begin_install(G, meta(10))
        await install.add_chunk(b"state")
        assert await install.finish()


async def test_an_install_replaces_everything_below_and_keeps_a_matching_rest() -> None:
    """R12 b."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 12, size=60)
        install = await journal.begin_install(G, meta(10))
        await install.add_entries([entry(1, 3), entry(1, 7).frame + entry(1, 8).frame])
        assert install.have(Index(7))
        assert not install.have(Index(4))
        assert install.last_entry == 8
        again = await journal.begin_install(G, meta(10))
        assert again is install
        await again.add_entries([entry(1, 8), entry(1, 9)])
        for chunk in chunks():
            await again.add_chunk(chunk)
        assert await indexes(journal) == list(range(1, 13))
        assert await install.finish()
        assert await indexes(journal) == [3, 7, 8, 9, 11, 12]
        with pytest.raises(Conflict):
            await journal.begin_install(G, meta(10))
    async with running(disk) as journal:
        assert [index for index in await indexes(journal) if index != 10] == [3, 7, 8, 9, 11, 12]
        assert journal.recovered[G].last_index == 12
        reader = journal.snapshot(G)
        assert reader is not None
        assert reader.live == (span(3, 3), span(7, 9))
        assert await reader.chunk(2) == list(chunks())[2]


async def test_an_install_drops_what_does_not_match() -> None:
    """R12 c: entries above the snapshot that contradict it."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 12, size=60)
        install = await journal.begin_install(G, meta(10, 3))
        await install.add_chunk(b"state")
        assert await install.finish()
        assert await indexes(journal) == []
        ledger.submit(1, entries(1, 11, 11, 3), hard(3))
        await ledger.wait()
    async with running(disk) as journal:
        assert await indexes(journal) == [11]
        assert journal.recovered[G].runs == ((11, 3),)


async def test_an_install_for_a_new_group_and_entries_that_do_not_belong() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        install = await journal.begin_install(GroupId(9), meta(10))
        for wrong in (entry(8, 3), entry(9, 11)):
            with pytest.raises(InvalidArgument):
                await install.add_entries([wrong])
        await install.add_entries([entry(9, 4)])
        with pytest.raises(InvalidArgument):
            await install.add_entries([entry(9, 3)])
        other = await journal.begin_install(GroupId(9), meta(20))
        with pytest.raises(Conflict):
            await install.add_entries([entry(9, 5)])
        assert await other.finish()
    async with running(disk) as journal:
        assert journal.recovered[GroupId(9)].last_index == 20
        assert not [name for name in disk.names if name.endswith(".tmp")]


async def test_a_full_disk_is_waited_out(autojump_clock: MockClock) -> None:
    """J10. Nothing has failed: the journal neither ends nor acknowledges, and goes on when there is space."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        await fill(ledger, 1, 1, 4)
        disk.capacity = disk.used
        for index in range(5, 40):
            ledger.submit(1, (entry(1, index, size=400),), hard(1))
        await trio.sleep(30)
        held = len(ledger.order)
        assert held < 39
        assert journal.space_low
        assert journal.failure is None
        await trio.sleep(30)
        assert len(ledger.order) == held
        disk.capacity = 1 << 40
        await trio.sleep(2)
        assert len(ledger.order) == 39
        await trio.sleep(10)
        assert not journal.space_low
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)


async def test_who_stops_does_not_wait_for_space(autojump_clock: MockClock) -> None:
    """It cannot write what is queued, and says so; all that was reported is there again."""
    disk = MemoryDisk()
    books: list[Ledger] = []

    async def fill_up() -> None:
        async with running(disk) as journal:
            books.append(Ledger(journal))
            await fill(books[0], 1, 1, 4)
            disk.capacity = disk.used
            for index in range(5, 40):
                books[0].submit(1, (entry(1, index, size=400),), hard(1))
            await trio.sleep(30)

    with pytest.raises(ExceptionGroup) as caught:
        await fill_up()
    assert caught.group_contains(StorageFailed, match="no space")
    disk.crash(Random(1), keep="all")
    disk.capacity = 1 << 40
    async with running(disk) as journal:
        await check(journal, books[0].groups, lambda _group, _index: False)
