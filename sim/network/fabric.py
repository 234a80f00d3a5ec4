"""The one object that owns all links and machines of a world.

One rule: what goes wrong between hosts is asked of the fabric, by name, so that a plan of faults can hold it
as data; see ``partitions`` for the names.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from haqactor.sim.host import Host
from haqactor.sim.network.connection import Connection
from haqactor.sim.network.links import LOOPBACK, Faults, Link, LinkSettings
from haqactor.sim.network.machine import Machine, Stack
from haqactor.sim.network.packets import Packets
from haqactor.sim.network.stream import SimStream
from haqactor.sim.world import NS, World

EVERYBODY: Final = "*"
DIAL_TIMEOUT_NS: Final = 10 * NS
CALM: Final[dict[str, Any]] = {
    "clog_share": 0.0,
    "dial_loss_share": 0.0,
    "reset_share": 0.0,
    "half_open_share": 0.0,
    "late_share": 0.0,
    "datagram_loss_share": 0.0,
    "datagram_duplicate_share": 0.0,
    "datagram_reorder_share": 0.0,
    "datagram_corrupt_share": 0.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Links that lose everything. ``pairs``: those (source, target); ``alone``: hosts that are cut off from
    all others but ``spared``, in what they send (``outward``) and in what is sent to them (``inward``)."""

    label: str = ""
    pairs: frozenset[tuple[str, str]] = frozenset()
    alone: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    outward: bool = True
    inward: bool = True

    def covers(self, source: str, target: str) -> bool:
        """Is that link one of them?"""
        if (source, target) in self.pairs:
            return True
        if self.outward and source in self.alone and target not in self.spared:
            return True
        return self.inward and target in self.alone and source not in self.spared


class Fabric:
    """``settings``: of every link until it is told otherwise. ``dial_timeout_ns``: after which a dial that
    nobody answers fails. ``end_share``, ``silence_share``: of crashes whose peers get an orderly end, or
    nothing, instead of a reset (see ``machine.Fate``). ``counts``: how often each fault fired, by name."""

    def __init__(
        self,
        world: World,
        settings: LinkSettings | None = None,
        *,
        dial_timeout_ns: int = DIAL_TIMEOUT_NS,
        end_share: float = 0.25,
        silence_share: float = 0.0,
    ) -> None:
        self.world = world
        self.settings = settings or LinkSettings()
        self.dial_timeout_ns = dial_timeout_ns
        self.faults = Faults(world)
        self.counts = self.faults.counts
        self.machines: dict[str, Machine] = {}
        self.links: dict[tuple[str, str], Link] = {}
        self.cuts: dict[int, Cut] = {}
        self._packets: dict[tuple[str, str], Packets] = {}
        self.swizzles = 0
        self._end_share = end_share
        self._silence_share = silence_share
        self._changes: list[tuple[str, str, dict[str, Any]]] = []
        self._calm: dict[str, None] = {}
        self._cut_number = 0
        self._connections = 0

    # -- who and where

    def machine(self, name: str) -> Machine | None:
        """The machine of that name; None if there is none in the world."""
        found = self.machines.get(name)
        if found is None and name in self.world.hosts:
            found = self.add(name, self.world.hosts[name])
        return found

    def add(self, name: str, host: Host) -> Machine:
        """The machine of that name, on ``host``; made if it is new."""
        found = self.machines.get(name)
        if found is None:
            found = self.machines[name] = Machine(self.faults, name, host)
            found.end_share, found.silence_share = self._end_share, self._silence_share
        return found

    def link(self, source: str, target: str) -> Link:
        """The link from one to the other."""
        link = self.links.get((source, target))
        if link is None:
            settings = LOOPBACK if source == target else self.settings
            link = self.links[source, target] = Link(self.faults, source, target, settings)
            if source == target:
                link.steady = True
                return link
            for left, right, changes in self._changes:
                if _matches(link, left, right):
                    link.settings = replace(link.settings, **changes)
            if source in self._calm and target in self._calm:
                link.calm(replace(link.settings, **CALM))
            for number, cut in self.cuts.items():
                if cut.covers(source, target):
                    link.cut(number)
        return link

    def connect(self, source: Machine, host: Host, target: Machine, port: int) -> SimStream:
        """Begin to dial; the end is open once it is answered."""
        stack = source.boot(host)
        self._connections += 1
        number = self._connections
        self.world.trace.add("dial", source.name, source.name, target.name, port, number)
        links = self.link(source.name, target.name), self.link(target.name, source.name)
        connection = Connection(self.faults, number, stack, target, port, links)
        connection.knock()
        return connection.client

    def post(self, data: bytes, sender: Stack, port: int, target: Machine, to_port: int) -> None:
        """Send a datagram from one port to another."""
        ends = sender.machine.name, target.name
        packets = self._packets.get(ends)
        if packets is None:
            packets = self._packets[ends] = Packets(self.faults, self.link(*ends), target)
        packets.send(data, sender, port, to_port)

    # -- what goes wrong

    def fired(self, name: str, stream: SimStream) -> None:
        """Something goes wrong with that stream."""
        link = stream.out.link
        self.faults.fired(name, link.source, link.target, stream.out.number)

    def cut(self, cut: Cut) -> int:
        """Lose everything on those links; returns the number to heal it by."""
        self._cut_number += 1
        number = self._cut_number
        self.cuts[number] = cut
        self.counts["partition"] = self.counts.get("partition", 0) + 1
        shown = [f"{source}>{target}" for source, target in sorted(cut.pairs)]
        self.world.trace.add("partition", "", cut.label, number, ",".join([*cut.alone, *shown]))
        for (source, target), link in self.links.items():
            if source != target and cut.covers(source, target):
                link.cut(number)
        return number

    def heal(self, number: int) -> None:
        """That cut is over."""
        cut = self.cuts.pop(number, None)
        if cut is not None:
            self.world.trace.add("heal", "", cut.label, number)
            for link in self.links.values():
                link.heal(number)

    def change(self, source: str, target: str, changes: dict[str, Any]) -> None:
        """Change settings of links, those to come too; EVERYBODY stands for all names."""
        self._changes.append((source, target, changes))
        for link in self.links.values():
            if link.source != link.target and not link.steady and _matches(link, source, target):
                link.settings = replace(link.settings, **changes)

    def calm(self, names: Iterable[str]) -> None:
        """From now on nothing goes wrong between those."""
        for name in names:
            self._calm[name] = None
        for (source, target), link in self.links.items():
            if source != target and source in self._calm and target in self._calm:
                link.calm(replace(link.settings, **CALM))

    def streams(self, source: str, target: str) -> list[SimStream]:
        """The ends at ``source`` of open streams to ``target``; EVERYBODY stands for all names."""
        found: list[SimStream] = []
        for name, machine in self.machines.items():
            stack = machine.stack
            if stack is None or stack.is_dead or source not in (name, EVERYBODY):
                continue
            for stream in stack.streams.values():
                known = stream.is_up and not stream.out.is_forgotten
                if known and target in (stream.out.link.target, EVERYBODY):
                    found.append(stream)
        return found


def _matches(link: Link, source: str, target: str) -> bool:
    return source in (link.source, EVERYBODY) and target in (link.target, EVERYBODY)
