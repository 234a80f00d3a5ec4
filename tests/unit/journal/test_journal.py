"""The writer: group commit, order, failures, closing, reading."""

from dataclasses import replace
from functools import partial
from random import Random

import pytest
import trio
import trio.lowlevel

from haqactor.entry import Kind, build
from haqactor.env import DiskError, NullProbe
from haqactor.errors import DataDamaged, InvariantViolation, StorageFailed
from haqactor.ids import GroupId, Index, Term
from haqactor.journal import Journal, JournalConfig, Persist
from tests.builders.journal_bench import (
    DIRECTORY,
    SMALL,
    Bugs,
    Ledger,
    check,
    entries,
    entry,
    hard,
    meta,
    read_all,
    running,
)
from tests.builders.memory_disk import MemoryDisk

G = GroupId(1)


def syncs(disk: MemoryDisk) -> int:
    return sum(1 for operation, path in disk.log if operation == "write_durable" and "segment" in path)


async def test_everything_queued_meanwhile_is_one_block_and_one_sync() -> None:
    disk = MemoryDisk()
    async with running(disk, JournalConfig(segment_bytes=1 << 20)) as journal:
        before = syncs(disk)
        ledger = Ledger(journal)
        for index in range(1, 21):
            ledger.submit(index % 3, entries(index % 3, (index - 1) // 3 + 1 if index % 3 else index // 3, 0))
        for index in range(1, 21):
            ledger.submit(7, (entry(7, index),), hard(1))
        await ledger.wait()
        assert syncs(disk) - before == 1
        assert ledger.order == list(range(40))
        assert journal.statistics().entries_per_fsync == 20
        assert journal.backlog_bytes == 0


async def test_done_comes_only_after_the_sync() -> None:
    for probe, lost in ((NullProbe(), False), (Bugs("journal.done_before_sync"), True)):
        disk = MemoryDisk()
        journal = await Journal.open(disk, DIRECTORY, SMALL, probe=probe)
        ledger = Ledger(journal)
        disk.fail("write_durable", "segment", DiskError("EIO"))
        ledger.submit(1, entries(1, 1, 3))
        with pytest.raises(StorageFailed):
            await journal.run()
        assert bool(ledger.order) is lost


async def test_an_overwrite_begins_the_next_block_and_wins() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        ledger.submit(1, entries(1, 1, 6), hard(1))
        ledger.submit(1, entries(1, 4, 5, 2), hard(2))
        await ledger.wait()
        assert journal.statistics().blocks == 2
        assert [each.term for each in await read_all(journal, 1)] == [1, 1, 1, 2, 2]
    async with running(disk) as journal:
        assert journal.recovered[G].runs == ((1, 1), (4, 2))
        assert journal.recovered[G].last_index == 5
        assert journal.recovered[G].hard_state == hard(2)


@pytest.mark.parametrize("operation", ["write_durable"])
async def test_a_failed_write_ends_the_journal_and_is_never_retried(operation: str) -> None:
    """J1."""
    disk = MemoryDisk()
    journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    ledger = Ledger(journal)
    ledger.submit(1, entries(1, 1, 1))
    disk.fail(operation, "segment", DiskError("EIO"))
    with pytest.raises(StorageFailed):
        await journal.run()
    with pytest.raises(StorageFailed):
        ledger.submit(1, entries(1, 2, 2))
    written = syncs(disk)
    await journal.aclose()
    assert syncs(disk) == written
    assert ledger.order == []
    again = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    assert again.identity.clean is None
    await again.aclose()


async def test_a_failing_sync_of_a_sealed_file_ends_the_journal() -> None:
    disk = MemoryDisk()
    journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    refused: list[StorageFailed] = []

    async def write() -> None:
        with pytest.raises(StorageFailed) as failure:
            await journal.run()
        refused.append(failure.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        ledger = Ledger(journal)
        ledger.submit(1, entries(1, 1, 3))
        await ledger.wait()
        disk.fail("sync", "snapshot", DiskError("EIO"))
        with pytest.raises(StorageFailed):
            await journal.save_snapshot(G, meta(2), [b"x"], [])
    assert refused


async def test_gaps_and_repeats_are_refused() -> None:
    """J13, at the writer, before anything of them is written."""
    for bad in (entries(1, 5, 6), entries(1, 3, 3), (entry(1, 4), entry(1, 6))):
        disk = MemoryDisk()
        journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
        ledger = Ledger(journal)
        ledger.submit(1, entries(1, 1, 3))
        ledger.submit(1, bad)
        with pytest.raises(InvariantViolation):
            await journal.run()
        disk.locks.clear()
        await (await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())).aclose()


async def test_two_processes_on_one_directory() -> None:
    """J16."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        with pytest.raises(StorageFailed, match="in use by another process"):
            await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
        assert journal.boot == 1
    async with running(disk) as journal:
        assert journal.boot == 2


async def test_disk_full_is_said_before_anything_fails() -> None:
    """J10: the segment in use and the one prepared still take what frees space."""
    disk = MemoryDisk(capacity=131_072 + 3 * 4096)
    async with running(disk, replace(SMALL, reserve_bytes=4096)) as journal:
        ledger = Ledger(journal)
        index = 0
        while not journal.space_low:
            index += 1
            ledger.submit(1, (entry(1, index, size=600),))
            await ledger.wait()
        for _ in range(3):
            index += 1
            ledger.submit(1, (entry(1, index, size=600),))
        await ledger.wait()
        assert len(await read_all(journal, 1)) == index


async def test_reads_are_coalesced_and_bounded() -> None:
    disk = MemoryDisk()
    async with running(disk, JournalConfig(segment_bytes=1 << 20, compress_level=0)) as journal:
        ledger = Ledger(journal)
        for index in range(1, 201):
            ledger.submit(1, (entry(1, index, size=3000),))
            if index % 5 == 0:
                await ledger.wait()
        disk.log.clear()
        found = await journal.read(G, Index(51), Index(150), 10**6)
        assert [each.index for each in found] == list(range(51, 151))
        assert [operation for operation, _path in disk.log].count("pread") <= 2
        assert len(await journal.read(G, Index(51), Index(150), 1)) == 1
        assert await journal.read(GroupId(9), Index(1), Index(5), 100) == ()
        assert await journal.read(G, Index(201), Index(300), 100) == ()


async def test_rotten_bytes_are_named_and_not_handed_out() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        ledger.submit(1, entries(1, 1, 1, size=900))
        await ledger.wait()
        for name, inode in disk.names.items():
            if name.endswith("segment-0000000000000001"):
                inode.data[600] ^= 1
        with pytest.raises(DataDamaged, match=r"segment-0000000000000001 at offset \d+.*groups 1"):
            await journal.read(G, Index(1), Index(1), 100)


async def test_small_frames_are_packed_and_come_back() -> None:
    disk = MemoryDisk()
    config = JournalConfig(segment_bytes=1 << 20, compress_bytes_min=256)
    async with running(disk, config) as journal:
        big = build(G, Index(41), Term(1), Kind.COMMAND, b"", bytes(range(256)) * 40)
        ledger = Ledger(journal)
        ledger.submit(
            1, tuple(build(G, Index(i), Term(1), Kind.COMMAND, b"", b"same " * 30) for i in range(1, 41))
        )
        ledger.submit(1, (big,), hard(1))
        ledger.submit(1, (build(G, Index(42), Term(1), Kind.CONFIG, b"cfg", b""),))
        await ledger.wait()
        assert journal.statistics().bytes < 12_500
        assert len(await read_all(journal, 1)) == 42
    async with running(disk, config) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)
        assert journal.recovered[G].configs == ((42, b"cfg"),)


async def test_a_block_larger_than_a_segment_gets_a_segment_of_its_size() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        ledger.submit(1, entries(1, 1, 2))
        await ledger.wait()
        ledger.submit(1, (entry(1, 3, size=20_000),))
        ledger.submit(2, entries(2, 1, 2))
        await ledger.wait()
        await check_again(journal, ledger)
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)


async def check_again(journal: Journal, ledger: Ledger) -> None:
    for group, expected in ledger.groups.items():
        found = {each.index: each.frame for each in await read_all(journal, group)}
        assert found == {index: each.frame for index, each in expected.sure.items()}


async def test_an_empty_persist_is_reported_in_order_without_a_block() -> None:
    async with running(MemoryDisk()) as journal:
        order: list[int] = []
        for number in range(3):
            journal.submit(Persist(G, (), None, partial(order.append, number)))
        while len(order) < 3:
            await trio.lowlevel.checkpoint()
        assert order == [0, 1, 2]
        assert journal.statistics().blocks == 0


async def test_many_random_batches_come_back() -> None:
    random = Random(3)
    disk = MemoryDisk()
    groups = None
    for _round in range(3):
        async with running(disk) as journal:
            if groups is not None:
                await check(journal, groups, lambda _group, _index: False)
            ledger = Ledger(journal, groups)
            for _ in range(60):
                group = random.randrange(4)
                known = ledger.groups.get(group)
                last = max(known.possible if known is not None else [], default=0)
                ledger.submit(
                    group,
                    entries(group, last + 1, last + random.randrange(4), size=random.choice((5, 90, 700))),
                )
                if random.random() < 0.3:
                    await ledger.wait()
            await ledger.wait()
            groups = ledger.groups


async def test_a_writer_that_was_cancelled_can_still_be_closed_cleanly() -> None:
    disk = MemoryDisk()
    journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    ledger = Ledger(journal)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        ledger.submit(1, entries(1, 1, 2))
        await ledger.wait()
        nursery.cancel_scope.cancel()
    with pytest.raises(StorageFailed):
        ledger.submit(1, entries(1, 3, 3))
    with pytest.raises(StorageFailed):
        await journal.save_snapshot(G, meta(1), [b"x"], [])
    await journal.aclose()
    await journal.aclose()
    again = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    assert again.recovered[G].last_index == 2
    assert disk.log.count(("write_durable", f"{DIRECTORY}/segment-{1:016d}")) == 2
    await again.aclose()


async def test_what_packs_here_may_not_pack_at_the_head_of_a_segment() -> None:
    """The block that is laid out anew behind a roll must fit, packed or not."""
    disk = MemoryDisk()
    random = Random(5)
    async with running(disk, replace(SMALL, compress_bytes_min=64)) as journal:
        ledger = Ledger(journal)
        last = 0
        for _ in range(40):
            count = random.randrange(1, 9)
            body = random.choice((bytes(600), random.randbytes(600)))
            new = [build(G, Index(last + n + 1), Term(1), Kind.COMMAND, b"", body) for n in range(count)]
            ledger.submit(1, tuple(new))
            last += count
            await ledger.wait()
    async with running(disk) as journal:
        await check(journal, ledger.groups, lambda _group, _index: False)
