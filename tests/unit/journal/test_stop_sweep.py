"""An orderly stop at every disk operation in turn, and with it a cancellation in the middle of that.

One rule: the node's own order: who writes is cancelled, then the writer, then the journal is closed; and a
journal that was closed opens without a word, though the power goes right then.
"""

from random import Random

import pytest
import trio

from haqactor.env import NullProbe
from haqactor.journal import Journal
from tests.builders.journal_bench import DIRECTORY, SMALL, Ledger, entry, hard
from tests.builders.memory_disk import MemoryDisk
from tests.unit.journal.test_crash_sweep import Story, Workload, appending, compacting, installing, judge


class StoppingDisk(MemoryDisk):
    """At operation ``stop_at`` the node is told to stop."""

    def __init__(self, stop_at: int) -> None:
        super().__init__()
        self.stop_at = stop_at
        self.stopping = trio.CancelScope()
        self.stopped = False

    async def step(self, operation: str, path: str, half: object = None) -> None:
        if not self.stopped and self.operations == self.stop_at:
            self.stopped = True
            self.stopping.cancel()
        await super().step(operation, path)


async def growing(journal: Journal, story: Story) -> None:
    """Now and then more waits than the next segment holds, though it goes there in several blocks."""
    ledger = Ledger(journal, story.groups)
    index, term = 0, 1
    for turn in range(10):
        for _ in range(1 + turn % 5):
            index += 1
            ledger.submit(1, (entry(1, index, term, size=450),), hard(term))
            await ledger.wait()
        await journal.segments.prepare()  # as happens by itself before long
        index += 1
        for _ in range(4):
            term += 1
            ledger.submit(1, (entry(1, index, term, size=2800),), hard(term))
        await ledger.wait()


async def attempt(disk: StoppingDisk, workload: Workload, story: Story) -> None:
    """Run it until it is stopped."""
    journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
    writer = trio.CancelScope(shield=True)

    async def write(*, task_status: trio.TaskStatus[None]) -> None:
        with writer:
            await journal.run(task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(write)
        with disk.stopping:
            await workload(journal, story)
        writer.cancel()
    await journal.aclose()


@pytest.mark.parametrize("workload", [appending, compacting, growing, installing])
async def test_a_stop_in_order_loses_nothing(workload: Workload) -> None:
    """Whatever it interrupts: the end that is written then is found at the next start, behind all that was
    reported."""
    stops = 0
    while True:
        disk, story = StoppingDisk(stops), Story()
        await attempt(disk, workload, story)
        disk.crash(Random(stops), keep="none")
        try:
            journal = await Journal.open(disk, DIRECTORY, SMALL, probe=NullProbe())
            assert (journal.cut, journal.damages) == (None, ())
            await journal.aclose()
            await judge(disk, story)
        except BaseException as error:
            error.add_note(f"stopped at operation {stops}")
            raise
        if not disk.stopped:
            break
        stops += 1
    assert stops > 30
