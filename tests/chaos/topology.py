"""Who dials whom, and through which port of the relay.

One rule: an address is always the real one, of configuration and talk; only dialling goes through a table.
"""

import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
KINDS: Final = ("client", "peer", "gossip")
"""A node's ports, from its clients' address on."""
_LOW, _HIGH = 10_000, 30_000
"""Below the range from which outgoing connections take theirs."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wire:
    """One port of the relay: ``source`` dials ``port`` instead of ``target``'s real ``target_port``."""

    source: str
    target: str
    kind: str
    port: int
    target_port: int

    @property
    def pair(self) -> Pair:
        """The directed link that it belongs to."""
        return self.source, self.target


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes ``n0``, ``n1``, ...; ``hosts`` of clients; a wire for each of them to each port of each other
    node. Clients know the nodes' clients' ports alone."""

    nodes: tuple[str, ...]
    hosts: tuple[str, ...]
    wires: tuple[Wire, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All directed links."""
        return tuple(dict.fromkeys(wire.pair for wire in self.wires))

    def routes(self, source: str) -> dict[str, str]:
        """What ``source`` dials: {real address: the relay's}."""
        return {
            f"{HOST}:{wire.target_port}": f"{HOST}:{wire.port}"
            for wire in self.wires
            if wire.source == source
        }

    def reverse(self, wire: Wire) -> Wire | None:
        """The wire on which an answer to a datagram goes back; None for a client's."""
        for each in self.wires:
            if (each.source, each.target, each.kind) == (wire.target, wire.source, wire.kind):
                return each
        return None

    def between(self, name: str) -> tuple[Pair, ...]:
        """All links from and to a node."""
        return tuple(pair for pair in self.pairs if name in pair)


def lay_out(listen: Mapping[str, int], hosts: tuple[str, ...], ports: Iterator[int]) -> Topology:
    """``listen``: the nodes' names and clients' ports; ``ports``: free ones for the relay."""
    names = tuple(listen)
    wires: list[Wire] = []
    for target, base in listen.items():
        for source in (*names, *hosts):
            if source != target:
                for offset, kind in enumerate(KINDS if source in listen else KINDS[:1]):
                    wires.append(Wire(source, target, kind, next(ports), base + offset))
    return Topology(names, hosts, tuple(wires))


def free_ports(taken: range) -> Iterator[int]:
    """Ports on which nobody listens now, TCP and UDP, found by binding; none of ``taken``."""
    candidates = [port for port in range(_LOW, _HIGH) if port not in taken]
    random.shuffle(candidates)
    for port in candidates:
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            yield port


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with closing(socket.socket(socket.AF_INET, kind)) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
