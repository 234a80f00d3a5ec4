"""Lets the faults of a plan happen to a cluster, and ends each of them when its time is over.

One rule: everything it does comes from the plan; a fault whose victim is not there when it comes does
nothing, and is not counted.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from haqactor.errors import DataDamaged, InvariantViolation
from haqactor.sim.atlas import Atlas, leaves
from haqactor.sim.cluster import SimCluster, SimNode
from haqactor.sim.disk.fates import Fate
from haqactor.sim.disk.faults import Kind
from haqactor.sim.host import Host
from haqactor.sim.nemesis.disks import Disks
from haqactor.sim.nemesis.networks import Networks
from haqactor.sim.nemesis.processes import Processes
from haqactor.sim.nemesis.stage import Act, Stage
from haqactor.sim.nemesis.upgrades import Upgrades
from haqactor.sim.network import partitions
from haqactor.sim.network.fabric import CALM, EVERYBODY
from haqactor.sim.plan import Fault, Plan

_FOR_GOOD_NS: Final = 30_000_000_000
"""A disk that stands still for so long does not come back within a run."""
_AGAIN_NS: Final = 300_000_000
"""After which a supervisor starts a node again whose disk has refused."""


class Nemesis:
    """``atlas`` says what may be hurt; by default less than a quorum needs."""

    def __init__(self, cluster: SimCluster, atlas: Atlas | None = None) -> None:
        self.atlas = atlas or Atlas([node.host.name for node in cluster.nodes])
        self._cluster = cluster
        self._stage = stage = Stage(cluster, self.atlas)
        self._core: dict[str, None] = {}
        self._processes = processes = Processes(stage)
        networks = Networks(stage)
        self._disks, self._upgrades = Disks(stage), Upgrades(stage)
        self._kinds: dict[str, Act] = {
            **processes.kinds,
            **networks.kinds,
            **self._disks.kinds,
            **self._upgrades.kinds,
        }
        self._everywhere: dict[str, Callable[[Fault], None]] = {
            "power_loss": processes.power_loss,
            "rolling_restart": processes.rolling_restart,
            "swizzle": networks.swizzle,
            "upgrade": self._upgrades.upgrade,
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """Everything that a plan may name; sorted."""
        return tuple(sorted([*self._kinds, *self._everywhere]))

    @property
    def fired(self) -> dict[str, int]:
        """How often each kind of fault hit somebody: those of the plan, and those of chance."""
        found = {**self._stage.fired, **self._disks.fired()}
        for name, count in self._cluster.fabric.counts.items():
            kind = name.replace("-", "_").replace(" ", "_")
            found.setdefault(kind, count)
        fates = [node.medium.fates for node in self._cluster.nodes]
        for kind, fate in (("torn_write", Fate.TORN), ("unsynced_write", Fate.DROPPED)):
            count = sum([counts[fate] for counts in fates])
            if count:
                found[kind] = count
        return dict(sorted(found.items()))

    def follow(self, plan: Plan) -> None:
        """Let it happen at its times. Raises ValueError for a kind that nobody knows."""
        unknown = [kind for kind in plan.kinds() if kind not in self.kinds]
        if unknown:
            raise ValueError(f"there is no fault {unknown[0]!r}; there are {', '.join(self.kinds)}")
        for fault in plan:
            self._cluster.world.call_at(fault.at_ns, partial(self._happen, fault))

    def _happen(self, fault: Fault) -> None:
        if self._stage.closed:
            return
        self._stage.founded()
        self.atlas.settle(self._stage.sound)
        everywhere = self._everywhere.get(fault.kind)
        if everywhere is not None:
            everywhere(fault)
            return
        for node in self._stage.victims(fault):
            self._kinds[fault.kind](fault, node)

    # -- the end of it

    def stop(self) -> None:
        """Nothing more begins, and the network is whole; dead and paused nodes stay as they are."""
        self._stage.closed = True
        self._disks.stop()
        self.atlas.settle(self._stage.sound)
        partitions.heal(self._cluster.fabric)
        partitions.unclog(self._cluster.fabric)

    def settle(self, wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """The liveness phase begins: a core (see ``Atlas.core``) works, and hears each other and the clients,
        for ever. All other nodes stay as they are: dead, paused, stalled, cut off, with a slow disk. Whose
        disk is full is switched off for good, as an operator would: such a leader keeps its place, for
        settlements still pass there, and refuses publishes. Returns the core."""
        self._stage.closed = True
        self._disks.stop()
        self.atlas.settle(self._stage.sound)
        core = self.atlas.core(wanted if self._stage.founded() else ())
        self._core = dict.fromkeys(core)
        for node in self._cluster.nodes:
            full = any(fault.kind is Kind.FULL for fault in node.medium.faults.active())
            if node.host.name not in self._core:
                self._disks.hang_for_good(node)
            if full and node.host.alive and node.host.name not in self._core:
                node.crash()
        self._join(core)
        self.heal([node for node in self._cluster.nodes if node.host.name in self._core])
        return core

    def _join(self, core: Sequence[str]) -> None:
        """Whoever is not in the core stays cut off, if it is cut off from all; a cut in between is healed."""
        fabric = self._cluster.fabric
        outside = [node.host.name for node in self._cluster.nodes if node.host.name not in core]
        fabric.swizzles += 1  # one that goes on ends
        for number, cut in list(fabric.cuts.items()):
            if cut.pairs or cut.spared or not all(name in outside for name in cut.alone):
                fabric.heal(number)
        partitions.unclog(fabric)
        fabric.change(EVERYBODY, EVERYBODY, CALM)

    def heal(self, core: Sequence[SimNode]) -> None:
        """These run, and their disks do what they should, for ever. One whose disk hangs for good is switched
        off and on again: what it waits for would not come otherwise."""
        for node in core:
            if any(fault.stall_ns >= _FOR_GOOD_NS for fault in node.medium.faults.active()):
                self._stage.crash(node)
            node.medium.faults.switch_off()
            node.medium.on_operation = None
            if node.host.paused:
                node.host.resume()
            if node.probe is not None:
                node.probe.held.clear()
            self._stage.start_for_ever(node)

    def hurt(self, name: str) -> bool:
        """Has that host's disk lost something, or lied?"""
        self._disks.note()
        return name in self.atlas.lost or name in self.atlas.liars

    def ended(self, host: Host, error: BaseException) -> bool:
        """A host's program ended by an error. Was that right? Then, if its disk has only refused something,
        it is started again."""
        self._disks.note()
        name = host.name
        node = next((node for node in self._cluster.nodes if node.host is host), None)
        if node is None:
            return False
        if self._processes.stalled(host) and all(type(each) is InvariantViolation for each in leaves(error)):
            self._stage.tally("stalled_end")
            self._cluster.world.call_after(_AGAIN_NS, partial(self._again, node))
            return True
        rest = self._upgrades.excuse(node, error)
        if rest and not self.atlas.excuses(name, BaseExceptionGroup("its end", rest)):
            return False
        self._stage.tally("stopped_loudly" if rest else "release_too_old")
        if name not in self.atlas.wiped and not any(isinstance(each, DataDamaged) for each in leaves(error)):
            self._cluster.world.call_after(_AGAIN_NS, partial(self._again, node))
        return True

    def _again(self, node: SimNode) -> None:
        if not self._stage.closed or node.host.name in self._core:
            self._stage.start(node)
