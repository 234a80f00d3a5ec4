"""What whole clusters of real nodes cost in the simulator: under as much load as they bear, and at rest.

One rule: no faults and no checkers; the figures are those of nodes, clients and engine.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import trio

from haqactor.client.broker import Broker
from haqactor.sim.cluster import TINY, Shape, SimCluster
from haqactor.sim.search.stopwatch import cpu_s
from haqactor.sim.world import NS, World

CLIENTS: Final = 3
LANES: Final = 16
"""Publishes that each client has under way."""
_QUEUE: Final = "bench"
_BEGIN_NS: Final = 3 * NS
_PEACE_S: Final = 2.5
"""Until then nobody publishes much; what comes before the measured time costs nothing so."""
_SHAPE: Final = Shape(limits=replace(TINY, segment_bytes=1 << 20, snapshot_entries=10_000))


@dataclass(frozen=True, slots=True)
class Measured:
    """``messages``: that hosts sent each other; ``confirmed``: publishes; ``digest``: of the trace."""

    messages: int
    confirmed: int
    simulated_s: float
    cpu_s: float
    digest: str


class _Count:
    def __init__(self) -> None:
        self.confirmed = 0


Program = Callable[[Broker, _Count], Awaitable[None]]


async def _saturate(broker: Broker, count: _Count) -> None:
    """Publish as fast as it is confirmed, and consume it all."""
    queue = await broker.declare(_QUEUE)
    await trio.sleep(_PEACE_S)

    async def lane() -> None:
        while True:
            await broker.publish(_QUEUE, bytes(100))
            count.confirmed += 1

    async with trio.open_nursery() as nursery:
        for _ in range(LANES):
            nursery.start_soon(lane)
        async with queue.consume_batches() as batches:
            while True:
                async with await batches.receive():
                    pass


async def _trickle(broker: Broker, count: _Count) -> None:
    """Five publishes a second, consumed."""
    queue = await broker.declare(_QUEUE)

    async def publish() -> None:
        while True:
            await trio.sleep(0.2)
            await broker.publish(_QUEUE, bytes(100))
            count.confirmed += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish)
        async with queue.consume() as deliveries:
            while True:
                async with await deliveries.receive():
                    pass


def _measure(program: Program, clients: int, span_s: float, seed: int) -> Measured:
    """From the third simulated second on, when everybody has found everybody."""
    with World(seed) as world:
        cluster, count = SimCluster(world, _SHAPE), _Count()
        cluster.start()

        async def body(broker: Broker) -> None:
            await program(broker, count)

        for number in range(clients):
            cluster.client(f"c{number}", body)
        world.run(_BEGIN_NS)
        links = cluster.fabric.links
        before, confirmed = sum(link.sent for link in links.values()), count.confirmed
        began = cpu_s()
        world.run(_BEGIN_NS + round(span_s * NS))
        spent = cpu_s() - began
        sent = sum(link.sent for link in links.values()) - before
        return Measured(sent, count.confirmed - confirmed, span_s, spent, world.trace.digest())


def saturated(span_s: float = 1.0, seed: int = 1) -> Measured:
    """CLIENTS clients with LANES publishes each under way."""
    return _measure(_saturate, CLIENTS, span_s, seed)


def quiet(span_s: float = 60.0, seed: int = 1) -> Measured:
    """One client, five publishes a second."""
    return _measure(_trickle, 1, span_s, seed)


def start_ms(times: int = 20) -> float:
    """CPU milliseconds to make a world of three nodes, start them, and let the first instant happen."""
    spent = 0.0
    for seed in range(times):
        began = cpu_s()
        with World(seed) as world:
            SimCluster(world, _SHAPE).start()
            world.run(0)
            spent += cpu_s() - began
    return spent / times * 1000
