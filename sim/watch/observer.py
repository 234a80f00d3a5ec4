"""Watches the real nodes of a simulated cluster and tells the checkers what they do.

One rule: it only looks. It stands between an actor and its neighbours, passes everything on as it came, and
keeps nothing of a host that crashed.
"""

from collections.abc import Callable
from typing import Any

import google_crc32c

from haqactor.entry import Entry, Kind
from haqactor.ids import NO_NODE, GroupId, Index, NodeId, Term
from haqactor.machine.actions import Deliver
from haqactor.machine.commands import Cause, Op, decode
from haqactor.machine.effects import Applied
from haqactor.nodes.delivery import Delivery
from haqactor.nodes.group import GroupActor
from haqactor.nodes.node import Node
from haqactor.nodes.ports import Ports
from haqactor.nodes.queues import QueueService
from haqactor.nodes.writes import Write
from haqactor.raft.messages import Append as AppendMessage
from haqactor.raft.messages import AppendReply, Message, RequestVote
from haqactor.raft.messages import Vote as VoteMessage
from haqactor.raft.ready import SnapshotMeta
from haqactor.sim.cluster import SimCluster, SimNode
from haqactor.sim.releases import NEWER
from haqactor.sim.watch import observed
from haqactor.sim.watch.durable import Truth
from haqactor.sim.watch.membership import MembershipWatch
from haqactor.sim.watch.observed import Event

_READ_BYTES = 1 << 30
Tell = Callable[[Event], None]


class Observer:
    """Attach it before the cluster starts. ``tell`` hears every event of every group."""

    def __init__(self, cluster: SimCluster, tell: Tell) -> None:
        self._cluster = cluster
        self._tell = tell
        cluster.on_start.append(self._started)

    def _started(self, node: SimNode, server: Node) -> None:
        start_group = server._start_group  # its only way to a new actor
        watched_server: Any = server

        async def watched(group: GroupId, *members: Any) -> None:
            assembly: Any = server.assembly
            if assembly is not None and not isinstance(assembly.make, _Making):
                assembly.make = _Making(self, node, server, assembly.make)
            await start_group(group, *members)

        watched_server._start_group = watched
        start_gossip = server._start_gossip

        def gossips(ports: Ports) -> None:
            start_gossip(ports)
            if server.gossip is not None:
                MembershipWatch(server.gossip, node.host.name, lambda: self._cluster.world.now_ns, self._tell)

        watched_server._start_gossip = gossips

    async def begin(self, node: SimNode, server: Node, actor: GroupActor, truth: Truth) -> None:
        """Watch an actor that does not run yet: on a slow disk it takes long to read what it begins with."""
        world, context = self._cluster.world, server.context
        if context is None:
            return
        watch = Watch(actor, node.host.name, lambda: world.now_ns, self._tell, truth)
        entries = await context.journal.read(actor.group, Index(1), actor.core.last_index, _READ_BYTES)
        watch.begun(context.journal.boot, entries)


class _Making:
    """In the place of ``Assembly.make`` of one node."""

    def __init__(self, observer: Observer, node: SimNode, server: Node, make: Any) -> None:
        self._observer = observer
        self._node = node
        self._server = server
        self._make = make
        self._truth: Truth | None = None

    async def __call__(self, group: GroupId, *members: Any) -> Any:
        actor = await self._make(group, *members)
        context = self._server.context
        if context is None:
            return actor
        if self._truth is None:
            self._truth = Truth(context.journal, self._node.medium)
        await self._observer.begin(self._node, self._server, actor, self._truth)
        return actor


