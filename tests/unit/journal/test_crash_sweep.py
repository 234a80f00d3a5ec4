"""Power loss at every disk operation in turn, with every outcome of what was not synced.

One rule: whatever the outcome, the journal opens again without an operator, and what was reported is there.
"""

from collections.abc import Awaitable, Callable
from random import Random

import pytest
import trio

from haqactor.env import NullProbe, Probe
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index
from haqactor.journal import Journal
from haqactor.raft.ready import SnapshotMeta
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
    running,
)
from tests.builders.memory_disk import Crashed, MemoryDisk

G1, G2 = GroupId(1), GroupId(2)


class Story:
    """What a run was told and saw, to judge the disk by after its crash."""

    def __init__(self) -> None:
        self.groups: dict[int, Expected] = {}
        self.snapshots: dict[int, list[SnapshotMeta | None]] = {1: [None], 2: [None], 3: [None]}
        self.saved: dict[int, SnapshotMeta] = {}
        self.live: dict[int, list[int]] = {}

    def excuse(self, journal: Journal) -> Callable[[int, int], bool]:
        """May a reported entry be missing? Below a snapshot without it, or one not reported yet."""

        def gone(group: int, index: int) -> bool:
            state = journal.recovered.get(GroupId(group))
            where = None if state is None else state.snapshot
            if where is None or index > where.index:
                return False
            return where != self.saved.get(group) or index not in self.live[group]

        return gone

    async def save(self, journal: Journal, group: int, where: SnapshotMeta, live: list[int]) -> None:
        """Save a snapshot and note when it is durable."""
        self.snapshots[group].append(where)
        await journal.save_snapshot(
            GroupId(group), where, chunks(2, 300), [(Index(index), Index(index)) for index in live]
        )
        self.saved[group] = where
        self.live[group] = live

    async def install(self, journal: Journal, group: int, where: SnapshotMeta, live: list[int]) -> None:
        """Receive one."""
        self.snapshots[group].append(where)
        install = await journal.begin_install(GroupId(group), where)
        expected = self.groups.setdefault(group, Expected())
        frames = [entry(group, index, where.term) for index in live]
        for each in frames:
            expected.possible.setdefault(each.index, []).append(each)
        await install.add_entries(frames)
        for chunk in chunks(2, 300):
            await install.add_chunk(chunk)
        assert await install.finish()
        self.saved[group] = where
        self.live[group] = live
        for index in [index for index in expected.sure if index <= where.index]:
            del expected.sure[index]
        for each in frames:
            expected.sure[each.index] = each


Workload = Callable[[Journal, Story], Awaitable[None]]


async def appending(journal: Journal, story: Story) -> None:
    """Two groups, hard states, an overwrite, several segments."""
    ledger = Ledger(journal, story.groups)
    for number in range(1, 9):
        ledger.submit(1, (entry(1, number, size=500),), hard(1) if number == 1 else None)
        if number % 2:
            ledger.submit(2, entries(2, 2 * number - 1, 2 * number + 2, size=100))
        if number % 3 == 0:
            await ledger.wait()
    ledger.submit(1, entries(1, 6, 9, 2, size=200), hard(2, 1))
    await ledger.wait()
    ledger.submit(1, entries(1, 10, 11, 2), hard(3))
    await ledger.wait()


async def compacting(journal: Journal, story: Story) -> None:
    """Snapshots, retirement, cold segments, merging."""
    ledger = Ledger(journal, story.groups)
    first = 1
    for turn in range(3):
        for number in range(first, first + 8):
            ledger.submit(1, (entry(1, number, size=450),), hard(turn + 1) if number == first else None)
            ledger.submit(2, (entry(2, number, size=100),))
            if number % 2:
                await ledger.wait()
        await ledger.wait()
        first += 8
        live = [index for index in (2, 5, 11, 12, 19) if index < first - 2 and (turn < 2 or index > 4)]
        await story.save(journal, 1, meta(first - 2), live)
        await story.save(journal, 2, meta(first - 1), [])
        while await journal.compact():
            pass


async def installing(journal: Journal, story: Story) -> None:
    """A snapshot over an old log, with cold segments of its own; then on with the new one."""
    ledger = Ledger(journal, story.groups)
    for number in range(1, 13):
        ledger.submit(1, (entry(1, number, size=400),), hard(1) if number == 1 else None)
        ledger.submit(3, (entry(3, number, size=60),))
        await ledger.wait()
    await story.save(journal, 1, meta(10), [3, 4])
    while await journal.compact():
        pass
    await story.install(journal, 1, meta(40, 2), [7, 20, 39])
    ledger.submit(1, entries(1, 41, 43, 2), hard(2))
    await ledger.wait()
    await story.install(journal, 3, meta(6), [2])
    ledger.submit(3, entries(3, 13, 13), None)
    await ledger.wait()
    while await journal.compact():
        pass


