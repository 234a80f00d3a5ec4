"""Lets the faults of a plan happen to a cluster, and ends each of them when its time is over.

One rule: everything it does comes from the plan; a fault whose victim is not there when it comes does
nothing, and is not counted.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from haqactor.sim.cluster import SimCluster, SimNode
from haqactor.sim.network import partitions
from haqactor.sim.plan import Fault, Plan, target
from haqactor.sim.world import NS


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


class Nemesis:
    """``fired``: how often each kind of fault hit somebody."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._roster = ClusterRoster(cluster)
        self._stopped = False
        self.fired: dict[str, int] = {}
        self._kinds: dict[str, Callable[[Fault, SimNode], None]] = {
            "crash": self._crash,
            "restart": self._restart,
            "pause": self._pause,
            "sandwich": self._sandwich,
            "isolate": self._cut,
            "deafen": self._cut,
            "mute": self._cut,
            "bridge": self._bridge,
            "reset": self._break,
            "half_open": self._break,
            "late": self._break,
            "clog": self._clog,
            "wall_step": self._wall_step,
            "drift": self._drift,
        }

    def follow(self, plan: Plan) -> None:
        """Let it happen at its times."""
        for fault in plan:
            self._cluster.world.call_at(fault.at_ns, partial(self._happen, fault))

    def stop(self) -> None:
        """Nothing more begins, and the network is whole; dead and paused nodes stay as they are."""
        self._stopped = True
        partitions.heal(self._cluster.fabric)
        partitions.unclog(self._cluster.fabric)

    def heal(self, core: Sequence[SimNode]) -> None:
        """These run, and hear each other, for ever."""
        for node in core:
            if node.host.paused:
                node.host.resume()
            if not node.host.alive:
                node.start()

    def _happen(self, fault: Fault) -> None:
        if self._stopped:
            return
        if fault.kind == "power_loss":
            self._power_loss(fault)
        elif fault.kind == "swizzle":
            names = list(self._roster.hosts())
            partitions.swizzle(self._cluster.fabric, names, _span(fault, "gap_ns"), _span(fault, "for_ns"))
            self._count(fault)
        else:
            by_name = {node.host.name: node for node in self._cluster.nodes}
            for name in target(fault.target).resolve(self._roster):
                self._kinds[fault.kind](fault, by_name[name])

    def _count(self, fault: Fault) -> None:
        self.fired[fault.kind] = self.fired.get(fault.kind, 0) + 1
        self._cluster.world.trace.add("fault", fault.target or "all", str(fault))

    def _later(self, fault: Fault, then: Callable[[], None]) -> None:
        def unless_stopped() -> None:
            if not self._stopped:
                then()

        self._cluster.world.call_after(_span(fault, "for_ns"), unless_stopped)

    # -- processes

    def _crash(self, fault: Fault, node: SimNode) -> None:
        if node.host.alive:
            self._count(fault)
            node.crash()
            self._later(fault, partial(self._start, node))

    def _start(self, node: SimNode) -> None:
        if not node.host.alive:
            node.start()

    def _restart(self, fault: Fault, node: SimNode) -> None:
        if node.host.alive and not node.host.paused:
            self._count(fault)
            node.stop()
            self._later(fault, partial(self._start, node))

    def _pause(self, fault: Fault, node: SimNode) -> None:
        if node.host.alive and not node.host.paused:
            self._count(fault)
            node.host.pause()
            self._later(fault, node.host.resume)

    def _sandwich(self, fault: Fault, node: SimNode) -> None:
        """Paused, and then killed where it stands (Jepsen's pause and kill)."""
        if node.host.alive and not node.host.paused:
            self._count(fault)
            node.host.pause()

            def kill() -> None:
                node.crash()
                self._later(fault, partial(self._start, node))

            self._later(fault, kill)

    def _power_loss(self, fault: Fault) -> None:
        alive = [node for node in self._cluster.nodes if node.host.alive]
        if alive:
            self._count(fault)
        for node in alive:
            node.crash()
            self._later(fault, partial(self._start, node))

    # -- the network

    def _cut(self, fault: Fault, node: SimNode) -> None:
        self._count(fault)
        label = f"{fault.kind}@{fault.at_ns}"
        partitions.apply(self._cluster.fabric, fault.kind, node.host.name, _spared(fault), label)
        self._later(fault, partial(partitions.heal, self._cluster.fabric, label))

    def _bridge(self, fault: Fault, node: SimNode) -> None:
        self._count(fault)
        label = f"{fault.kind}@{fault.at_ns}"
        partitions.bridge(self._cluster.fabric, node.host.name, self._roster.hosts(), label)
        self._later(fault, partial(partitions.heal, self._cluster.fabric, label))

    def _break(self, fault: Fault, node: SimNode) -> None:
        self._count(fault)
        more: tuple[Any, ...] = (_span(fault, "for_ns"),) if fault.kind == "late" else ()
        for name in self._roster.hosts():
            if name != node.host.name:
                partitions.apply(self._cluster.fabric, fault.kind, node.host.name, name, *more)

    def _clog(self, fault: Fault, node: SimNode) -> None:
        self._count(fault)
        for name in self._roster.hosts():
            if name != node.host.name:
                partitions.clog(self._cluster.fabric, node.host.name, name, _span(fault, "for_ns"))

    # -- clocks

    def _wall_step(self, fault: Fault, node: SimNode) -> None:
        self._count(fault)
        node.host.clock.step_wall(_span(fault, "by_ns"))

    def _drift(self, fault: Fault, node: SimNode) -> None:
        self._count(fault)
        node.host.clock.drift(_span(fault, "ppb"))
        node.host.rearm()


def _span(fault: Fault, name: str) -> int:
    value = fault.args.get(name, NS)
    return value if isinstance(value, int) else NS


def _spared(fault: Fault) -> tuple[str, ...]:
    value = fault.args.get("spared", ())
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else ()
