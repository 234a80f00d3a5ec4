"""A group's replica as the journal left it."""

from dataclasses import replace
from typing import Any

import pytest

from haqactor.config import Limits
from haqactor.ids import METADATA_GROUP, GroupId, Index, NodeId, Term
from haqactor.machine import commands
from haqactor.machine.machine import GroupMachine
from haqactor.nodes.assembly import Assembly, metadata_members, raft_config
from haqactor.nodes.directory import DirectoryService
from haqactor.nodes.queues import QueueService
from haqactor.raft.membership import Configuration
from haqactor.raft.ready import HardState, SnapshotMeta
from tests.builders.node_context import member_identity, node_context

GROUP = GroupId(1)
VOTERS = (NodeId(0), NodeId(1), NodeId(2))


class Recovered:
    """What the journal found of one group."""

    def __init__(self, snapshot: SnapshotMeta | None) -> None:
        self.hard_state = HardState(Term(4), NodeId(2))
        self.runs = ((Index(6), Term(4)),)
        self.last_index = Index(7)
        self.configs: list[Any] = []
        self.snapshot = snapshot


class Reader:
    """A snapshot's chunks."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks
        self.chunk_count = len(chunks)

    async def chunk(self, number: int) -> bytes:
        return self._chunks[number]


def make(
    recovered: dict[int, Recovered], chunks: list[bytes] | None = None, *, suspect: bool = False
) -> Assembly:
    context, journal = node_context(0)
    found: Any = journal
    found.recovered = recovered

    def snapshot(_group: int) -> Reader | None:
        return Reader(chunks) if chunks else None

    def tail_suspect(_group: int) -> bool:
        return suspect

    def is_damaged(_group: int) -> bool:
        return False

    found.snapshot, found.tail_suspect, found.is_damaged = snapshot, tail_suspect, is_damaged
    return Assembly(context, lambda: None, lambda _group, _replicas: None)


async def test_a_group_that_is_new() -> None:
    """It calls an election at once, and its service is that of its kind."""
    assembly = make({})
    data, metadata = await assembly.make(GROUP, VOTERS), await assembly.make(METADATA_GROUP, VOTERS)
    assert isinstance(data.service, QueueService)
    assert isinstance(metadata.service, DirectoryService)
    assert metadata.service.machine is assembly.directory
    assert data.core.has_ready() or data.core.next_deadline_ns <= data.context.now() + 1_000_000_000
    assert (data.core.term, data.core.last_index, data.applier.applied) == (0, 0, 0)


async def test_a_group_that_was_here() -> None:
    """Term, vote and log go on; without a snapshot everything is applied anew."""
    actor = await make({GROUP: Recovered(None)}).make(GROUP, VOTERS)
    assert (actor.core.term, actor.core.last_index, actor.applier.applied) == (4, 7, 0)
    assert not actor.core.suspect


async def test_its_configuration_is_found_again() -> None:
    """R8: the log's newest one counts, not that of the founding."""
    found = Recovered(None)
    found.configs = [(Index(7), Configuration(VOTERS[:2], (NodeId(2),)).encode())]
    actor = await make({GROUP: found}).make(GROUP, VOTERS)
    assert actor.core.configuration == Configuration(VOTERS[:2], (NodeId(2),))


async def test_a_snapshot_is_restored_before_anything_runs() -> None:
    """And the log goes on behind it."""
    machine = GroupMachine()
    rows: list[list[Any]] = [[10, 1, "q", {}]]
    machine.apply(Index(5), Term(3), commands.encode(1, [commands.follow_directory(1, [], rows)]), 0)
    meta = SnapshotMeta(Index(5), Term(3), VOTERS)
    chunks = list(machine.snapshot_chunks())
    actor = await make({GROUP: Recovered(meta)}, chunks).make(GROUP, VOTERS)
    assert (actor.core.last_index, actor.applier.applied) == (7, 5)
    assert actor.service.digest() == machine.digest()


async def test_a_torn_tail_makes_a_suspect() -> None:
    """It does not count until it is cured."""
    actor = await make({GROUP: Recovered(None)}, suspect=True).make(GROUP, VOTERS)
    assert actor.core.suspect


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_group_0_has_five_voters_at_most(size: int) -> None:
    """The other nodes have copies."""
    context, journal = node_context(0, size=size)
    journal.identity = replace(member_identity(0, size))
    voters, learners = metadata_members(context)
    assert (len(voters), len(learners)) == (min(size, 5), max(0, size - 5))
    assert voters + learners == tuple(range(size))


def test_the_cores_bounds_are_the_nodes() -> None:
    """In the cores' units."""
    limits = Limits(
        heartbeat=0.2,
        election_min=0.5,
        election_max=2.0,
        peer_group_window_bytes=11,
        uncommitted_bytes_max=12,
        tail_cache_bytes=3 << 20,
    )
    config = raft_config(node_context(limits=limits)[0])
    assert (config.heartbeat_ns, config.election_min_ns, config.election_max_ns) == (
        200_000_000,
        500_000_000,
        2_000_000_000,
    )
    assert (config.peer_window_bytes, config.uncommitted_bytes_max) == (11, 12)
    assert config.memory_bytes == 1 << 20
