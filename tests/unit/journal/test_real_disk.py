"""The journal on the production disk: the same life, real files."""

from pathlib import Path

import pytest
import trio

from haqactor.env import NullProbe
from haqactor.errors import DataDamaged, Overloaded, StorageFailed
from haqactor.ids import GroupId
from haqactor.journal import Journal, JournalConfig
from haqactor.journal.inspect import verify
from haqactor.runtime.real.disk import RealDisk
from tests.builders.descriptors import descriptors_left
from tests.builders.journal_bench import Ledger, chunks, entries, entry, hard, meta, read_all

CONFIG = JournalConfig(segment_bytes=16_384, segments_hot=0, reserve_bytes=0)
G = GroupId(1)


async def live(directory: str, first: int, last: int) -> None:
    journal = await Journal.open(RealDisk(sync="thread"), directory, CONFIG, probe=NullProbe())
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        ledger = Ledger(journal)
        for index in range(first, last + 1):
            ledger.submit(1, (entry(1, index, size=900),), hard(index))
            ledger.submit(2, entries(2, 2 * index - 1, 2 * index))
            if index % 3 == 0:
                await ledger.wait()
        await ledger.wait()
        await journal.save_snapshot(G, meta(last - 1), chunks(), [])
        await journal.save_snapshot(GroupId(2), meta(2 * last - 5), chunks(), [])
        while await journal.compact():
            pass
        with pytest.raises(StorageFailed):
            await Journal.open(RealDisk(sync="thread"), directory, CONFIG, probe=NullProbe())
        await journal.aclose()


async def test_a_life_on_real_files(tmp_path: Path) -> None:
    directory = str(tmp_path / "data")
    await live(directory, 1, 60)
    await live(directory, 61, 90)
    disk = RealDisk(sync="thread")
    assert {report.status async for report in verify(disk, directory)} == {"ok"}
    journal = await Journal.open(disk, directory, CONFIG, probe=NullProbe())
    assert journal.boot == 3
    assert journal.recovered[G].hard_state == hard(90)
    assert [each.index for each in await read_all(journal, 2) if each.index > 175] == list(range(176, 181))
    await journal.aclose()
    assert len([path for path in (tmp_path / "data").iterdir() if path.name.startswith("segment")]) <= 3


async def test_a_flipped_bit_on_real_files_is_refused(tmp_path: Path) -> None:
    directory = str(tmp_path / "data")
    await live(directory, 1, 10)
    path = sorted((tmp_path / "data").glob("segment-*"))[0]
    data = bytearray(path.read_bytes())
    data[70] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataDamaged, match="segment-"):
        await Journal.open(RealDisk(sync="thread"), directory, CONFIG, probe=NullProbe())


async def test_a_journal_without_descriptors_waits_for_some(tmp_path: Path) -> None:
    """A node that had accepted a thousand connections ended with the next segment, and again and again."""
    disk = RealDisk(sync="thread")
    journal = await Journal.open(disk, str(tmp_path / "data"), CONFIG, probe=NullProbe())
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        ledger = Ledger(journal)
        for index in range(1, 31):
            ledger.submit(1, (entry(1, index, size=900),), hard(index))
            await ledger.wait()
        with descriptors_left(0):
            with pytest.raises(Overloaded, match="ulimit -n"):
                await journal.save_snapshot(G, meta(20), chunks(), [])
            while not await journal.scrub_step():
                pass
            index, waits = 31, False
            while not waits:
                ledger.submit(1, (entry(1, index, size=900),), hard(index))
                with trio.move_on_after(0.5) as scope:
                    await ledger.wait()
                index, waits = index + 1, scope.cancelled_caught
            assert journal.failure is None
            assert not journal.space_low, "no publish that is refused gives a file back"
        await ledger.wait()
        await journal.save_snapshot(G, meta(20), chunks(), [])
        assert [each.index for each in await read_all(journal, 1)][-1] == index - 1
        await journal.aclose()
    assert not list((tmp_path / "data").glob("*.tmp"))
