"""A journal on a disk in memory, with a ledger of what it reported durable; shared by the journal's tests.

One rule: the ledger believes only ``done``; what it holds must be there after any crash.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import trio
import trio.lowlevel

from haqactor.entry import Entry, Kind, build
from haqactor.env import Disk, NullProbe, Probe
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.journal import Journal, JournalConfig, Persist
from haqactor.raft.ready import HardState, SnapshotMeta

DIRECTORY = "data"
SMALL = JournalConfig(
    segment_bytes=4096,
    segments_hot=0,
    copy_bytes=2048,
    read_gap_bytes=512,
    compress_bytes_min=256,
    scrub_bytes=2048,
    reserve_bytes=0,
)


class Bugs(NullProbe):
    """A probe with some planted bugs switched on."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def bug(self, name: str) -> bool:
        return name in self.names


def entry(group: int, index: int, term: int = 1, *, size: int = 60, kind: Kind = Kind.COMMAND) -> Entry:
    """An entry with a header that names it and a body of its own bytes."""
    body = Random(f"{group} {index} {term}").randbytes(size)
    return build(GroupId(group), Index(index), Term(term), kind, f"{group}/{index}/{term}".encode(), body)


def entries(group: int, first: int, last: int, term: int = 1, *, size: int = 60) -> tuple[Entry, ...]:
    """Contiguous entries."""
    return tuple(entry(group, index, term, size=size) for index in range(first, last + 1))


def hard(term: int, vote: int = 0) -> HardState:
    """A hard state."""
    return HardState(Term(term), NodeId(vote))


def meta(index: int, term: int = 1) -> SnapshotMeta:
    """A snapshot's place."""
    return SnapshotMeta(Index(index), Term(term), (NodeId(0), NodeId(1), NodeId(2)))


@dataclass
class Expected:
    """What the ledger knows of a group. ``starts``: first indexes by submission."""

    sure: dict[int, Entry] = field(default_factory=dict[int, Entry])
    possible: dict[int, list[Entry]] = field(default_factory=dict[int, list[Entry]])
    hard: HardState = field(default_factory=HardState)
    hards: list[HardState] = field(default_factory=list[HardState])
    starts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def cut_from(self, number: int) -> int:
        """The lowest index that something submitted after ``number`` overwrites."""
        return min((first for later, first in self.starts if later > number), default=2**63)


class Ledger:
    """Submits, and notes what was reported."""

    def __init__(self, journal: Journal, groups: "dict[int, Expected] | None" = None) -> None:
        self.journal = journal
        self.groups: dict[int, Expected] = {} if groups is None else groups
        self.order: list[int] = []
        self.submitted = 0

    def submit(self, group: int, new: tuple[Entry, ...] = (), state: HardState | None = None) -> None:
        """One Persist."""
        expected = self.groups.setdefault(group, Expected())
        number = self.submitted
        self.submitted += 1
        for each in new:
            expected.possible.setdefault(each.index, []).append(each)
        if new:
            expected.starts.append((number, new[0].index))
            for index in [index for index in expected.sure if index >= new[0].index]:
                del expected.sure[index]
        if state is not None:
            expected.hards.append(state)

        def done() -> None:
            self.order.append(number)
            for each in new:
                if expected.possible[each.index][-1] is each and each.index < expected.cut_from(number):
                    expected.sure[each.index] = each
            if state is not None:
                expected.hard = state
                expected.hards = [state]

        self.journal.submit(Persist(GroupId(group), new, state, done))

    async def wait(self) -> None:
        """Until all is reported."""
        while len(self.order) < self.submitted:
            await trio.lowlevel.checkpoint()


async def check(journal: Journal, groups: dict[int, Expected], gone: Callable[[int, int], bool]) -> None:
    """All that was reported is there, byte for byte. ``gone(group, index)``: a snapshot excuses its
    absence."""
    for group, expected in groups.items():
        state = journal.recovered.get(GroupId(group))
        found = {each.index: each for each in await read_all(journal, group)}
        for index, each in expected.sure.items():
            if index not in found:
                assert gone(group, index), f"group {group}: entry {index} was reported and is lost"
            else:
                same = found[Index(index)].frame == each.frame or gone(group, index)
                assert same, f"group {group}: entry {index} is another one"
        for index, each in found.items():
            frames = [possible.frame for possible in expected.possible.get(index, [])]
            assert each.frame in frames, f"group {group}: entry {index} was never submitted"
        stored = HardState() if state is None else state.hard_state
        assert stored in (expected.hard, *expected.hards), f"group {group}: hard state {stored}"


async def read_all(journal: Journal, group: int) -> list[Entry]:
    """Everything that can be read, in small steps."""
    found: list[Entry] = []
    at = 1
    while True:
        part = await journal.read(GroupId(group), Index(at), Index(10**6), 700)
        if not part:
            return found
        found += part
        at = part[-1].index + 1


@asynccontextmanager
async def running(
    disk: Disk, config: JournalConfig = SMALL, probe: Probe | None = None, *, clean: bool = True
) -> AsyncGenerator[Journal, None]:
    """An open journal with its writer; closed in order at the end, or just left."""
    journal = await Journal.open(disk, DIRECTORY, config, probe=probe or NullProbe())
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        yield journal
        if clean:
            await journal.aclose()
        nursery.cancel_scope.cancel()


def chunks(count: int = 3, size: int = 200) -> Iterator[bytes]:
    """A state in chunks."""
    for number in range(count):
        yield bytes([number]) * size
