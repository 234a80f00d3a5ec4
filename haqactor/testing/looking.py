"""Looks into the nodes of a simulated cluster: who leads a queue, what the queues hold, whether all is at
rest.

One rule: it only looks, from outside of every host.
"""

from collections.abc import Sequence

from haqactor.ids import METADATA_GROUP
from haqactor.nodes.group import GroupActor
from haqactor.nodes.queues import QueueService
from haqactor.sim.checkers.final import Final, Group, Replica
from haqactor.sim.cluster import SimCluster, SimNode
from haqactor.sim.watch.remains import Remains


def leader_of(cluster: SimCluster, queue: str) -> SimNode | None:
    """The node that leads the queue of that name."""
    for group in range(1, cluster.shape.groups + 1):
        leader = cluster.leader(group)
        service = None if leader is None else _service(leader, group)
        if service is not None and any(each.name == queue for each in service.machine.queues.values()):
            return leader
    return None


def at_rest(cluster: SimCluster, core: Sequence[str]) -> bool:
    """Every group has a leader, and all replicas of the core have applied all of its log."""
    for group in range(cluster.shape.groups + 1):
        leader = cluster.leader(group)
        actor = None if leader is None else _actor(leader, group)
        if actor is None or not actor.serving:
            return False
        last = actor.core.last_index
        for node in cluster.nodes:
            replica = _actor(node, group)
            if node.host.name in core and (
                replica is None or replica.core.last_index != last or replica.applier.applied != last
            ):
                return False
    return True


def final(cluster: SimCluster, healed_ns: int, core: tuple[str, ...], remains: Remains) -> Final:
    """The end of a run, for the checkers. Histories of programs do not name incarnations of queues, so what
    remains does not either."""
    end = Final(now_ns=cluster.world.now_ns, healed_ns=healed_ns, core=core)
    end.others = tuple(
        node.host.name for node in cluster.nodes if node.host.name not in core and node.host.alive
    )
    if remains.done and remains.found is not None:
        end.remaining = {(queue, 0, seq): held for (queue, _uid, seq), held in remains.found.items()}
    for group in range(cluster.shape.groups + 1):
        leader = cluster.leader(group)
        found = end.groups[group] = Group("" if leader is None else leader.host.name)
        for node in cluster.nodes:
            actor = _actor(node, group)
            if actor is not None and node.host.name in core and group != METADATA_GROUP:
                found.replicas[node.host.name] = Replica(
                    int(actor.core.term), int(actor.applier.applied), actor.service.digest()
                )
    return end


def _actor(node: SimNode, group: int) -> GroupActor | None:
    context = node.server.context if node.host.alive and node.server is not None else None
    if context is None:
        return None
    return next((actor for number, actor in context.groups.items() if int(number) == group), None)


def _service(node: SimNode, group: int) -> QueueService | None:
    actor = _actor(node, group)
    return actor.service if actor is not None and isinstance(actor.service, QueueService) else None
