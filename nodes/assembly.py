"""How a group's replica is put together from what the journal recovered.

One rule: nothing of a group runs before its snapshot, if it has one, is restored.
"""

from collections.abc import Callable

from haqactor.ids import METADATA_GROUP, GroupId, Index, NodeId, Term
from haqactor.machine.directory import DirectoryMachine
from haqactor.nodes.context import Context
from haqactor.nodes.directory import DirectoryService
from haqactor.nodes.group import GroupActor
from haqactor.nodes.missing import Missing
from haqactor.nodes.queues import QueueService
from haqactor.nodes.service import Service
from haqactor.raft.config import RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.membership import decode
from haqactor.raft.ready import HardState, SnapshotMeta

_NS = 1_000_000_000
_METADATA_VOTERS_MAX = 5
_STUCK = 3
"""Times ``disk_slow``: then a leader that could not hand over steps down."""


def raft_config(context: Context) -> RaftConfig:
    """The cores' bounds, from the node's."""
    limits = context.limits
    return RaftConfig(
        heartbeat_ns=round(limits.heartbeat * _NS),
        election_min_ns=round(limits.election_min * _NS),
        election_max_ns=round(limits.election_max * _NS),
        disk_slow_ns=round(limits.disk_slow * _NS),
        disk_stuck_ns=round(limits.disk_slow * _STUCK * _NS),
        peer_window_bytes=limits.peer_group_window_bytes,
        uncommitted_bytes_max=limits.uncommitted_bytes_max,
        memory_bytes=max(64 * 1024, limits.tail_cache_bytes // (context.config.groups + 1)),
    )


def metadata_members(context: Context) -> tuple[tuple[NodeId, ...], tuple[NodeId, ...]]:
    """Group 0's voters (the first five members) and learners (the others)."""
    members = tuple(NodeId(member[0]) for member in context.identity.members)
    return members[:_METADATA_VOTERS_MAX], members[_METADATA_VOTERS_MAX:]


class Assembly:
    """Makes the actors of one node. ``directory`` is this node's copy, shared by all."""

    def __init__(
        self, context: Context, moved: Callable[[], None], created: Callable[[int, tuple[int, ...]], None]
    ) -> None:
        self.context = context
        self.directory = DirectoryMachine(context.env.probe, context.versions)
        self.missing = Missing(self.directory)
        self._moved = moved
        self._created = created

    async def make(
        self, group: GroupId, voters: tuple[NodeId, ...], learners: tuple[NodeId, ...] = ()
    ) -> GroupActor:
        """The actor of one group, its snapshot restored. Raises DataDamaged."""
        context = self.context
        recovered = context.journal.recovered.get(group)
        hard, last = HardState(), Index(0)
        runs: tuple[tuple[Index, Term], ...] = ()
        configs: list[tuple[Index, tuple[NodeId, ...], tuple[NodeId, ...]]] = []
        snapshot = SnapshotMeta(Index(0), Term(0), voters, learners)
        chunks: list[bytes] = []
        if recovered is not None:
            hard, runs, last = recovered.hard_state, recovered.runs, recovered.last_index
            for index, header in recovered.configs:
                config = decode(header)
                configs.append((index, config.voters, config.learners))
            if recovered.snapshot is not None:
                snapshot = recovered.snapshot
                chunks = await self._chunks(group)
        core = RaftCore(
            group,
            context.node,
            raft_config(context),
            hard_state=hard,
            snapshot=snapshot,
            runs=runs,
            last_index=last,
            boot=context.boot,
            suspect=context.journal.tail_suspect(group),
            damaged=context.journal.is_damaged(group),
            configs=configs,
            random=context.env.random,
            probe=context.env.probe,
            now_ns=context.now(),
        )
        actor = GroupActor(context, group, core, self._service)
        if chunks:
            actor.service.restore(chunks)
        if recovered is None and not core.suspect:
            core.campaign_soon(context.now())
        return actor

    def _service(self, actor: GroupActor) -> Service:
        if actor.group == METADATA_GROUP:
            return DirectoryService(actor, self.directory, self._moved, self._created)
        return QueueService(actor, self.missing)

    async def _chunks(self, group: GroupId) -> list[bytes]:
        reader = self.context.journal.snapshot(group)
        if reader is None:
            return []
        return [await reader.chunk(number) for number in range(reader.chunk_count)]
