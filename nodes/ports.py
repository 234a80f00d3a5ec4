"""The ports of a node: the clients', and next to it the peers' and that of gossip.

One rule: all are open or none is; a node whose neighbour port is taken leaves nothing behind.
"""

from collections.abc import Awaitable
from typing import NamedTuple, Protocol, TypeVar

import trio

from haqactor.config import NodeConfig, gossip_address, peer_address
from haqactor.env import Datagrams, Listener, Network, NetworkError
from haqactor.errors import Conflict


class _Port(Protocol):
    async def aclose(self) -> None: ...


P = TypeVar("P", bound=_Port)


class GossipPorts(NamedTuple):
    """One number, twice."""

    datagrams: Datagrams
    streams: Listener


class Ports(NamedTuple):
    """None: a cluster of one that opens no port."""

    clients: Listener | None = None
    peers: Listener | None = None
    gossip: GossipPorts | None = None

    async def aclose(self) -> None:
        """Close what is open."""
        await _close([port for port in (self.clients, self.peers, *(self.gossip or ())) if port is not None])


async def listen(config: NodeConfig, network: Network) -> Ports:
    """Open all ports. Raises Conflict."""
    if config.listen is None:
        return Ports()
    opened: list[_Port] = []
    at, gossip = peer_address(config.listen), gossip_address(config.listen)
    try:
        clients = await _opened("clients", config.listen, network.listen(config.listen), opened)
        peers = await _opened("peers", at, network.listen(at), opened)
        streams = await _opened("gossip", gossip, network.listen(gossip), opened)
        datagrams = await _opened("gossip", gossip, network.datagrams(gossip), opened)
    except BaseException:
        await _close(opened)
        raise
    return Ports(clients, peers, GossipPorts(datagrams, streams))


async def _opened(who: str, at: str, opening: Awaitable[P], opened: list[_Port]) -> P:
    try:
        port = await opening
    except NetworkError as error:
        raise Conflict(f"cannot listen for {who} on {at}: {error}") from error
    opened.append(port)
    return port


async def _close(opened: list[_Port]) -> None:
    with trio.CancelScope(shield=True):
        for port in opened:
            await port.aclose()
