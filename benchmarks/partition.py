"""The leader is cut off from the other nodes, again and again: how long until the next confirm, is anything
lost, is anything stored twice.

One rule: nobody is told of the cut. Nothing passes between the leader and the others, but no connection
breaks and none is refused, and the producer reaches every node as before; it has to find out for itself.

All that nodes say to each other goes through the relay of ``tests.chaos``, in this process.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio

from benchmarks import failover
from benchmarks.clusters import laid_out
from benchmarks.comeback import is_level
from benchmarks.result import QUICK, Result
from haqactor.cli.launcher import LocalCluster, LocalNode
from haqactor.cli.process import start_detached
from tests.chaos.conditions import Condition, Mode, Way
from tests.chaos.relay import Relay
from tests.chaos.topology import Topology, free_ports, lay_out

CUTS: Final = 2 if QUICK else 20
_SILENT: Final = Condition(Way(Mode.STALL), Way(Mode.STALL))


async def failover_partition() -> list[Result]:
    """``failover_partition_ms_median`` and the others."""
    relays: list[Relay] = []

    @asynccontextmanager
    async def running() -> AsyncGenerator[LocalCluster]:
        async with _relayed() as (cluster, relay):
            relays.append(relay)
            yield cluster

    async def once(cluster: LocalCluster, victim: int, stream: failover.Stream) -> float:
        relay = relays[-1]
        cut = trio.current_time()
        relay.impose("cut", dict.fromkeys(relay.topology.between(f"n{victim}"), _SILENT))
        try:
            gap = await stream.wait_confirm_of_publish_after(cut) - cut
        finally:
            relay.lift("cut")
        await cluster.wait_ready()
        await is_level(cluster, cluster.node(victim))
        return gap

    return await failover.again_and_again("failover_partition", CUTS, once, running)


@asynccontextmanager
async def _relayed() -> AsyncGenerator[tuple[LocalCluster, Relay]]:
    """A cluster that confirms, with the relay between its nodes."""
    async with laid_out() as cluster, trio.open_nursery() as nursery:
        listen = {f"n{node.number}": int(node.listen.rpartition(":")[2]) for node in cluster.nodes}
        own = range(min(listen.values()), max(listen.values()) + 10)
        relay = Relay(lay_out(listen, (), free_ports(own)))
        await nursery.start(relay.run)
        for node in cluster.nodes:
            _spawn(node, relay.topology)
            relay.node_is(f"n{node.number}", up=True)
        await cluster.wait_ready()
        yield cluster, relay
        nursery.cancel_scope.cancel()


def _spawn(node: LocalNode, topology: Topology) -> None:
    """As ``LocalNode.spawn``, its dialling routed."""
    place = node.directory / "place.json"
    place.write_text(json.dumps({"routes": topology.routes(f"n{node.number}"), "bugs": []}), encoding="utf-8")
    process = start_detached(["-m", "tests.chaos.node_process", str(place), str(node.config)], node.log)
    (node.directory / "pid").write_text(f"{process.pid} {process.started}\n", encoding="ascii")
