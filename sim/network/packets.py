"""The datagrams on a directed link: each travels on its own, and none is sent again.

One rule: all draws come from a stream of the link's that is for datagrams alone, so that streams of bytes
fare the same beside them, but for the bandwidth.
"""

from dataclasses import dataclass
from functools import partial
from math import log
from typing import Final
from zlib import crc32

from haqactor.sim.network.datagrams import SimDatagrams
from haqactor.sim.network.links import Faults, Link
from haqactor.sim.network.machine import Machine, Stack
from haqactor.sim.trace import DATAGRAM

FLYING_MAX: Final = 1024
"""Packets on their way on one link, with those that a clog holds back; further ones are lost, as from a full
queue."""

LOSS: Final = "datagram_loss"
DUPLICATE: Final = "datagram_duplicate"
REORDER: Final = "datagram_reorder"
CORRUPT: Final = "datagram_corrupt"


@dataclass(frozen=True, slots=True)
class Packet:
    """One copy of a datagram. ``number``: of its sending on this link; ``cause``: the trace event of that;
    ``sender``: the incarnation; ``departs_ns``: when its last byte leaves; ``is_late``: a fault delays it."""

    data: bytes
    number: int
    cause: int
    sender: Stack
    port: int
    to_port: int
    departs_ns: int
    is_late: bool


class Packets:
    """``target``: the machine at the other end."""

    __slots__ = ("_faults", "_flying", "_held", "_link", "_newest", "_random", "_sent", "_target", "_world")

    def __init__(self, faults: Faults, link: Link, target: Machine) -> None:
        self._faults = faults
        self._world = faults.world
        self._link = link
        self._target = target
        self._random = faults.world.random("datagrams", link.source, link.target)
        self._sent = 0
        self._newest = 0
        self._flying = 0
        self._held: list[Packet] = []
        link.packets = self

    # -- sending

    def send(self, data: bytes, sender: Stack, port: int, to_port: int) -> None:
        """Send a datagram from one port to another; whatever becomes of it is written to the trace."""
        link, trace = self._link, self._world.trace
        settings = link.settings
        link.sent += 1
        self._sent += 1
        cause = trace.add(
            "send",
            link.source,
            *(link.source, link.target, len(data), 0, crc32(data), DATAGRAM, _ports(port, to_port)),
        )
        if trace.recording:
            trace.bodies[cause] = data
        departs_ns = link.depart(len(data))
        if link.is_cut:
            self._faults.drop("cut", link.source, link.target, len(data), 0, cause)
            return
        if self._draw(settings.datagram_loss_share):
            self._faults.drop(LOSS, link.source, link.target, len(data), 0, cause)
            return
        copies = 1
        if self._draw(settings.datagram_duplicate_share):
            self._faults.fired(DUPLICATE, link.source, link.target)
            copies = 2
        for _ in range(copies):
            is_late = self._draw(settings.datagram_reorder_share)
            copy = self._damaged(data) if data and self._draw(settings.datagram_corrupt_share) else data
            self._fly(Packet(copy, self._sent, cause, sender, port, to_port, departs_ns, is_late))

    def _fly(self, packet: Packet) -> None:
        settings = self._link.settings
        if self._flying >= FLYING_MAX:
            self._lose("full", packet)
            return
        self._flying += 1
        delay_ns = settings.delay_min_ns
        if settings.delay_mean_ns:
            delay_ns += self._exponential(settings.delay_mean_ns)
        if packet.is_late:
            delay_ns += self._exponential(settings.datagram_reorder_mean_ns)
        self._world.call_at(packet.departs_ns + delay_ns, partial(self._arrive, packet))

    def _damaged(self, data: bytes) -> bytes:
        self._faults.fired(CORRUPT, self._link.source, self._link.target)
        bit = int(self._random.random() * len(data) * 8)
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)

    def _draw(self, share: float) -> bool:
        return share > 0.0 and not self._link.steady and self._random.random() < share

    def _exponential(self, mean: int) -> int:
        return int(-log(1.0 - self._random.random()) * mean)

    # -- arriving

    def _arrive(self, packet: Packet) -> None:
        link, died_ns = self._link, packet.sender.died_ns
        if link.is_clogged and not link.is_cut:
            self._held.append(packet)
            return
        self._flying -= 1
        if link.is_cut:
            self._faults.drop("cut", link.source, link.target, len(packet.data), 0, packet.cause)
        elif died_ns is not None and packet.departs_ns > died_ns:
            self._faults.drop("gone", link.source, link.target, len(packet.data), 0, packet.cause)
        else:
            self._deliver(packet)

    def release(self) -> None:
        """The link is not clogged any more: what it held back comes, or is lost to a cut."""
        held, self._held = self._held, []
        for packet in held:
            self._arrive(packet)

    def _deliver(self, packet: Packet) -> None:
        link, size = self._link, len(packet.data)
        opened = self._opened(packet.to_port)
        if opened is None:
            self._lose("nobody", packet)
        elif not opened.has_room(size):
            self._lose("full", packet)
        else:
            if packet.is_late and self._newest > packet.number:
                self._faults.fired(REORDER, link.source, link.target)
            self._newest = max(self._newest, packet.number)
            self._world.trace.add(
                "recv",
                link.target,
                *(
                    link.source,
                    link.target,
                    size,
                    0,
                    crc32(packet.data),
                    DATAGRAM,
                    _ports(packet.port, packet.to_port),
                ),
                cause=packet.cause,
            )
            source = f"[{link.source}]" if ":" in link.source else link.source
            opened.came(packet.data, f"{source}:{packet.port}")

    def _opened(self, port: int) -> SimDatagrams | None:
        stack = self._target.stack
        if stack is None or stack.is_dead or not stack.host.alive:
            return None
        return stack.datagrams.get(port)

    def _lose(self, why: str, packet: Packet) -> None:
        """Nobody's fault: there is no port, or no room."""
        link = self._link
        self._faults.lost(why, link.source, link.target, len(packet.data), 0, packet.cause)


def _ports(port: int, to_port: int) -> str:
    return f"{port}>{to_port}"
