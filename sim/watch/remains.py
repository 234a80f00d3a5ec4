"""What the queues of a cluster still hold, read from the machines of the leaders and from their journals.

One rule: a message is held if its bytes can be read the way a delivery reads them; of those that the disk
does not give at the moment the body is None.
"""

from collections.abc import Sequence
from functools import partial

import trio

from haqactor import batch
from haqactor.errors import Error, NotFound
from haqactor.ids import METADATA_GROUP
from haqactor.machine import picking, views
from haqactor.machine.batches import Located
from haqactor.machine.queue import Queue
from haqactor.nodes.delivery import load
from haqactor.nodes.group import GroupActor
from haqactor.nodes.queues import QueueService
from haqactor.sim.checkers.final import Place
from haqactor.sim.cluster import SimCluster, SimNode
from haqactor.sim.host import Host

_MANY = 1 << 40
_BYTES_MAX = 1 << 30


class Remains:
    """Let time pass until ``ready``, ``begin``, and again until ``done``. ``found``: place to state and body;
    None where a group had no leader that serves. ``core``: hosts on whose disks to read, where they have
    applied as much as the leader; at the leaders, where none are named."""

    def __init__(self, cluster: SimCluster, groups: int, core: Sequence[str] = ()) -> None:
        self.found: dict[Place, tuple[str, bytes | None]] | None = {}
        self._cluster = cluster
        self._groups = groups
        self._core = core
        self._reading = 0

    @property
    def ready(self) -> bool:
        """Every group has a leader that serves: leadership may be on its way to somebody else just now."""
        return all(self._serving(group) is not None for group in range(1, self._groups + 1))

    def _serving(self, group: int) -> GroupActor | None:
        node = self._cluster.leader(group)
        return None if node is None else _actor(node, group)

    @property
    def done(self) -> bool:
        """Everything has been read."""
        return not self._reading

    def begin(self) -> None:
        """Read at the leaders of now."""
        for group in range(1, self._groups + 1):
            node = self._cluster.leader(group)
            actor = None if node is None else _actor(node, group)
            if node is None or actor is None or not isinstance(actor.service, QueueService):
                self.found = None
                return
            host, reader = self._reader(node, actor)
            for queue in actor.service.machine.queues.values():
                if queue.depth:
                    self._reading += 1
                    host.enter(partial(self._spawn, actor, reader, queue))

    def _reader(self, leader: SimNode, actor: GroupActor) -> tuple[Host, GroupActor]:
        for node in self._cluster.nodes:
            context = node.server.context if node.host.name in self._core and node.server else None
            replica = None if context is None else context.groups.get(actor.group)
            if replica is not None and replica.applier.applied >= actor.applier.applied:
                return node.host, replica
        return leader.host, actor

    def _spawn(self, actor: GroupActor, reader: GroupActor, queue: Queue) -> None:
        trio.lowlevel.spawn_system_task(self._read, actor, reader, queue)

    async def _read(self, actor: GroupActor, reader: GroupActor, queue: Queue) -> None:
        for row in views.peek(queue, _MANY):
            try:
                bodies = await _bodies(reader, row)
            except NotFound:
                continue
            except Error:
                bodies = [None] * (row.last - row.first + 1)
            for seq, body in zip(range(row.first, row.last + 1), bodies, strict=True):
                if self.found is not None:
                    self.found[queue.name, queue.uid, seq] = (_state(queue, actor, seq), body)
        self._reading -= 1


def _actor(node: SimNode, group: int) -> GroupActor | None:
    context = None if node.server is None else node.server.context
    actors = {} if context is None else {int(number): actor for number, actor in context.groups.items()}
    actor = actors.get(group)
    return actor if actor is not None and actor.serving and group != METADATA_GROUP else None


async def _bodies(actor: GroupActor, row: Located) -> list[bytes | None]:
    whole = picking.peek_part(row, ())._replace(rows=None)
    contents = batch.unpack(await load(actor, whole), _BYTES_MAX)
    return [contents[row.skip + at].body for at in range(row.last - row.first + 1)]


def _state(queue: Queue, actor: GroupActor, seq: int) -> str:
    for name, marks in (("parked", queue.parked), ("delayed", queue.deferred)):
        if marks.within(seq, seq):
            return name
    service = actor.service
    consuming = service.consuming if isinstance(service, QueueService) else None
    desk = None if consuming is None else consuming.dispatcher._desks.get(queue.uid)
    return "leased" if desk is not None and desk.leases.leased.within(seq, seq) else "ready"
