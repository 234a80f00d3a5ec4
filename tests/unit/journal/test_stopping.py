"""The end of a journal's writer in the middle of something."""

import pytest
import trio

from haqactor.env import NullProbe
from haqactor.errors import StorageFailed
from haqactor.journal import Journal
from haqactor.journal.commit import WriterStopped
from haqactor.journal.writer import Change
from tests.builders.journal_bench import DIRECTORY, SMALL
from tests.builders.memory_disk import MemoryDisk


async def test_a_change_that_a_stopped_writer_never_answers_is_told_apart() -> None:
    """A node that stopped in order while its journal was being compacted ended by an error: the simulator's
    seed 1397 of the swarm profile."""
    journal = await Journal.open(MemoryDisk(), DIRECTORY, SMALL, probe=NullProbe())
    scope, told = trio.CancelScope(), list[bool]()

    async def write(task_status: trio.TaskStatus[None]) -> None:
        with scope:
            await journal.run(task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(write)
        scope.cancel()
        with pytest.raises(WriterStopped):
            await journal.committer.commit(Change(lambda: None, told.append))
    assert told == []
    assert issubclass(WriterStopped, StorageFailed)
    await journal.aclose()


async def test_who_stops_together_with_the_writer_is_cancelled_and_no_more() -> None:
    """A node that stopped in order while it saved a snapshot ended by an error: the simulator's seed 2074 of
    the swarm profile."""
    journal = await Journal.open(MemoryDisk(), DIRECTORY, SMALL, probe=NullProbe())
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        nursery.start_soon(journal.committer.commit, Change(lambda: None, lambda _happened: None))
        nursery.cancel_scope.cancel()
    assert nursery.cancel_scope.cancelled_caught
    await journal.aclose()


async def test_a_change_happens_though_who_asks_was_cancelled_before() -> None:
    """Its files are there already: while the writer runs, nothing comes between them and the change."""
    journal, told = await Journal.open(MemoryDisk(), DIRECTORY, SMALL, probe=NullProbe()), list[bool]()
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.committer.commit(Change(lambda: None, told.append))
        assert told == [False]
        nursery.cancel_scope.cancel()
    await journal.aclose()
