"""Readings of what nodes hold in memory and on disk, each with its bound, now and then.

One rule: it only looks; a reading says how much of something there is, and how much there may ever be.
"""

from collections.abc import Iterable
from typing import Any

from haqactor.ids import METADATA_GROUP
from haqactor.journal.quarantine import FILES_MAX as QUARANTINE_FILES
from haqactor.nodes.context import Context
from haqactor.nodes.group import GroupActor
from haqactor.nodes.node import Node
from haqactor.nodes.queues import QueueService
from haqactor.nodes.sessions import Request
from haqactor.nodes.writes import Write
from haqactor.sim.cluster import SimCluster, SimNode
from haqactor.sim.watch.observed import Gauge, Holdings
from haqactor.sim.watch.observer import Tell

EVERY_NS = 250_000_000

MAILBOX_SPARE = 64
"""What may be put into a full mailbox without waiting: notices of this node's own, but for the journal's, of
which there is one for each write under way: those are bounded in bytes, by Raft's windows."""
ENTRY_BYTES_MIN = 32
SEGMENTS_MAX = 96
COLD_FILES_EACH_MAX = 48
FILES_MAX = 48
FILES_EACH_MAX = 24
OUTBOX_BYTES_MAX = 65 * 1024 * 1024

DISK_BYTES_MAX = 192 * 1024
DISK_BYTES_EACH_MAX = 24 * 1024
"""At the end: the journal's own files, and the snapshots and cold files of a group."""

Reading = tuple[str, int, int]


class Gauges:
    """Attach it before the cluster starts. ``tell`` hears every reading."""

    def __init__(self, cluster: SimCluster, tell: Tell) -> None:
        self._cluster = cluster
        self._tell = tell
        cluster.world.call_after(EVERY_NS, self._read)

    def _read(self) -> None:
        now_ns = self._cluster.world.now_ns
        for node in self._cluster.nodes:
            server = node.server
            if not node.host.alive or server is None or server.context is None:
                continue
            host = node.host.name
            for name, value, bound in readings(node, server, server.context):
                self._tell(Gauge(now_ns, host, name, value, bound))
            for actor in server.context.groups.values():
                self._watch(host, actor)
                for held in holdings(actor, host, now_ns):
                    self._tell(held)
        self._cluster.world.call_after(EVERY_NS, self._read)

    def _watch(self, host: str, actor: GroupActor) -> None:
        """What producers put into a mailbox is looked at turn by turn: it is full for moments only."""
        watched: Any = actor
        if getattr(watched._turn, "__name__", "") == "gauged":
            return
        turn, world, tell = watched._turn, self._cluster.world, self._tell
        bound = actor.mailbox.items_max

        def gauged(items: list[Any], now: int) -> None:
            if len(items) > bound:
                asked = sum(isinstance(item, Request) for item in items)
                tell(Gauge(world.now_ns, host, "requests in a mailbox", asked, bound))
            turn(items, now)

        watched._turn = gauged


def readings(node: SimNode, server: Node, context: Context) -> Iterable[Reading]:
    """All of one node."""
    limits = context.limits
    for actor in context.groups.values():
        box: Any = actor.mailbox
        reports = sum(isinstance(item, Write) for item in box._items)
        yield "mailbox items", len(box) - reports, limits.mailbox_batches_max + MAILBOX_SPARE
        yield "requests held for a new leader", len(actor._held), limits.mailbox_batches_max
        yield "proposals under way", len(actor._proposals), limits.uncommitted_bytes_max // ENTRY_BYTES_MIN
        if isinstance(actor.service, QueueService):
            producers = actor.service.machine.producers
            yield "producer sessions", len(producers), limits.producer_sessions_max
            yield "ended producer sessions", len(producers.ended), limits.producer_sessions_max
    groups = context.config.groups + 1
    files = len(node.medium.tree.names.seen)
    yield "files on disk", files, FILES_MAX + QUARANTINE_FILES + groups * FILES_EACH_MAX
    yield "tail cache bytes", context.tail.bytes, limits.tail_cache_bytes
    journal = context.journal.statistics()
    yield "journal segments", journal.segments, SEGMENTS_MAX
    yield "cold files", journal.cold_files, groups * COLD_FILES_EACH_MAX
    if server.clients is not None:
        sessions = server.clients.sessions.values()
        yield "client connections", len(sessions), limits.connections_max
        pending = max((session.outbox.pending_bytes for session in sessions), default=0)
        yield "bytes for one client", pending, OUTBOX_BYTES_MAX


def holdings(actor: GroupActor, host: str, now_ns: int) -> Iterable[Holdings]:
    """What a replica holds of its queues, as its machine tells."""
    service = actor.service
    if actor.group == METADATA_GROUP or not isinstance(service, QueueService):
        return
    machine = service.machine
    for uid in machine.queues:
        told = machine.info(uid)
        known = (told["ready"], told["delayed"], told["dead"], told["first_seq"], told["next_seq"])
        yield Holdings(now_ns, host, int(actor.group), int(machine.index), uid, *known)


def disk_bound(groups: int) -> int:
    """How many bytes a drained node may keep on its disk."""
    return DISK_BYTES_MAX + (groups + 1) * DISK_BYTES_EACH_MAX
