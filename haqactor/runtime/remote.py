"""``connect``: a Broker over the network.

One rule: the world is handed in here and nowhere below; without one it is the program's surroundings, which
are the real world but in a simulated program.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from haqactor.client.transport import NetworkTransport, parse_url
from haqactor.env import Environment
from haqactor.runtime.real import environment as real_environment
from haqactor.runtime.surroundings import surroundings


@asynccontextmanager
async def connect(url: str, *, environment: Environment | None = None) -> AsyncGenerator[Broker]:
    """Connect to a cluster: ``haq://host:port,host:port``, any of its nodes; ``?route=proxy`` where only
    those addresses can be reached. Raises InvalidArgument for a wrong URL, NoQuorum where no node answers,
    ProtocolError where something else does."""
    parts = parse_url(url)
    around = surroundings() if environment is None else None
    if around is None:
        world, seeds, log = environment or real_environment(sync="thread"), parts.seeds, None
    else:
        world, seeds, log = around.environment, list(around.addresses(parts.seeds)), around.log
    transport = NetworkTransport(world.network, seeds)
    async with open_session(transport, world, Options(proxy=parts.proxy), log=log) as broker:
        if around is not None:
            around.opened(broker, embedded=False)
        yield broker
