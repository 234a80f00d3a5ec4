"""What every kind of fault needs: who is there, what may be done to them, and how to end it again.

One rule: nothing that was put off begins once the stage is ``closed``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from haqactor.sim.atlas import Atlas
from haqactor.sim.cluster import SimCluster, SimNode
from haqactor.sim.disk.fates import Fate, Survival
from haqactor.sim.plan import Fault, target
from haqactor.sim.world import NS

_LOOK_NS: Final = 50_000_000
Act = Callable[[Fault, SimNode], None]
"""A kind of fault, as it happens to one node."""


class ClusterRoster:
    """Who is who in a cluster now, for targets by role."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster

    def hosts(self) -> Sequence[str]:
        """The nodes."""
        return [node.host.name for node in self._cluster.nodes]

    def leader(self, scope: str, name: str) -> str | None:
        """Of a group. A plan here never names a queue; of one nobody is known."""
        group = int(name) if scope == "group" and name.isdecimal() else None
        found = self._cluster.leader(group) if group is not None else None
        return None if found is None else found.host.name

    def members(self, scope: str, name: str) -> Sequence[str]:
        """Every node is a replica of every group."""
        return self.hosts()


class Stage:
    """``fired``: how often each kind of fault hit somebody; ``closed``: nothing more begins."""

    def __init__(self, cluster: SimCluster, atlas: Atlas) -> None:
        self.cluster = cluster
        self.atlas = atlas
        self.roster = ClusterRoster(cluster)
        self.fired: dict[str, int] = {}
        self.closed = False
        self._joined: dict[str, None] = {}
        self._stopping: dict[str, int] = {}

    def victims(self, fault: Fault) -> list[SimNode]:
        """Whom it hits now."""
        by_name = {node.host.name: node for node in self.cluster.nodes}
        return [by_name[name] for name in target(fault.target).resolve(self.roster)]

    def count(self, fault: Fault) -> None:
        """It hit somebody."""
        self.tally(fault.kind)
        self.cluster.world.trace.add("fault", fault.target or "all", str(fault))

    def tally(self, kind: str, times: int = 1) -> None:
        """The same for what is not told in the trace, or was already."""
        if times:
            self.fired[kind] = self.fired.get(kind, 0) + times

    def after(self, delay_ns: int, then: Callable[[], object]) -> None:
        """Do it later, unless the stage is closed by then."""

        def unless_closed() -> None:
            if not self.closed:
                then()

        self.cluster.world.call_after(delay_ns, unless_closed)

    def later(self, fault: Fault, then: Callable[[], object]) -> None:
        """When the time of this fault is over."""
        self.after(span(fault, "for_ns"), then)

    # -- power

    def crash(self, node: SimNode, survival: Survival | None = None) -> None:
        """The power of a node goes; ``survival``: see ``SimNode.crash``. What it was writing is torn only
        where the atlas lets it be."""
        if not node.host.alive:
            return
        name = node.host.name
        suspect = not self.sound(name)
        counted = node.crash(survival if self.atlas.may_tear(name) else Survival.NOTHING)
        if suspect or counted.get(Fate.TORN):
            self.atlas.tore(name)

    def start(self, node: SimNode) -> None:
        """Switch it on, if it is off."""
        if not node.host.alive:
            node.start()

    def stop(self, node: SimNode) -> None:
        """Ask it to end, as SIGTERM does; it drains first."""
        self._stopping[node.host.name] = node.host.incarnation
        node.stop()

    def start_after(self, node: SimNode, incarnation: int) -> None:
        """Switch it on as soon as that incarnation has ended by itself."""
        if node.host.incarnation == incarnation:
            if node.host.alive:
                self.after(_LOOK_NS, partial(self.start_after, node, incarnation))
            else:
                node.start()

    def start_for_ever(self, node: SimNode) -> None:
        """Switch it on, if it is off, or once it is, if it was asked to end; the stage may be closed."""
        if not node.host.alive:
            node.start()
        elif self._stopping.get(node.host.name) == node.host.incarnation:
            self.cluster.world.call_after(_LOOK_NS, partial(self.start_for_ever, node))

    def founded(self) -> bool:
        """Has every node joined the cluster, durably? Until then each of them is needed."""
        for node in self.cluster.nodes:
            journal = None if node.server is None else node.server.journal
            if journal is not None and journal.identity.cluster_id is not None:
                self._joined[node.host.name] = None
        return len(self._joined) == len(self.cluster.nodes)

    def sound(self, name: str) -> bool:
        """Is that node at work, and none of its replicas a suspect?"""
        node = next(node for node in self.cluster.nodes if node.host.name == name)
        server = node.server
        if not node.host.alive or server is None or server.context is None or server.journal is None:
            return False
        groups = server.context.groups
        begun = all(group in groups for group in server.journal.recovered)
        return begun and not any(actor.core.suspect for actor in groups.values())


def span(fault: Fault, name: str) -> int:
    """A whole number of its arguments; a second where it has none."""
    value = fault.args.get(name, NS)
    return value if isinstance(value, int) else NS
