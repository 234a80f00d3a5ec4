"""Nodes inside a trio program: ``open_node`` for a member of a cluster, ``open_broker`` for a whole cluster
of one.

One rule: an embedded broker is a client like any other; only its way to the node, an in-memory stream, is
shorter."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from os import PathLike, fspath
from typing import Any, cast

import trio

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from haqactor.client.structured import OpenNursery
from haqactor.config import NodeConfig
from haqactor.env import Environment, Stream
from haqactor.errors import InvalidArgument
from haqactor.nodes.founding import own_address
from haqactor.nodes.memory_stream import memory_stream_pair
from haqactor.nodes.node import Node as NodeServer
from haqactor.runtime.logs import node_logger
from haqactor.runtime.real import Sync, environment
from haqactor.runtime.surroundings import surroundings


class _OwnNode:
    """A ``Transport`` whose first way is this program's own node; other nodes are dialled."""

    def __init__(self, server: NodeServer, env: Environment, nursery: trio.Nursery) -> None:
        self._server = server
        self._env = env
        self._nursery = nursery
        self._own = own_address(server.config)

    @property
    def seeds(self) -> Sequence[str]:
        """The own node; it tells of the others."""
        return [self._own]

    async def dial(self, address: str) -> Stream:
        """The own node in memory, others over the network. Raises NetworkError."""
        if address != self._own:
            return await self._env.network.dial(address)
        ours, theirs = memory_stream_pair("embedded client", "embedded node")
        self._nursery.start_soon(self._server.accept, theirs)
        await trio.lowlevel.checkpoint()
        return ours


class Node:
    """A running member. ``broker`` uses it and, through it, the cluster."""

    def __init__(self, server: NodeServer, broker: Broker) -> None:
        self._server = server
        self.broker = broker

    @property
    def address(self) -> str:
        """Where clients reach it, with the real port."""
        return self._server.listening

    async def wait_ready(self) -> None:
        """Return once every group of the cluster has a leader, as far as this node knows. Cancelling it
        leaves the node as it is."""
        await self._server.wait_ready()

    def status(self) -> dict[str, Any]:
        """What this node sees: itself, its peers, its groups, its caches."""
        return self._server.status()

    def statistics(self) -> dict[str, Any]:
        """The same, under trio's name for it."""
        return self._server.status()

    def stop(self) -> None:
        """Begin a graceful drain; leaving the block does it too."""
        self._server.stop()

    async def wait_stopped(self) -> None:
        """Return once ``stop`` was called."""
        await self._server.wait_stopping()


@asynccontextmanager
async def open_node(config: NodeConfig) -> AsyncGenerator[Node, None]:
    """A member node inside this program; enters once it listens. Leaving drains it: leaderships move, clients
    are told, the journal is closed cleanly. Raises ConfigError, Conflict (port in use, foreign cluster),
    StorageFailed (directory in use, disk), DataDamaged; when the node fails later, the body is cancelled and
    its error is raised here, not wrapped in a group."""
    if not isinstance(config, NodeConfig):
        raise InvalidArgument(f"open_node takes a NodeConfig, not {type(config).__name__}")
    async with _running(config) as (server, broker):
        yield Node(server, broker)


@asynccontextmanager
async def open_broker(path: str | PathLike[str]) -> AsyncGenerator[Broker, None]:
    """A whole cluster of one in the directory ``path``, without a port; enters once it can confirm. Raises as
    ``open_node``."""
    if not isinstance(path, str | PathLike):
        raise InvalidArgument(f"open_broker takes the path of a directory, not {type(path).__name__}")
    config = NodeConfig(data_dir=fspath(path), log_level="warning")
    async with _running(config) as (server, broker):
        await server.wait_ready()
        yield broker


@asynccontextmanager
async def _running(config: NodeConfig) -> AsyncGenerator[tuple[NodeServer, Broker], None]:
    around = surroundings()
    if around is None:
        env = environment() if config.sync == "auto" else environment(sync=cast("Sync", config.sync))
        log, client_log = node_logger(config), None
    else:
        env, log, client_log = around.environment, around.log, around.log
    server = NodeServer(config, env, log)
    async with OpenNursery() as nursery:
        await nursery.start(server.run)
        async with OpenNursery() as links:
            options = Options(client="embedded", session=server.own_session(), wait_welcome=False)
            async with open_session(_OwnNode(server, env, links), env, options, log=client_log) as broker:
                if around is not None:
                    around.opened(broker, embedded=True)
                yield server, broker
            links.cancel_scope.cancel()
        server.stop()
