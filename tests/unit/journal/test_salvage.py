"""A damaged journal that is opened nevertheless: what is sound is kept, and who lost what is told.

One rule: a group that is not named as damaged has everything that was reported to it; one that is has nothing
that was never its own.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest
import trio

from haqactor.env import DiskError, NullProbe
from haqactor.errors import DataDamaged, InvariantViolation, StorageFailed
from haqactor.ids import GroupId, Index
from haqactor.journal import Journal
from haqactor.journal.identity import Identity
from haqactor.journal.quarantine import FILES_MAX, QUARANTINE, Quarantine
from tests.builders.journal_bench import (
    DIRECTORY,
    SMALL,
    Bugs,
    Expected,
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
from tests.builders.memory_disk import Crashed, MemoryDisk

GROUPS = (1, 2, 3)


def repairable(_identity: Identity) -> bool:
    return True


@asynccontextmanager
async def salvaged(
    disk: MemoryDisk, *, distrust: bool = False, probe: NullProbe | None = None, clean: bool = True
) -> AsyncGenerator[Journal, None]:
    """An open journal whose damage, if there is any, was put aside."""
    disk.locks.clear()
    journal = await Journal.open(
        disk, DIRECTORY, SMALL, probe=probe or NullProbe(), repair=repairable, distrust=distrust
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        await journal.evacuate()
        yield journal
        if clean:
            await journal.aclose()
        nursery.cancel_scope.cancel()


async def history(seed: int, *, clean: bool) -> tuple[MemoryDisk, dict[int, Expected], dict[int, int]]:
    """A few segments, snapshots and cold files of three groups. Returns the disk, what was reported, and each
    group's snapshot index."""
    random, disk = Random(seed), MemoryDisk()
    snapshots: dict[int, int] = {}
    async with running(disk, clean=clean) as journal:
        ledger = Ledger(journal)
        ends = dict.fromkeys(GROUPS, 0)
        for turn in range(14):
            for group in GROUPS:
                if random.random() < 0.7:
                    count = random.randint(1, 3)
                    first = ends[group] + 1
                    ledger.submit(
                        group, entries(group, first, first + count - 1, size=150), hard(1 + turn // 5)
                    )
                    ends[group] += count
            await ledger.wait()
            if turn in (6, 11):
                group = random.choice(GROUPS)
                index = ends[group] - 1
                if index > snapshots.get(group, 0):
                    live = [(Index(max(1, index - 2)), Index(index))]
                    await journal.save_snapshot(GroupId(group), meta(index), chunks(), live)
                    snapshots[group] = index
                while await journal.compact():
                    pass
    disk.crash(random, keep="all")
    return disk, ledger.groups, snapshots


def gone_below(snapshots: dict[int, int]) -> Callable[[int, int], bool]:
    return lambda group, index: index <= snapshots.get(group, 0)


def damage(disk: MemoryDisk, random: Random) -> str:
    """Something happens to one of the journal's files."""
    names = sorted(name for name, inode in disk.names.items() if "/identity" not in name and any(inode.data))
    name = random.choice(names)
    inode = disk.names[name]
    used = len(bytes(inode.data).rstrip(b"\0"))
    what = random.choice(("flip", "flip", "flip", "flip", "truncate", "empty", "lose", "swap", "zero"))
    if what == "flip":
        at = random.randrange(used)
        inode.data[at] ^= 1 << random.randrange(8)
        what += f" byte {at}"
    elif what == "truncate":
        del inode.data[random.randrange(used) :]
    elif what == "empty":
        inode.data.clear()
    elif what == "lose":
        del disk.names[name]
    else:
        source, target = (random.randrange(0, used, 512) for _ in range(2))
        piece = bytes(inode.data[source : source + 512]) if what == "swap" else bytes(512)
        inode.data[target : target + len(piece)] = piece
    inode.durable[:] = inode.data
    disk.durable_names = dict(disk.names)
    return f"{what} of {name}"


async def judge(
    journal: Journal, reported: dict[int, Expected], snapshots: dict[int, int], what: str
) -> None:
    """Those that are not damaged have everything; those that are have nothing made up, and no holes."""
    sound = {group: each for group, each in reported.items() if not journal.tail_suspect(GroupId(group))}
    await check(journal, sound, gone_below(snapshots))
    for group in sound:
        held = journal.recovered[GroupId(group)]
        assert (held.snapshot.index if held.snapshot else 0) == snapshots.get(group, 0), what
    for group, expected in reported.items():
        for each in await read_all(journal, group):
            frames = [possible.frame for possible in expected.possible.get(each.index, [])]
            assert each.frame in frames, f"{what}: group {group}, entry {each.index} was never submitted"


@pytest.mark.parametrize("seed", range(150))
async def test_who_is_not_named_as_damaged_has_lost_nothing(seed: int) -> None:
    disk, reported, snapshots = await history(seed % 10, clean=seed % 2 == 0)
    what = damage(disk, Random(seed))
    async with salvaged(disk, distrust=seed % 3 == 0) as journal:
        await judge(journal, reported, snapshots, what)
        damaged = [group for group in GROUPS if journal.is_damaged(GroupId(group))]
        assert journal.damages or not damaged, what
    async with running(disk) as journal:  # strict: nothing of the damage is left
        assert [group for group in GROUPS if journal.is_damaged(GroupId(group))] == damaged, what
        await judge(journal, reported, snapshots, what)


@pytest.mark.parametrize("seed", range(40))
async def test_a_crash_at_any_moment_of_it_makes_nothing_worse(seed: int) -> None:
    disk, reported, snapshots = await history(seed % 10, clean=True)
    random = Random(seed)
    what = damage(disk, random)
    damaged: list[int] = []
    for _ in range(3):
        disk.operations, disk.crash_at = 0, random.randint(1, 40)
        try:
            with trio.CancelScope():
                async with salvaged(disk, distrust=True, clean=False) as journal:
                    damaged = [group for group in GROUPS if journal.is_damaged(GroupId(group))]
        except* (Crashed, StorageFailed, InvariantViolation):  # as its tasks tell of the end of the disk
            pass
        disk.crash(random)
    async with salvaged(disk, distrust=True) as journal:
        await judge(journal, reported, snapshots, what)
        now = [group for group in GROUPS if journal.is_damaged(GroupId(group))]
        assert set(damaged) <= set(now), what


async def test_one_bad_block_harms_only_its_groups_and_only_from_there_on() -> None:
    disk = MemoryDisk()
    async with running(disk) as journal:
        ledger = Ledger(journal)
        for index in range(1, 5):
            for group in (1, 2):
                ledger.submit(group, (entry(group, index, size=200),), hard(index))
                await ledger.wait()
    offsets = [
        at for at in range(0, 4096, 512) if disk.names[f"{DIRECTORY}/segment-{1:016d}"].data[at + 4] == 72
    ]
    inode = disk.names[f"{DIRECTORY}/segment-{1:016d}"]
    inode.data[offsets[2] + 250] ^= 1  # entry 2 of group 1
    with pytest.raises(DataDamaged):
        await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    async with salvaged(disk) as journal:
        assert [journal.is_damaged(GroupId(group)) for group in (1, 2)] == [True, False]
        assert [each.index for each in await read_all(journal, 1)] == [1]
        assert [each.index for each in await read_all(journal, 2)] == [1, 2, 3, 4]
        assert journal.recovered[GroupId(1)].hard_state == hard(4), "what it promised later binds it"
        assert journal.damages[0].groups == (1,)
    assert any(name.startswith(f"{DIRECTORY}/{QUARANTINE}/") for name in disk.names), "it is put aside"
    async with running(disk) as journal:
        assert journal.is_damaged(GroupId(1)), "until it is cured"
        await journal.cured(GroupId(1))
    async with running(disk) as journal:
        assert not journal.is_damaged(GroupId(1))
        assert not journal.tail_suspect(GroupId(1))


async def test_a_file_that_lost_its_end_in_the_middle_of_a_block_may_have_held_anything() -> None:
    """Its header names one group; behind it there was the vote of another: seed 500684 of profile swarm."""
    disk = MemoryDisk()
    async with running(disk, clean=False) as journal:
        ledger = Ledger(journal)
        for index in range(1, 7):
            for group in (1, 2):
                ledger.submit(group, (entry(group, index, size=200),), hard(index))
                await ledger.wait()
    newest = max(name for name, inode in disk.names.items() if "/segment-" in name and any(inode.data))
    inode = disk.names[newest]
    assert newest != f"{DIRECTORY}/segment-{1:016d}"
    assert bytes(inode.data[512:]).rstrip(b"\0"), "another block is behind the first"
    del inode.data[300:]
    inode.durable[:] = inode.data
    async with salvaged(disk) as journal:
        assert [journal.is_damaged(GroupId(group)) for group in (1, 2)] == [True, True]
        assert journal.damages[-1].groups is None


async def test_accepting_a_loss_leaves_a_tail_suspect() -> None:
    disk, _reported, _snapshots = await history(1, clean=True)
    for name in list(disk.names):
        if "segment" in name:
            del disk.names[name]
    async with salvaged(disk) as journal:
        assert all(journal.is_damaged(GroupId(group)) for group in (*GROUPS, 77)), "also unknown ones"
        await journal.accept_loss(GroupId(2))
        assert not journal.is_damaged(GroupId(2))
        assert journal.tail_suspect(GroupId(2))
    async with running(disk) as journal:
        assert not journal.is_damaged(GroupId(2))
        assert journal.is_damaged(GroupId(3))


async def test_the_guard_of_salvaging_can_fail() -> None:
    disk, reported, snapshots = await history(1, clean=True)
    del disk.names[next(name for name in sorted(disk.names) if "segment" in name)]
    with pytest.raises(ExceptionGroup):
        async with salvaged(disk, probe=Bugs("journal.salvaged_without_suspicion")) as journal:
            await judge(journal, reported, snapshots, "a lost segment")


async def test_without_leave_damage_is_refused_and_nothing_is_written() -> None:
    disk, _reported, _snapshots = await history(2, clean=True)
    name = next(name for name in sorted(disk.names) if "segment" in name)
    disk.names[name].data[700] ^= 1
    before = {each: bytes(inode.data) for each, inode in disk.names.items()}
    with pytest.raises(DataDamaged):
        await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe(), repair=lambda _identity: False)
    assert {each: bytes(inode.data) for each, inode in disk.names.items()} == before
    assert not disk.locks


