"""The production network, but for where a dial goes.

One rule: addresses stay the real ones for everybody who uses it; the table is looked at in the last moment.
"""

from collections.abc import Mapping
from dataclasses import replace

from haqactor.env import Environment
from haqactor.runtime.real.network import RealListener, RealNetwork
from haqactor.runtime.real.stream import RealStream


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


def routed(world: Environment, routes: Mapping[str, str]) -> Environment:
    """The same world with this way through it."""
    return replace(world, network=RoutedNetwork(routes))
