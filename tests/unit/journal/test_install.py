"""A snapshot on its way in that broke off, and goes on."""

from collections.abc import Callable

import pytest
import trio

from haqactor.env import DiskFull
from haqactor.errors import Conflict, Overloaded
from haqactor.ids import GroupId
from tests.builders.journal_bench import entry, meta, read_all, running
from tests.builders.memory_disk import MemoryDisk, MemoryFile

G = GroupId(1)


async def test_the_state_begins_anew_and_the_entries_go_on() -> None:
    """Another sender cuts its state into other chunks; what it would send of the entries is the same."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        install = await journal.begin_install(G, meta(10))
        await install.begin_state()
        await install.add_entries([entry(1, 3)])
        await install.add_chunk(b"half of an old")
        again = await journal.begin_install(G, meta(10))
        assert (again is install, again.last_entry) == (True, 3)
        await again.begin_state()
        assert again.chunks == 0
        await again.add_entries([entry(1, 7)])
        await again.add_chunk(b"new")
        assert await again.finish()
        assert [each.index for each in await read_all(journal, 1)] == [3, 7]
        reader = journal.snapshot(G)
        assert reader is not None
        assert [await reader.chunk(number) for number in range(reader.chunk_count)] == [b"new"]
        assert not [name for name in disk.names if name.endswith(".tmp")]


async def test_no_space_to_begin_the_state_anew() -> None:
    """As anywhere else on the way: nothing is left of it."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        install = await journal.begin_install(G, meta(10))
        await install.add_chunk(b"old")
        disk.fail("create", "snapshot", DiskFull("no space"))
        with pytest.raises(Overloaded):
            await install.begin_state()
        assert not [name for name in disk.names if "cold" in name or "snapshot" in name]
        with pytest.raises(Conflict):
            await install.begin_state()


@pytest.mark.parametrize("part", ["cold", "snapshot"])
async def test_who_is_cancelled_at_the_beginning_leaves_nothing(part: str) -> None:
    """Between its two files: the first stayed open, and on the disk, until the node ended."""
    disk = MemoryDisk()
    closed: list[str] = []
    async with running(disk) as journal:
        step, close = disk.step, MemoryFile.aclose

        async def cancelled(operation: str, path: str, half: Callable[[], None] | None = None) -> None:
            if operation == "create" and part in path:
                scope.cancel()
            await step(operation, path, half)

        async def noted(file: MemoryFile) -> None:
            closed.append(file.path)
            await close(file)

        disk.step = cancelled  # type: ignore[method-assign]  # somebody else's decision, at that moment
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryFile, "aclose", noted)
            with trio.CancelScope() as scope:
                await journal.begin_install(G, meta(10))
        assert scope.cancelled_caught
        disk.step = step  # type: ignore[method-assign]  # as it was
        assert not [name for name in disk.names if "cold" in name or "snapshot" in name]
        assert len(closed) == (part == "snapshot")
        install = await journal.begin_install(G, meta(10))
        await install.add_chunk(b"state")
        assert await install.finish()


async def test_who_was_cancelled_in_a_write_may_go_on() -> None:
    """What waited for that write is in none of the columns, or it is on the disk in the end."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        install = await journal.begin_install(G, meta(10))
        small = entry(1, 3)
        await install.add_entries([small])  # it waits for more
        large = entry(1, 7, size=300_000)
        with trio.CancelScope() as scope:
            scope.cancel()
            await install.add_entries([large])
        assert scope.cancelled_caught
        assert install.last_entry == 3
        await install.add_entries([large, entry(1, 8)])
        await install.add_chunk(b"state")
        assert await install.finish()
        found = await read_all(journal, 1)
        assert [each.index for each in found] == [3, 7, 8]
        assert [found[0].frame, found[1].frame] == [small.frame, large.frame]


async def test_a_long_file_is_synced_while_it_grows() -> None:
    """Not all at its end, when the journal would have to wait for it; a short one is."""
    disk = MemoryDisk()
    async with running(disk) as journal:
        install = await journal.begin_install(G, meta(100))
        for index in range(1, 40):
            await install.add_entries([entry(1, index, size=1 << 20)])
        assert sum(operation == "sync" and "cold" in path for operation, path in disk.log) == 2
        await install.add_chunk(b"state")
        assert await install.finish()
        assert sum(operation == "sync" and "cold" in path for operation, path in disk.log) == 3
