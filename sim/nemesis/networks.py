"""What happens between machines, and to their clocks.

One rule: each cut carries a label of its own, so that the end of one fault leaves all others as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from haqactor.sim.cluster import SimNode
from haqactor.sim.nemesis.stage import Act, Stage, span
from haqactor.sim.network import partitions
from haqactor.sim.plan import Fault


class Networks:
    """``kinds``: what it can do to a node; ``swizzle``: to all of them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fabric = stage.cluster.fabric
        self.kinds: Mapping[str, Act] = {
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

    def _cut(self, fault: Fault, node: SimNode) -> None:
        self._stage.count(fault)
        label = f"{fault.kind}@{fault.at_ns}"
        partitions.apply(self._fabric, fault.kind, node.host.name, _spared(fault), label)
        self._stage.later(fault, partial(partitions.heal, self._fabric, label))

    def _bridge(self, fault: Fault, node: SimNode) -> None:
        self._stage.count(fault)
        label = f"{fault.kind}@{fault.at_ns}"
        partitions.bridge(self._fabric, node.host.name, self._stage.roster.hosts(), label)
        self._stage.later(fault, partial(partitions.heal, self._fabric, label))

    def _break(self, fault: Fault, node: SimNode) -> None:
        self._stage.count(fault)
        more: tuple[Any, ...] = (span(fault, "for_ns"),) if fault.kind == "late" else ()
        for name in self._stage.roster.hosts():
            if name != node.host.name:
                partitions.apply(self._fabric, fault.kind, node.host.name, name, *more)

    def _clog(self, fault: Fault, node: SimNode) -> None:
        self._stage.count(fault)
        for name in self._stage.roster.hosts():
            if name != node.host.name:
                partitions.clog(self._fabric, node.host.name, name, span(fault, "for_ns"))

    def swizzle(self, fault: Fault) -> None:
        """A part of the nodes is cut off one by one, and let back in another order."""
        names = list(self._stage.roster.hosts())
        partitions.swizzle(self._fabric, names, span(fault, "gap_ns"), span(fault, "for_ns"))
        self._stage.count(fault)

    # -- clocks

    def _wall_step(self, fault: Fault, node: SimNode) -> None:
        self._stage.count(fault)
        node.host.clock.step_wall(span(fault, "by_ns"))

    def _drift(self, fault: Fault, node: SimNode) -> None:
        self._stage.count(fault)
        node.host.clock.drift(span(fault, "ppb"))
        node.host.rearm()


def _spared(fault: Fault) -> tuple[str, ...]:
    value = fault.args.get("spared", ())
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else ()