async def attempt(disk: MemoryDisk, workload: Workload, story: Story, probe: Probe) -> bool:
    """Run it; True if the power went."""
    try:
        async with running(disk, SMALL, probe) as journal:
            await workload(journal, story)
    except Exception:
        if not disk.dead:  # else whoever still ran was told in one way or another
            raise
    return disk.dead


async def judge(disk: MemoryDisk, story: Story) -> None:
    """Open what the crash left, compare, write on, and open once more."""
    async with running(disk) as journal:
        await check(journal, story.groups, story.excuse(journal))
        for group, where in story.saved.items():
            stored = journal.recovered[GroupId(group)].snapshot
            assert stored is not None
            assert stored.index >= where.index
            assert stored in story.snapshots[group]
        for state in journal.recovered.values():
            assert state.runs == () or state.last_index >= state.runs[-1][0]
        ledger = Ledger(journal, {})
        known = journal.recovered.get(G2)
        last = 0 if known is None else known.last_index
        term = 1 if known is None else max(known.last_term, 1)
        ledger.submit(2, entries(2, last + 1, last + 3, term + 5), hard(50))
        await ledger.wait()
        while await journal.compact():
            pass
        cut = journal.cut
        suspects = [group for group, state in journal.recovered.items() if state.tail_suspect]
        if cut is not None:
            assert cut.groups is None or all(
                group in suspects for group in cut.groups if group in journal.recovered
            )
        else:
            assert not suspects
    journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    assert journal.cut is None
    state = journal.recovered[G2]
    assert (state.last_index, state.hard_state) == (last + 3, hard(50))
    await journal.aclose()


async def sweep(
    workload: Workload, keep: str, probe: Probe, seeds: int, disk_type: type[MemoryDisk] = MemoryDisk
) -> int:
    """Every operation, every seed; returns how many crashes there were."""
    crashes = 0
    while True:
        for seed in range(seeds):
            disk = disk_type(crash_at=crashes)
            story = Story()
            if not await attempt(disk, workload, story, probe):
                return crashes
            disk.crash(Random(f"{crashes} {seed}"), keep=keep)
            try:
                await judge(disk, story)
            except BaseException as error:
                error.add_note(f"power lost at operation {crashes}, seed {seed}, keep={keep}")
                raise
        crashes += 1


@pytest.mark.parametrize("keep", ["none", "all", "torn"])
@pytest.mark.parametrize("workload", [appending, compacting, installing])
async def test_nothing_reported_is_lost(workload: Workload, keep: str) -> None:
    crashes = await sweep(workload, keep, NullProbe(), 1)
    assert crashes > 30


class ForgetfulDisk(MemoryDisk):
    """Names are never synced: what a journal that forgets ``sync_directory`` would have."""

    async def sync_directory(self, path: str) -> None:
        await self.step("sync_directory", path)


@pytest.mark.parametrize(
    ("workload", "bug", "disk"),
    [
        (appending, "journal.done_before_sync", MemoryDisk),
        (compacting, "journal.unlink_first", MemoryDisk),
        (compacting, "", ForgetfulDisk),
    ],
)
async def test_the_sweep_finds_planted_bugs(workload: Workload, bug: str, disk: type[MemoryDisk]) -> None:
    """What the guards are for: without one of them the same sweep fails."""
    with pytest.raises((ExceptionGroup, DataDamaged, AssertionError)) as failure:
        await sweep(workload, "none", Bugs(bug), 1, disk)
    assert "power lost at operation" in "".join(failure.value.__notes__)


async def test_power_is_lost_again_while_recovering() -> None:
    """The cut tail is erased, and suspicion kept, whatever interrupts it."""
    for operation in range(40):
        disk = MemoryDisk(crash_at=30)
        story = Story()
        assert await attempt(disk, appending, story, NullProbe())
        disk.crash(Random(5), keep="torn")
        disk.crash_at = operation
        try:
            journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
        except Crashed:
            disk.crash(Random(operation), keep="torn")
            await trio.lowlevel.checkpoint()
            async with running(disk) as journal:
                await check(journal, story.groups, story.excuse(journal))
        else:
            await check(journal, story.groups, story.excuse(journal))
            return
    pytest.fail("opening takes more than 40 operations")
