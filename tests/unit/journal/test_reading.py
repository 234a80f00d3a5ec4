"""A read of several pieces outlives the retirement of the files that it began with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import trio
from trio.testing import wait_all_tasks_blocked

from haqactor.entry import Entry, Kind, build
from haqactor.env import DiskError, File
from haqactor.ids import GroupId, Index, Term
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import DataFile
from haqactor.journal.index import Location
from haqactor.journal.reading import read_entries

GROUP = GroupId(3)
APART = 1 << 20  # more than two frames that one pread fetches


@dataclass
class SlowFile:
    """Frames at their places; every read waits for the test."""

    path: str
    frames: dict[int, bytes] = field(default_factory=dict[int, bytes])
    may_read: trio.Event = field(default_factory=trio.Event)
    closed: bool = False

    async def pread(self, offset: int, size: int) -> bytes:
        if self.closed:
            raise DiskError(f"cannot read {self.path}: it was closed")
        await self.may_read.wait()
        return self.frames[offset][:size]

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


def filled(path: str, indexes: Sequence[int]) -> tuple[SlowFile, DataFile, list[Location]]:
    slow = SlowFile(path)
    data = DataFile(cast(File, slow), 1, 1 << 30)
    places: list[Location] = []
    for row, index in enumerate(indexes):
        frame = bytes(build(GROUP, Index(index), Term(1), Kind.COMMAND, b"", b"%d" % index).frame)
        slow.frames[row * APART] = frame
        places.append(Location(data, Index(index), row * APART, len(frame)))
    return slow, data, places


async def test_files_that_are_retired_meanwhile_stay_open() -> None:
    """Both the file that is being read and one that comes later; then they are closed."""
    one, first, places = filled("one", [1, 2])
    two, second, more = filled("two", [3, 4])
    found: list[Entry] = []

    async def read() -> None:
        found.extend(await read_entries(GROUP, [*places, *more], JournalConfig()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        await first.retire()
        await second.retire()
        assert not one.closed
        assert not two.closed
        one.may_read.set()
        two.may_read.set()
    assert [bytes(entry.body) for entry in found] == [b"1", b"2", b"3", b"4"]
    assert one.closed
    assert two.closed
