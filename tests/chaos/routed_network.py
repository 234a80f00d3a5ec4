"""The production network, but for where a dial or a packet goes.

One rule: addresses stay the real ones for everybody who uses it, those of senders too; the table is looked at
in the last moment.
"""

from collections.abc import Mapping
from dataclasses import replace

from haqactor.env import Buffer, Datagrams, Environment
from haqactor.runtime.real.network import RealListener, RealNetwork
from haqactor.runtime.real.stream import RealStream


class RoutedDatagrams:
    """A port whose packets go through the relay. What comes through it seems to come from the port to which
    an answer goes; to its reader it comes from whoever sent it."""

    def __init__(self, real: Datagrams, routes: Mapping[str, str]) -> None:
        self._real = real
        self._routes = routes
        self._senders = {relayed: address for address, relayed in routes.items()}

    @property
    def address(self) -> str:
        """The real one."""
        return self._real.address

    async def send(self, data: Buffer, to: str) -> None:
        """Through the relay. Raises as the real one."""
        await self._real.send(data, self._routes.get(to, to))

    async def receive(self) -> tuple[bytes, str]:
        """The next packet, and the real address of its sender."""
        packet, sender = await self._real.receive()
        return packet, self._senders.get(sender, sender)

    async def aclose(self) -> None:
        """Close the port."""
        await self._real.aclose()


class RoutedNetwork:
    """``routes``: {real address: where to connect}; what is not in it is dialled as it is."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        self._real = RealNetwork()
        self._routes = dict(routes)

    async def listen(self, address: str) -> RealListener:
        """As it is."""
        return await self._real.listen(address)

    async def dial(self, address: str) -> RealStream:
        """Through the relay. Raises as ``RealNetwork.dial``."""
        return await self._real.dial(self._routes.get(address, address))

    async def datagrams(self, address: str) -> RoutedDatagrams:
        """A real port, and the relay between it and the others."""
        return RoutedDatagrams(await self._real.datagrams(address), self._routes)


def routed(world: Environment, routes: Mapping[str, str]) -> Environment:
    """The same world with this way through it."""
    return replace(world, network=RoutedNetwork(routes))
