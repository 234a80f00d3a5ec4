"""What happens between machines, and to their clocks.

One rule: each cut carries a label of its own, so that the end of one fault leaves all others as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from haqactor.sim.cluster import SimNode
from haqactor.sim.nemesis.stage import Act, Stage, span
from haqactor.sim.network import partitions
from haqactor.sim.plan import Fault

_LATE_NS_MAX: Final = 500_000_000
_FLAP_SHARE: Final = 0.5
"""Of the hosts whose connections break each time; of nodes a tenth of that, or there would be no leader."""


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
            "split": self._split,
            "flap": self._flap,
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

    def _split(self, fault: Fault, node: SimNode) -> None:
        """A node, and a part of the clients with it, and all others do not hear each other. ``clients``, as
        bits: the lowest two say how clients are parted. None of them are, or those that came first
        (producers) are with the others, or each is where its own bit says."""
        self._stage.count(fault)
        bits, nodes = span(fault, "clients"), self._stage.roster.hosts()
        clients = [name for name in self._stage.cluster.world.hosts if name not in nodes] if bits % 4 else []
        here = [name for place, name in enumerate(clients) if bits >> (2 + place % 14) & 1]
        if bits % 4 in (1, 2):
            here = clients[(len(clients) + 1) // 2 :]
        there = [name for name in (*nodes, *clients) if name not in (node.host.name, *here)]
        label = f"{fault.kind}@{fault.at_ns}"
        partitions.partition(self._fabric, ((node.host.name, *here), there), label)
        self._stage.later(fault, partial(partitions.heal, self._fabric, label))

    def _flap(self, fault: Fault, node: SimNode) -> None:
        """Its connections, mostly those of clients, break again and again, about every ``gap_ns``."""
        self._stage.count(fault)
        world, name = self._stage.cluster.world, node.host.name
        draw = world.random("flap", name, fault.at_ns)
        nodes = self._stage.roster.hosts()
        until_ns = world.now_ns + span(fault, "for_ns")

        def again() -> None:
            for other in list(world.hosts):
                share = _FLAP_SHARE / 10 if other in nodes else _FLAP_SHARE
                if other == name or draw.random() >= share:
                    continue
                ends = (name, other) if draw.random() < 0.1 else (other, name)  # who hears of it comes again
                kind = draw.choice(("reset", "half_open", "late", "late"))
                more = (draw.randrange(_LATE_NS_MAX),) if kind == "late" else ()
                partitions.apply(self._fabric, kind, *ends, *more)
            if world.now_ns < until_ns:
                self._stage.after(draw.randrange(2 * span(fault, "gap_ns")), again)

        again()

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