async def test_a_sector_that_cannot_be_read_is_damage_like_any_other() -> None:
    disk, reported, snapshots = await history(3, clean=True)
    for _ in range(2):
        disk.fail("pread", "segment", DiskError("input/output error"))
    async with salvaged(disk, distrust=True) as journal:
        assert journal.damages
        await judge(journal, reported, snapshots, "an unreadable sector")


async def test_what_looked_damaged_and_is_not_costs_nothing() -> None:
    disk, reported, snapshots = await history(4, clean=False)
    async with salvaged(disk, distrust=True) as journal:
        assert not journal.damages
        assert not any(journal.tail_suspect(GroupId(group)) for group in GROUPS)
        await judge(journal, reported, snapshots, "nothing")
    async with running(disk) as journal:
        await judge(journal, reported, snapshots, "nothing")


async def test_an_identity_whose_newest_copy_is_gone_gives_an_epoch_that_nobody_has_heard_of() -> None:
    disk, _reported, _snapshots = await history(5, clean=True)
    async with running(disk) as journal:
        boot = journal.boot
        ledger = Ledger(journal)
        ledger.submit(1, (), hard(9))
        await ledger.wait()
    inode = disk.names[f"{DIRECTORY}/identity"]
    first, second = bytes(inode.data[:512]), bytes(inode.data[65_536 : 65_536 + 512])
    newest = 0 if first[12:20] > second[12:20] else 65_536
    for at in (newest + 100, 65_536 - newest + 100):
        inode.data[at] ^= 1
        break
    async with salvaged(disk) as journal:
        assert journal.boot > boot


