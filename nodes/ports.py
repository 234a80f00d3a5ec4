"""The two ports of a node: the clients' and, next to it, the peers'.

One rule: both are open or neither is; a node whose neighbour port is taken leaves nothing behind.
"""

from typing import NamedTuple

import trio

from haqactor.config import NodeConfig, peer_address
from haqactor.env import Listener, Network, NetworkError
from haqactor.errors import Conflict


class Ports(NamedTuple):
    """None: a cluster of one that opens no port."""

    clients: Listener | None
    peers: Listener | None

    async def aclose(self) -> None:
        """Close what is open."""
        with trio.CancelScope(shield=True):
            for port in (self.clients, self.peers):
                if port is not None:
                    await port.aclose()


async def listen(config: NodeConfig, network: Network) -> Ports:
    """Open both ports. Raises Conflict."""
    if config.listen is None:
        return Ports(None, None)
    at = peer_address(config.listen)
    try:
        clients = await network.listen(config.listen)
    except NetworkError as error:
        raise Conflict(f"cannot listen for clients on {config.listen}: {error}") from error
    try:
        return Ports(clients, await network.listen(at))
    except BaseException as error:
        await Ports(clients, None).aclose()
        if isinstance(error, NetworkError):
            raise Conflict(f"cannot listen for peers on {at}: {error}") from error
        raise
