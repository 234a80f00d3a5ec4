"""A node: its directory, its ports, its actors, from the first block to the clean mark.

One rule: everything runs in one nursery; a journal failure or a broken invariant ends it all at once and
loudly, and nothing else does."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import trio
from structlog.typing import FilteringBoundLogger

from haqactor.config import NodeConfig
from haqactor.env import Environment, Stream
from haqactor.errors import DataDamaged, InvariantViolation
from haqactor.ids import METADATA_GROUP, GroupId, NodeId
from haqactor.journal.commit import unwrapped
from haqactor.journal.config import JournalConfig
from haqactor.journal.journal import Journal
from haqactor.journal.tail import TailCache
from haqactor.machine.versions import KNOWN, Versions
from haqactor.nodes.addresses import Addresses
from haqactor.nodes.assembly import Assembly, metadata_members
from haqactor.nodes.balance import Balancer
from haqactor.nodes.beats import Beats
from haqactor.nodes.context import Context
from haqactor.nodes.drain import drain
from haqactor.nodes.embedding import own_session
from haqactor.nodes.ending import one_cause
from haqactor.nodes.founding import Founded, Founding, check_identity, own_address
from haqactor.nodes.gossip import Gossip
from haqactor.nodes.intake import Intake
from haqactor.nodes.leaders import Leaders
from haqactor.nodes.listener import ClientListener
from haqactor.nodes.pacing import Pace
from haqactor.nodes.peer_listener import PeerListener
from haqactor.nodes.peers import PeerLink
from haqactor.nodes.ports import Ports, listen
from haqactor.nodes.repairs import Refused, Repairs
from haqactor.nodes.seeding import Seeking
from haqactor.nodes.status import node_status
from haqactor.nodes.supervisor import supervise
from haqactor.nodes.timers import Timers

_COMPACT_EVERY_S = 0.5
_SCRUB_EVERY_S = 2.0
_SCRUB_STEPS = 8


class Node:
    """One member. ``run`` serves until ``stop`` or a failure; ``accept`` serves a client of this program.
    ``versions``: of the machine, those that this release knows (the simulator has others)."""

    def __init__(
        self,
        config: NodeConfig,
        env: Environment,
        log: FilteringBoundLogger,
        versions: Versions = KNOWN,
    ) -> None:
        self.config = config
        self.versions = versions
        self.env = env
        self.log = log
        self.journal: Journal | None = None
        self.listening = ""
        self._repairs = Repairs(env.clock, log, str(config.data_dir))
        self._changed = trio.Event()
        self._stopping = trio.Event()
        self._started = trio.Event()
        self._first_boot = 0
        self._begin()

    def _begin(self) -> None:
        """Nothing runs yet, or any more."""
        self.context: Context | None = None
        self.assembly: Assembly | None = None
        self.clients: ClientListener | None = None
        self.beats: Beats | None = None
        self.intake: Intake | None = None
        self.gossip: Gossip | None = None
        self._founding: Founding | None = None
        self._making: dict[GroupId, None] = {}  #: groups that are here, or on their way
        if self._started.is_set():  # who waits already goes on waiting for the same
            self._started = trio.Event()
        self._nursery: trio.Nursery | None = None

    # -- life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the directory and the ports (then ``started``), found or rejoin the cluster, serve. Damage is
        repaired, and served on, where other nodes hold the same. Raises DataDamaged, StorageFailed, Conflict,
        ConfigError, UnknownVersion; InvariantViolation is a bug."""
        once = _Once(task_status)
        while True:
            try:
                await self._run(once)
            except Refused:
                raise
            except DataDamaged as error:
                if self.journal is None:
                    raise
                self._repairs.again(error, self.journal.identity)
                self.env.probe.mark("nodes.begins_again")
                for session in () if self.clients is None else tuple(self.clients.sessions.values()):
                    session.abort()
                self._begin()
            else:
                return

    async def _run(self, task_status: "trio.TaskStatus[None]") -> None:
        config = self.config
        limits = config.limits
        directory = str(config.data_dir)
        journal_config = JournalConfig(
            segment_bytes=limits.segment_bytes, compress_bytes_min=limits.compress_bytes_min
        )
        repairs = self._repairs
        try:
            journal = self.journal = await Journal.open(
                self.env.disk,
                directory,
                journal_config,
                probe=self.env.probe,
                repair=repairs.allowed,
                distrust=repairs.distrust,
            )
        except DataDamaged as error:
            raise Refused(str(repairs.refused(error))) from error
        self._first_boot = self._first_boot or journal.boot
        repairs.opened(journal.damages)
        if journal.cut is not None:
            self.log.warning(
                "the journal's last block was bad after an unclean stop; it was cut", block=str(journal.cut)
            )
        try:
            if not journal.identity.nonce:
                nonce = self.env.random.token(16)
                await journal.update_identity(lambda identity: replace(identity, nonce=nonce))
            check_identity(self.config, journal.identity)
            await self._serve(journal, task_status)
        except BaseExceptionGroup as group:
            cause = one_cause(group, journal.failure)
            if cause is None:
                raise
            raise cause from None
        finally:
            with trio.CancelScope(shield=True):
                await journal.aclose()
        self.log.info("stopped")

    async def _serve(self, journal: Journal, task_status: trio.TaskStatus[None]) -> None:
        ports = await listen(self.config, self.env.network)
        if ports.clients is not None and ports.peers is not None:
            self.listening = ports.clients.address
            self.log.info("listens", clients=self.listening, peers=ports.peers.address)
        try:
            async with unwrapped(), trio.open_nursery() as outer:
                writer = trio.CancelScope(shield=True)
                await outer.start(_write, journal, writer)
                try:
                    await journal.evacuate()
                    await self._serve_at(ports, journal, task_status)
                finally:
                    writer.cancel()
        finally:
            await ports.aclose()

    async def _serve_at(self, ports: Ports, journal: Journal, task_status: trio.TaskStatus[None]) -> None:
        async with unwrapped(), trio.open_nursery() as nursery:
            self._nursery = nursery
            peers = PeerListener(
                self.env,
                self.log,
                self.config.limits.handshake,
                lambda: journal.identity,
                lambda: journal.boot,
                self._heard,
                self.versions,
                lambda: () if self._founding is None else self._founding.addresses,
            )
            if ports.peers is not None:
                peers_at = ports.peers
                self._supervise("peer listener", lambda: peers.run(peers_at))
            task_status.started()
            if await self._join(journal):
                await self._start(journal, peers, nursery)
                self._start_gossip(ports)
                if ports.clients is not None and self.clients is not None:
                    clients, client_port = self.clients, ports.clients
                    self._supervise("client listener", lambda: clients.run(client_port))
                self._started.set()
                await self._stopping.wait()
                await self._leave()
            nursery.cancel_scope.cancel()

    def _supervise(self, name: str, actor: Callable[[], Awaitable[None]]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(supervise, name, actor, self.log, self.env.clock)

    def _heard(self, address: str, nonce: bytes) -> None:
        if self._founding is not None:
            self._founding.heard(address, nonce)

    async def _join(self, journal: Journal) -> bool:
        """Found a cluster, or find this node in one; False where it was stopped before that."""
        identity, config = journal.identity, self.config
        mine = own_address(config)
        if identity.cluster_id is not None:
            here = [(n, mine if n == identity.node_id else at, nonce) for n, at, nonce in identity.members]
            if tuple(here) != identity.members:
                await journal.update_identity(lambda identity: replace(identity, members=tuple(here)))
            return True
        found = await self._found(identity.nonce)
        if found is None:
            return False
        cluster, members = found
        node = next(number for number, _address, nonce in members if nonce == identity.nonce)
        await journal.update_identity(
            lambda identity: replace(identity, cluster_id=cluster, node_id=node, members=members)
        )
        self.log.info("founded", cluster=cluster.hex(), node=node, members=len(members))
        return True

    async def _found(self, nonce: bytes) -> Founded | None:
        """What all of them agree on; None where this node is stopped first, since the others may never
        come."""
        found: Founded | tuple[str, ...] = ()
        async with unwrapped(), trio.open_nursery() as nursery:

            async def stop() -> None:
                await self._stopping.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            if self.config.seeds and not self.config.bootstrap:
                found = await Seeking(self.env, self.config, nonce, self.log).run()
            if not isinstance(found, Founded):
                founding = self._founding = Founding(self.env, self.config, nonce, found)
                found = await founding.run()
            nursery.cancel_scope.cancel()
        return found if isinstance(found, Founded) else None

    # -- parts

    async def _start(self, journal: Journal, peers: PeerListener, nursery: trio.Nursery) -> None:
        members = journal.identity.members
        context = self.context = Context(
            env=self.env,
            config=self.config,
            log=self.log.bind(node=journal.identity.node_id),
            journal=journal,
            tail=TailCache(self.config.limits.tail_cache_bytes),
            leaders=Leaders({NodeId(node): address for node, address, _nonce in members}),
            timers=Timers(self.env.clock),
            pace=Pace(self.env, self.config.limits.catch_up_bytes_s, lambda: journal.counters),
            versions=self.versions,
            first_boot=self._first_boot,
        )
        context.leaders.subscribe(lambda _rows: self._leaders_changed())
        self.beats = Beats(context)
        context.beat_now = self.beats.now
        self.intake = Intake(context, self.beats)
        self.assembly = Assembly(context, self._directory_moved, self._group_created)
        self.clients = ClientListener(context, self)
        for node, address, nonce in members:
            if node != journal.identity.node_id:
                context.peers[NodeId(node)] = PeerLink(context, NodeId(node), address, nonce, self.intake)
        everyone = tuple(NodeId(member[0]) for member in members)
        await self._start_group(METADATA_GROUP, *metadata_members(context))
        for group in sorted(journal.recovered):
            if group != METADATA_GROUP:
                await self._start_group(group, everyone)
        peers.receiver = self.intake
        for link in context.peers.values():
            self._supervise(f"link to node {link.peer}", link.run)
        nursery.start_soon(context.timers.run)
        nursery.start_soon(self.beats.run)
        nursery.start_soon(Balancer(context).run)
        nursery.start_soon(self._want_snapshots)
        nursery.start_soon(self._compact)
        nursery.start_soon(self._scrub)

    def _start_gossip(self, ports: Ports) -> None:
        context = self.context
        if context is None or ports.gossip is None:
            return
        addresses = Addresses(context)
        gossip = self.gossip = Gossip(context, ports.gossip, addresses.changed, self._client_count)
        self._supervise("addresses", addresses.run)
        self._supervise("gossip", gossip.run)

    def _client_count(self) -> int:
        return len(self.clients.sessions) if self.clients is not None else 0

    async def _start_group(
        self, group: GroupId, voters: tuple[NodeId, ...], learners: tuple[NodeId, ...] = ()
    ) -> None:
        context, assembly, nursery = self.context, self.assembly, self._nursery
        if context is None or assembly is None or nursery is None or group in self._making:
            return
        self._making[group] = None
        actor = await assembly.make(group, voters, learners)
        context.groups[group] = actor
        nursery.start_soon(actor.run)
        if self.intake is not None:
            self.intake.started(actor)

    def _group_created(self, group: int, replicas: tuple[int, ...]) -> None:
        context, nursery = self.context, self._nursery
        if (
            context is None
            or nursery is None
            or context.node not in replicas
            or GroupId(group) in context.groups
        ):
            return
        nursery.start_soon(self._start_group, GroupId(group), tuple(NodeId(node) for node in replicas))

    def _directory_moved(self) -> None:
        context = self.context
        if context is None:
            return
        for group, actor in context.groups.items():
            if group != METADATA_GROUP and actor.leading:
                actor.mailbox.put_once(actor.directory_moved)
        self._leaders_changed()

    def _leaders_changed(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def _scrub(self) -> None:
        """Read sealed files again, slowly (at most 4 MiB/s): rot is to be found while the others still have
        what it took."""
        context = self.context
        while context is not None:
            await trio.sleep(_SCRUB_EVERY_S)
            for _ in range(_SCRUB_STEPS):
                if await context.journal.scrub_step():
                    context.count("scrub_rounds")
                    break

    async def _want_snapshots(self) -> None:
        """Of groups that hold up the oldest segment; beside the compaction, whose steps may take long."""
        context = self.context
        while context is not None:
            await trio.sleep(_COMPACT_EVERY_S)
            for group in context.journal.wanted_snapshots():
                actor = context.groups.get(group)
                if actor is not None:
                    actor.mailbox.put_once(actor.applier.wanted)

    async def _compact(self) -> None:
        context = self.context
        while context is not None:
            await trio.sleep(_COMPACT_EVERY_S)
            while await context.journal.compact(self._puts_off):
                context.count("compactions")

    def _puts_off(self, group: GroupId) -> bool:
        """Does it take no snapshot, though the journal waits for one?"""
        actor = None if self.context is None else self.context.groups.get(group)
        return actor is not None and actor.applier.feeds()

    # -- for clients and whoever holds the node

    async def accept(self, stream: Stream) -> None:
        """Serve a client that lives in this program, over an in-memory stream."""
        await self._started.wait()
        if self.clients is not None:
            await self.clients.serve(stream)

    def own_session(self) -> bytes:
        """The id for a client session inside this program; once ``run`` has said ``started``."""
        journal = self.journal
        if journal is None:
            raise InvariantViolation("an embedded client was opened before its node")
        return own_session(journal.identity.nonce, journal.boot, self.env.random)

    def resolve(self, name: str) -> list[Any] | None:
        """A queue's row from this node's copy of the directory."""
        row: list[Any] | None = self.assembly.directory.resolve(name) if self.assembly is not None else None
        return row

    @property
    def ready(self) -> bool:
        """Every group of the directory has a leader, as far as this node knows."""
        context, assembly = self.context, self.assembly
        if context is None or assembly is None:
            return False
        groups = [METADATA_GROUP, *(GroupId(group) for group, _replicas in assembly.directory.group_rows())]
        return len(groups) > 1 and all(context.leaders.leader(group)[0] >= 0 for group in groups)

    async def wait_ready(self) -> None:
        """Return once the node is ``ready``."""
        await self._started.wait()
        while not self.ready:
            await self._wait_changed()

    def status(self) -> dict[str, Any]:
        """What this node sees: itself, its peers, its groups, its caches."""
        context = self.context
        if context is None:
            return {"ready": False}
        return node_status(context, self.gossip, ready=self.ready, clients=self._client_count())

    # -- the end

    async def wait_stopping(self) -> None:
        """Return once ``stop`` was called."""
        await self._stopping.wait()

    def stop(self) -> None:
        """Drain and end: leaderships move, clients are told, the journal is closed cleanly."""
        self._stopping.set()

    async def _leave(self) -> None:
        if self.clients is not None:
            self.clients.goodbye("this node stops")
        if self.context is not None:
            await drain(self.context, self._wait_changed)
        if self.gossip is not None:
            await self.gossip.leave()

    async def _wait_changed(self) -> None:
        await self._changed.wait()


class _Once:
    """A task status that may be told more than once: a node that begins again listens again."""

    def __init__(self, status: "trio.TaskStatus[None]") -> None:
        self._status: trio.TaskStatus[None] | None = status

    def started(self, value: None = None) -> None:
        """It listens."""
        status, self._status = self._status, None
        if status is not None:
            status.started(value)


async def _write(journal: Journal, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    """The journal's writer ends after everybody who writes, however the node ends; ``scope`` is shielded.
    Else whoever has one more turn in that instant finds it closed, as if the disk had failed."""
    with scope:
        await journal.run(task_status=task_status)
