"""``connect``: a Broker over the network.

One rule: the world is handed in here and nowhere below; without one it is the real one.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from haqactor.client.transport import NetworkTransport, parse_url
from haqactor.env import Environment
from haqactor.runtime.real import environment as real_environment


@asynccontextmanager
async def connect(url: str, *, environment: Environment | None = None) -> AsyncGenerator[Broker]:
    """Connect to a cluster: ``haq://host:port,host:port``, any of its nodes; ``?route=proxy`` where only
    those addresses can be reached. Raises InvalidArgument for a wrong URL, NoQuorum where no node answers,
    ProtocolError where something else does."""
    parts = parse_url(url)
    world = environment or real_environment(sync="thread")
    transport = NetworkTransport(world.network, parts.seeds)
    async with open_session(transport, world, Options(proxy=parts.proxy)) as broker:
        yield broker
