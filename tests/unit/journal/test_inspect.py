"""Verify, dump and scrub: reading without harm, and finding what is wrong."""

import pytest

from haqactor.env import DiskError, NoDescriptors
from haqactor.errors import DataDamaged, StorageFailed
from haqactor.ids import GroupId
from haqactor.journal import Journal
from haqactor.journal.inspect import BlockReport, dump, verify
from tests.builders.journal_bench import DIRECTORY, Ledger, chunks, entry, hard, meta, running
from tests.builders.memory_disk import MemoryDisk
from tests.unit.journal.test_space import settle, span

G = GroupId(1)


async def a_life(disk: MemoryDisk, *, clean: bool = True) -> None:
    async with running(disk, clean=clean) as journal:
        ledger = Ledger(journal)
        for index in range(1, 21):
            ledger.submit(1, (entry(1, index, size=400),), hard(1) if index == 1 else None)
            ledger.submit(2, (entry(2, index, size=20),))
            await ledger.wait()
        await journal.save_snapshot(G, meta(15), chunks(), [span(2, 3)])
        await journal.save_snapshot(GroupId(2), meta(15), chunks(), [])
        await settle(journal)
    disk.locks.clear()


async def reports(disk: MemoryDisk) -> list[BlockReport]:
    return [report async for report in verify(disk, DIRECTORY)]


async def test_a_sound_directory_is_all_ok_and_untouched() -> None:
    disk = MemoryDisk()
    await a_life(disk)
    before = {name: bytes(inode.data) for name, inode in disk.names.items()}
    seen: list[tuple[int, int]] = []
    found = [
        report
        async for report in verify(disk, DIRECTORY, progress=lambda at, total: seen.append((at, total)))
    ]
    assert [report for report in found if report.status != "ok"] == []
    kinds = dict.fromkeys(report.kind for report in found)
    assert list(kinds) == ["identity", "cold", "snapshot", "block", "end"]
    assert seen[-1][0] == seen[-1][1]
    assert {name: bytes(inode.data) for name, inode in disk.names.items()} == before
    blocks = [report for report in found if report.kind == "block"]
    assert all(report.groups for report in blocks if report.entries)
    assert blocks[-1].terms in ((1, 1), (0, 0))


async def test_dump_shows_entries_and_records() -> None:
    disk = MemoryDisk()
    await a_life(disk)
    found = [report async for report in dump(disk, DIRECTORY)]
    hits = [report for report in found if (report.group, report.index) == (1, 20)]
    assert [report.header for report in hits] == [b"1/20/1"]
    assert [report.header for report in found if report.file.count("cold")] == [b"1/2/1", b"1/3/1"]
    assert [report for report in found if report.kind == "record" and report.record is not None]


def last_segment(disk: MemoryDisk) -> bytearray:
    names = [name for name in disk.names if "segment" in name and disk.names[name].data.count(0) < 4096]
    return disk.names[names[-1]].data


@pytest.mark.parametrize("clean", [False, True])
async def test_a_bad_last_block_is_torn_or_corrupt(clean: bool) -> None:
    disk = MemoryDisk()
    await a_life(disk, clean=clean)
    last = (await reports(disk))[-1]
    last_segment(disk)[last.offset + 20] ^= 1
    bad = [report for report in await reports(disk) if report.status != "ok"]
    assert [(report.status, report.offset) for report in bad] == [
        ("corrupt" if clean else "torn", last.offset)
    ]


async def test_every_kind_of_rot_is_found() -> None:
    for part in ("cold", "snapshot", "segment"):
        disk = MemoryDisk()
        await a_life(disk)
        name = next(name for name in disk.names if part in name)
        disk.names[name].data[90] ^= 1
        bad = [report for report in await reports(disk) if report.status != "ok"]
        assert bad[0].status == "corrupt"
        assert bad[0].file == name


async def test_no_journal_is_said() -> None:
    with pytest.raises(DataDamaged, match="holds no journal"):
        await reports(MemoryDisk())


async def scrub_round(journal: Journal) -> int:
    steps = 1
    while not await journal.scrub_step():
        steps += 1
    return steps


@pytest.mark.parametrize("part", ["", "cold", "snapshot", "segment"])
async def test_scrubbing_finds_rot_by_itself(part: str) -> None:
    """J12."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        for index in range(1, 30):
            ledger.submit(1, (entry(1, index, size=400),))
            await ledger.wait()
        await journal.save_snapshot(G, meta(10), chunks(), [span(2, 3)])
        await settle(journal)
        assert await scrub_round(journal) > 3
        if part:
            name = next(name for name in disk.names if part in name)
            disk.names[name].data[90] ^= 1
            with pytest.raises(DataDamaged, match=rf"{part}-.*at offset"):
                await scrub_round(journal)


@pytest.mark.parametrize("part", ["cold", "snapshot", "segment"])
async def test_what_scrubbing_cannot_read_is_damage(part: str) -> None:
    """And names its place: seed 32347 of the swarm profile, where a cold segment's head was unreadable."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        for index in range(1, 30):
            ledger.submit(1, (entry(1, index, size=400),))
            await ledger.wait()
        await journal.save_snapshot(G, meta(10), chunks(), [span(2, 3)])
        await settle(journal)
        disk.fail("pread", part, DiskError("input/output error"))
        with pytest.raises(DataDamaged, match=rf"{part}-.*input/output error"):
            await scrub_round(journal)


async def test_scrubbing_passes_over_what_it_cannot_open_now() -> None:
    """There is another round. What the disk refuses for good ends the node as what it is."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        for index in range(1, 30):
            ledger.submit(1, (entry(1, index, size=400),))
            await ledger.wait()
        await journal.save_snapshot(G, meta(10), chunks(), [span(2, 3)])
        await settle(journal)
        disk.fail("open", "cold", NoDescriptors("none left"))
        await scrub_round(journal)
        assert not disk.faults
        assert journal.failure is None

    async def fail() -> None:
        async with running(disk) as journal:
            disk.fail("open", "cold", DiskError("input/output error"))
            with pytest.raises(StorageFailed, match="input/output error"):
                await scrub_round(journal)

    with pytest.raises(ExceptionGroup) as caught:
        await fail()
    assert caught.group_contains(StorageFailed, match="input/output error")


async def test_scrubbing_notices_blocks_that_became_zeros() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        for index in range(1, 12):
            ledger.submit(1, (entry(1, index, size=400),))
            await ledger.wait()
        name = next(name for name in disk.names if "segment" in name)
        disk.names[name].data[1024:] = bytes(4096 - 1024)
        with pytest.raises(DataDamaged, match=r"blocks \d+\.\.\d+ are gone"):
            await scrub_round(journal)