async def test_the_quarantine_is_bounded() -> None:
    disk = MemoryDisk()
    quarantine = Quarantine(disk, DIRECTORY, 3)
    for number in range(FILES_MAX + 4):
        await disk.open(f"{DIRECTORY}/f{number:03d}", create=True)
        await quarantine.put(f"f{number:03d}")
    names = await disk.list_directory(f"{DIRECTORY}/{QUARANTINE}")
    assert len(names) == FILES_MAX
    assert names[-1] == f"{3:010d}-f{FILES_MAX + 3:03d}"
    await quarantine.put("f000")  # again does no harm


def test_marks_of_the_identity() -> None:
    identity = Identity().hurt((1, 2), damaged=True).hurt((3,), damaged=False)
    assert [identity.is_damaged(group) for group in (1, 2, 3, 4)] == [True, True, False, False]
    assert [identity.tail_suspect(group) for group in (1, 2, 3, 4)] == [True, True, True, False]
    assert not identity.heal(1).tail_suspect(1)
    everything = identity.hurt(None, damaged=True)
    assert everything.is_damaged(4)
    healed = everything.heal(4)
    assert not healed.tail_suspect(4)
    torn = healed.hurt(None, damaged=False)
    assert torn.tail_suspect(4)
    assert not torn.is_damaged(4), "a torn tail is no more than that"
    assert torn.is_damaged(5)
    assert replace(torn).accept(5).is_damaged(5) is False
