"""The real journal on a simulated disk: the power goes after every operation in turn.

One rule: whatever the outcome, it opens again by itself, and what it reported is there.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import pytest
import trio

from haqactor.env import NullProbe, Probe
from haqactor.errors import DataDamaged, Error, StorageFailed
from haqactor.ids import GroupId, Index
from haqactor.journal import Journal
from haqactor.sim.disk import Kind, SimDisk, Survival, cut_power, cut_power_after
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
from tests.builders.sim_disk import DiskBench

G1, G2 = GroupId(1), GroupId(2)
LIVE: Final = ((1, Index(2)), (1, Index(5)))
"""(Group, index) of what its group's snapshots leave in the log."""
SEGMENT: Final = f"/{DIRECTORY}/segment-{1:016d}"


class Story:
    """What a run was told. ``upto``: a snapshot of each group was begun there; ``saved``: it was reported."""

    def __init__(self) -> None:
        self.groups: dict[int, Expected] = {}
        self.upto = 0
        self.saved = 0

    def gone(self, group: int, index: int) -> bool:
        """May it be missing? A snapshot may stand for what is not live."""
        return index <= self.upto and (group, index) not in LIVE


class PatientLedger(Ledger):
    """Lets virtual time pass."""

    async def wait(self) -> None:
        while len(self.order) < self.submitted:  # noqa: ASYNC110  # the ledger is told by callbacks
            await trio.sleep(0.0005)


Workload = Callable[[Journal, Story], Awaitable[None]]


async def appending(journal: Journal, story: Story) -> None:
    """Two groups, hard states, an overwrite, several segments."""
    ledger = PatientLedger(journal, story.groups)
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
    """Snapshots, retired segments, cold ones."""
    ledger = PatientLedger(journal, story.groups)
    for turn in range(2):
        for number in range(turn * 8 + 1, turn * 8 + 9):
            ledger.submit(1, (entry(1, number, size=450),), hard(turn + 1))
            ledger.submit(2, (entry(2, number, size=100),))
            if number % 4 == 0:
                await ledger.wait()
        story.upto = turn * 8 + 6
        for group in (G1, G2):
            live = [(index, index) for owner, index in LIVE if owner == group]
            await journal.save_snapshot(group, meta(story.upto), chunks(2, 300), live)
        story.saved = story.upto
        while await journal.compact():
            pass


async def judge(disk: SimDisk, story: Story) -> None:
    """Open what the power left, compare, write on, close, and open once more."""
    async with running(disk) as journal:
        await check(journal, story.groups, story.gone)
        state = journal.recovered.get(G1)
        if story.saved:
            assert state is not None
            assert state.snapshot is not None
            assert state.snapshot.index >= story.saved
        ledger = PatientLedger(journal, {})
        last = 0 if state is None else state.last_index
        ledger.submit(1, entries(1, last + 1, last + 3, 9), hard(50))
        await ledger.wait()
        while await journal.compact():
            pass
    journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    assert journal.cut is None
    found = journal.recovered[G1]
    assert (found.last_index, found.hard_state) == (last + 3, hard(50))
    await journal.aclose()


async def work(disk: SimDisk, workload: Workload, story: Story, probe: Probe) -> None:
    async with running(disk, SMALL, probe) as journal:
        await workload(journal, story)


def attempt(
    operation: int, workload: Workload, survival: Survival | None, probe: Probe, faults: tuple[Kind, ...] = ()
) -> bool:
    """One life, one power loss, one judgement; False if the life ended before."""
    with DiskBench(operation) as bench:
        story = Story()
        for kind in faults:
            bench.medium.faults.switch_on(kind)
        cut_power_after(bench.host, bench.medium, operation, survival)
        bench.run(lambda disk: work(disk, workload, story, probe))
        crashed = bench.medium.crashes == 1
        bench.medium.faults.switch_off()
        bench.medium.on_operation = None
        try:
            bench.run(lambda disk: judge(disk, story))
        except BaseException as error:
            error.add_note(f"power lost after operation {operation}, survival {survival}")
            raise
        assert not bench.medium.damage() or faults
        return crashed


def sweep(
    workload: Workload,
    survival: Survival | None,
    probe: Probe,
    faults: tuple[Kind, ...] = (),
    step: int = 1,
) -> int:
    """Every operation, or every ``step``-th; how many there were."""
    operation = 1
    while attempt(operation, workload, survival, probe, faults):
        operation += step
    return operation - 1


@pytest.mark.parametrize(
    ("workload", "survival", "step"),
    [(appending, None, 1), (appending, Survival.NOTHING, 1), (compacting, None, 2)],
)
def test_nothing_reported_is_lost(workload: Workload, survival: Survival | None, step: int) -> None:
    assert sweep(workload, survival, NullProbe(), step=step) > 40


