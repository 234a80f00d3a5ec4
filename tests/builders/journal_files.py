"""The files of a journal in which every kind of block, record and sealed file stands.

One rule: they are what the journal itself wrote, and the same each time.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import trio
from trio.testing import wait_all_tasks_blocked

from haqactor.entry import Entry, Kind, build
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft.membership import Configuration
from tests.builders.journal_bench import DIRECTORY, SMALL, Ledger, chunks, entry, hard, meta, running
from tests.builders.memory_disk import Inode, MemoryDisk

CONFIG = replace(SMALL, compress_bytes_min=1200)
"""Blocks of noise are too small for it, so that nobody finds out that packing does not pay."""
_VOTERS = Configuration(tuple(NodeId(node) for node in range(3)))


class Written(NamedTuple):
    """What was written: file names and contents, and the frames of all entries that ever were."""

    files: Mapping[str, bytes]
    frames: frozenset[bytes]


def _config(group: int, index: int) -> Entry:
    return build(GroupId(group), Index(index), Term(1), Kind.CONFIG, _VOTERS.encode())


def _text(group: int, index: int) -> Entry:
    """An entry that packs well."""
    return build(GroupId(group), Index(index), Term(1), Kind.COMMAND, b"h" * 60, b"text " * 40)


async def _written(*, clean: bool) -> Written:
    disk = MemoryDisk()
    async with running(disk, CONFIG, clean=clean) as journal:
        ledger = Ledger(journal)
        for index in range(1, 13):  # bodies of noise: never packed
            ledger.submit(1, (entry(1, index, size=300),), hard(1))
            await ledger.wait()
        await journal.save_snapshot(
            GroupId(1), meta(9), chunks(), [(Index(2), Index(3)), (Index(6), Index(6))]
        )
        while await journal.compact():
            pass
        ledger.submit(2, (_config(2, 1), *[_text(2, index) for index in range(2, 9)]), hard(2, 1))
        ledger.submit(3, (entry(3, 1),), hard(3))
        await ledger.wait()
        await journal.drop_group(GroupId(3))
        ledger.submit(1, (entry(1, 13, size=3000),), hard(4, 2))
        ledger.submit(2, (_config(2, 9),))
        await ledger.wait()
        ledger.submit(1, (entry(1, 12, 5), entry(1, 13, 5)), hard(5))
        await ledger.wait()
        await wait_all_tasks_blocked()  # the next segment is being prepared
    prefix = f"{DIRECTORY}/"
    files = {
        name.removeprefix(prefix): bytes(inode.data)
        for name, inode in sorted(disk.names.items())
        if name.startswith(prefix)
    }
    possible = [each.possible.values() for each in ledger.groups.values()]
    return Written(files, frozenset(one.frame for rows in possible for row in rows for one in row))


@cache
def journal_written(*, clean: bool = True) -> Written:
    """``clean``: it was stopped in order, so that an end block stands behind the last."""

    async def make() -> Written:
        return await _written(clean=clean)

    return trio.run(make)


def journal_files(*, clean: bool = True) -> Mapping[str, bytes]:
    """Name to content."""
    return journal_written(clean=clean).files


def disk_of(files: Mapping[str, bytes]) -> MemoryDisk:
    """A disk with these files, all durable."""
    disk = MemoryDisk()
    for name, content in files.items():
        inode = Inode(bytearray(content), bytearray(content))
        disk.names[f"{DIRECTORY}/{name}"] = inode
    disk.durable_names = dict(disk.names)
    return disk