class Watch:
    """One group's actor on one host, from its beginning to the crash."""

    def __init__(
        self, actor: GroupActor, host: str, now_ns: Callable[[], int], tell: Tell, truth: Truth
    ) -> None:
        self._actor = actor
        self._truth = truth
        self._host = host
        self._group = int(actor.group)
        self._now_ns = now_ns
        self._tell = tell
        self._term_led = 0
        self._committed = int(actor.core.commit)
        self._replies: list[Any] | None = None
        self._replaced: tuple[bytes, int] | None = None
        self._hard = actor.core._state.hard
        self._synced = (
            int(actor.core.last_index),
            int(actor.core._state.log.term_at(actor.core.last_index) or 0),
        )

    def _name(self, node: NodeId) -> str:
        return "" if node == NO_NODE else f"n{node}"

    def begun(self, incarnation: int, entries: tuple[Entry, ...]) -> None:
        """What it found on its disk; from now on it is watched."""
        actor, now = self._actor, self._now_ns()
        core = actor.core
        state = core._state
        snapshot = state.log.snapshot
        self._tell(
            observed.Started(
                now,
                self._host,
                self._group,
                incarnation,
                core.term,
                self._name(state.hard.vote),
                core.last_index,
                int(state.log.term_at(core.last_index) or 0),
                snapshot.index,
                snapshot.term,
                core.suspect,
                self._truth.settled,
                core.cure_state().damaged or (core.suspect and self._truth.rotted),
            )
        )
        for entry in entries:
            if entry.index > snapshot.index:  # below it only those are kept that messages still need
                self._append(entry, now, crc_of(entry))
        self._stand_between()

    def _stand_between(self) -> None:
        actor = self._actor
        applier = actor.applier
        self._wrap(actor, "send", self._sends)
        self._wrap(actor, "_turn", None, self._commits)  # heartbeats tell of commits, too
        self._wrap(actor, "apply", None, self._applied)
        self._wrap(actor, "_written", self._durable)
        self._wrap(actor, "_role_changed", self._role)
        self._wrap(actor, "restored", None, self._restored)
        self._wrap(actor.service, "restore", None, self._replaces)
        self._wrap(applier, "commit", self._commits)
        self._wrap(applier, "remember", self._remembers)
        if isinstance(actor.service, QueueService):
            self._wrap(actor.service, "lead", None, self._leads)
            self._watch_machine(actor.service.machine)

    @staticmethod
    def _wrap(
        owner: Any,
        name: str,
        before: Callable[..., None] | None,
        after: Callable[..., None] | None = None,
    ) -> None:
        original = getattr(owner, name)

        def standing(*arguments: Any) -> Any:
            if before is not None:
                before(*arguments)
            result = original(*arguments)
            if after is not None:
                after(*arguments)
            return result

        setattr(owner, name, standing)

    # -- what is seen

    def _append(self, entry: Entry, now: int, crc: int) -> None:
        self._tell(observed.Append(now, self._host, self._group, int(entry.index), int(entry.term), crc))

    def _remembers(self, entries: tuple[Entry, ...]) -> None:
        now = self._now_ns()
        for entry in entries:
            self._append(entry, now, entry.crc)

    def _sends(self, messages: "list[tuple[NodeId, Message]] | tuple[tuple[NodeId, Message], ...]") -> None:
        self._commits()
        now, host, group = self._now_ns(), self._host, self._group
        for peer, message in messages:
            if isinstance(message, AppendReply):
                if message.accepted and not message.suspect:
                    self._tell(observed.Told(now, host, group, int(message.term), int(message.matched)))
            elif isinstance(message, VoteMessage):
                if message.granted and not message.pre:
                    self._tell(observed.Vote(now, host, group, int(message.term), self._name(peer)))
            elif isinstance(message, RequestVote):
                if not message.pre:
                    self._tell(observed.Vote(now, host, group, int(message.term), host))
            elif isinstance(message, AppendMessage):
                for entry in message.entries:
                    self._tell(
                        observed.Served(now, host, group, int(entry.index), int(entry.term), crc_of(entry))
                    )

    def _durable(self, write: Write, _now: int) -> None:
        if not self._truth.backs(self._actor.group, write.index, write.term, write.hard_state):
            return  # it says so; its disk does not
        if write.hard_state is not None:
            self._hard = write.hard_state
        if write.index:
            self._synced = int(write.index), int(write.term)
        self._tell_synced()

    def _tell_synced(self) -> None:
        index, term = self._synced
        hard = self._hard
        self._tell(
            observed.Sync(
                self._now_ns(),
                self._host,
                self._group,
                index,
                term,
                int(hard.term),
                self._name(hard.vote),
                self._truth.block,
            )
        )

    def _role(self, _now: int) -> None:
        core = self._actor.core
        if core.is_leader and core.term != self._term_led:
            self._term_led = core.term
            log = core._state.log
            noop = core._state.noop_index
            last = Index(noop - 1) if noop else core.last_index
            self._tell(
                observed.Leader(
                    self._now_ns(),
                    self._host,
                    self._group,
                    int(core.term),
                    int(last),
                    int(log.term_at(last) or 0),
                )
            )

    def _commits(self, *_arguments: Any) -> None:
        """The core knows of a commit before it hands it out, and messages tell it on: so it is looked for
        before every message, too."""
        core = self._actor.core
        index = core.commit
        if index <= self._committed:
            return
        self._committed = index
        term = core._state.log.term_at(index) or 0
        by = int(core.term) if core.is_leader else 0
        if not by and term == self._term_led:
            by = int(term)  # it committed by counting, and stepped down in the same turn
        voters = tuple(self._name(node) for node in sorted(core.configuration.deciders()))
        self._tell(
            observed.Commit(
                self._now_ns(), self._host, self._group, int(index), int(term), by, (voters,) if by else ()
            )
        )

    def _replaces(self, _chunks: Any) -> None:
        """The state is a snapshot's now."""
        self._replaced = self._actor.service.digest(), self._lacking()

    def _restored(self, meta: SnapshotMeta, _chunks: Any, _now: int) -> None:
        replaced, self._replaced = self._replaced, None
        if replaced is None:
            return  # the log went past it meanwhile
        core, now = self._actor.core, self._now_ns()
        if self._truth.backs(self._actor.group, meta.index, meta.term):
            self._synced = int(meta.index), int(meta.term)
            last, term = core.last_index, core._state.log.last_term
            if last > meta.index and self._truth.backs(self._actor.group, last, term):
                self._synced = int(last), int(term)  # what followed the same entry has stayed
        self._committed = max(self._committed, int(meta.index))
        digest, lacking = replaced
        self._tell(
            observed.Snapshot(
                now, self._host, self._group, int(meta.index), int(meta.term), digest, True, lacking
            )
        )
        self._tell_synced()

    def _lacking(self) -> int:
        """Entries that the state refers to, and the journal does not have."""
        actor = self._actor
        held = actor.context.journal.groups.get(actor.group)
        if held is None:
            return 0
        return sum(
            last - first + 1 - len(list(held.index.locate(first, last)))
            for first, last in actor.service.live_entries()
        )

    def _applied(self, entry: Entry, _now: int) -> None:
        commands, replies, self._replies = entry.kind is Kind.COMMAND, self._replies, None
        self._tell(
            observed.Apply(
                self._now_ns(),
                self._host,
                self._group,
                int(entry.index),
                int(entry.term),
                entry.crc,
                self._actor.service.digest(),
                bytes(entry.header) if commands else b"",
                replies if commands else [],
            )
        )

    def _watch_machine(self, machine: Any) -> None:
        apply = machine.apply

        def watched(index: Index, term: Term, header: bytes, body_bytes: int) -> Applied:
            applied: Applied = apply(index, term, header, body_bytes)
            self._replies = applied.replies
            if self._actor.leading and header:
                self._freed(header)
            return applied

        machine.apply = watched

    def _freed(self, header: bytes) -> None:
        for kind, *fields in decode(header, NEWER).commands:
            expired = False
            if kind == Op.SETTLE:
                uid, acks, nacks, rejects, releases = fields
                rows = [*acks, *nacks, *rejects, *releases]
            elif kind == Op.RETURN:
                uid, cause, plain, charged, suspects = fields
                expired = cause == Cause.EXPIRED
                rows = [*plain, *charged, *suspects]
            else:
                continue
            ranges = tuple((int(row[0]), int(row[1])) for row in rows)
            term = int(self._actor.core.term)
            self._tell(observed.Freed(self._now_ns(), self._host, self._group, uid, term, ranges, expired))

    def _leads(self, *_arguments: Any) -> None:
        service = self._actor.service
        if isinstance(service, QueueService) and service.consuming is not None:
            self._watch_deliveries(service.consuming.delivery)

    def _watch_deliveries(self, delivery: Delivery) -> None:
        fresh: list[observed.Chosen] = []

        def chosen(deliver: Deliver) -> None:
            for part in deliver.parts:
                fresh.append(
                    observed.Chosen(
                        self._now_ns(),
                        self._host,
                        self._group,
                        deliver.uid,
                        part.term,
                        part.counter,
                        f"{deliver.session.hex()}/{deliver.consumer}",
                        tuple((low, high) for low, high in part.ranges),
                        int(self._actor.applier.applied),
                        tuple((seq, failures) for seq, failures in part.attempts),
                        deliver.lease_ns,
                    )
                )

        def sealed(_now: int) -> None:
            """A turn chooses in order, and then gathers by consumer."""
            for event in sorted(fresh, key=lambda event: (event.uid, event.ranges)):
                self._tell(event)
            fresh.clear()

        self._wrap(delivery, "add", chosen)
        self._wrap(delivery, "seal", sealed)


def crc_of(entry: Entry) -> int:
    """Of the bytes that are there, whatever they say of themselves."""
    return int(google_crc32c.value(entry.frame[4:]))