def twice(again: int) -> bool:
    """Two power losses, the second while the first is recovered from; False if it came too late."""
    story = Story()
    with DiskBench(again) as bench:
        cut_power_after(bench.host, bench.medium, 30)
        bench.run(lambda disk: work(disk, appending, story, NullProbe()))
        cut_power_after(bench.host, bench.medium, 30 + again)
        bench.run(lambda disk: judge(disk, story))
        bench.medium.on_operation = None
        bench.run(lambda disk: reread(disk, story))
        return bench.medium.crashes == 2


def test_the_power_goes_again_while_it_recovers() -> None:
    """After each operation of the recovery, and of what follows it."""
    again = 1
    while twice(again):
        again += 1
    assert again > 10


async def reread(disk: SimDisk, story: Story) -> None:
    """What was reported before both losses is there; the judge may have written more."""
    async with running(disk) as journal:
        found = {each.index: each for each in await read_all(journal, 1)}
        for index, each in story.groups[1].sure.items():
            assert found[Index(index)].frame == each.frame


@pytest.mark.parametrize(
    ("workload", "bug", "faults"),
    [
        (appending, "journal.done_before_sync", ()),
        (compacting, "journal.unlink_first", ()),
        (appending, "", (Kind.SYNC_LIE,)),
    ],
)
def test_the_sweep_can_fail(workload: Workload, bug: str, faults: tuple[Kind, ...]) -> None:
    """A planted bug, or a disk that lies, is found."""
    with pytest.raises((Error, ExceptionGroup, AssertionError)) as failure:
        sweep(workload, Survival.NOTHING, Bugs(bug), faults)
    assert "power lost after operation" in "".join(failure.value.__notes__)


def test_what_a_killed_program_left_in_the_cache_is_durable_once_it_is_believed() -> None:
    """The program is killed in each sync in turn, its successor opens the journal, and then the power goes:
    what that one has read, and may have told others, is there."""
    syncs = 0
    for at_ns in range(3_000_000, 30_000_000, 500_000):
        with DiskBench(at_ns) as bench:
            story = Story()
            bench.start(lambda disk, story=story: work(disk, appending, story, NullProbe()))  # type: ignore[misc]
            bench.world.run(at_ns)
            syncs += any(inode.pending for inode in bench.medium.tree.names.inodes())
            bench.host.crash()
            found: dict[int, Index] = {}

            async def opens(disk: SimDisk, found: dict[int, Index] = found) -> None:
                journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
                found.update({int(group): state.last_index for group, state in journal.recovered.items()})
                await trio.sleep_forever()

            bench.start(opens)
            bench.world.run(bench.world.now_ns + 500_000_000)
            cut_power(bench.host, bench.medium, Survival.NOTHING)

            async def again(disk: SimDisk, found: dict[int, Index] = found) -> None:
                async with running(disk) as journal:
                    left = {int(group): state.last_index for group, state in journal.recovered.items()}
                    assert left == found

            bench.run(again)
    assert syncs > 5


def test_rot_is_refused_and_never_served() -> None:
    with DiskBench() as bench:
        story = Story()
        bench.run(lambda disk: work(disk, appending, story, NullProbe()))
        bench.medium.flip(SEGMENT, 600)

        async def opens(disk: SimDisk) -> None:
            with pytest.raises(DataDamaged, match="segment"):
                await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())

        async def opens_healed(disk: SimDisk) -> None:
            async with running(disk) as journal:
                assert len(await read_all(journal, 1)) == 11

        bench.run(opens)
        bench.medium.heal()
        bench.run(opens_healed)


def test_a_failed_sync_ends_the_journal_for_good() -> None:
    with DiskBench() as bench:
        story = Story()

        async def fails(disk: SimDisk, journal: Journal, ledger: Ledger) -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(journal.run)
                ledger.submit(1, entries(1, 1, 3), hard(1))
                await ledger.wait()
                disk.medium.faults.switch_on(Kind.SYNC_ERROR, f"{DIRECTORY}/segment", times=1)
                ledger.submit(1, entries(1, 4, 5))
                await ledger.wait()

        async def main(disk: SimDisk) -> None:
            journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
            ledger = PatientLedger(journal, story.groups)
            with pytest.raises(ExceptionGroup) as failure:
                await fails(disk, journal, ledger)
            assert failure.group_contains(StorageFailed)
            with pytest.raises(StorageFailed):
                ledger.submit(1, entries(1, 6, 6))

        bench.run(main)
        bench.run(lambda disk: judge(disk, story))
