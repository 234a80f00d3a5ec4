"""How many messages a second several producers publish at once: 1, 10, 100, 1,000 of them.

One rule: each producer is a session of its own with one batch of a hundred messages in flight, so that more
of them are what more load comes from; all belong to one program, which has a connection for each of the first
ten, and shares those among the others.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import trio

import haqactor
from benchmarks.bodies import kept
from benchmarks.clusters import drain, started
from benchmarks.result import QUICK, Result, median
from benchmarks.throughput import BATCH, RUNS
from haqactor.cli.launcher import LocalCluster

PRODUCERS: Final = (
    {1: 10_000, 10: 50_000, 100: 100_000, 1_000: 100_000}
    if QUICK
    else {
        1: 100_000,
        10: 300_000,
        100: 500_000,
        1_000: 500_000,
    }
)
"""How many, and how many messages they publish together."""
CONNECTIONS: Final = 10


async def producers() -> list[Result]:
    """``producers_1``, ``_10``, ``_100``, ``_1000``: messages of 100 bytes a second, confirmed."""
    async with started() as cluster:
        return [
            Result(f"producers_{count}", await _rate(cluster, count, messages), "msg/s")
            for count, messages in PRODUCERS.items()
        ]


async def _rate(cluster: LocalCluster, count: int, messages: int) -> float:
    rates: list[float] = []
    async with (
        kept(messages, 100) as bodies,
        _connected(cluster.url, min(count, CONNECTIONS)) as brokers,
    ):
        for run in range(RUNS):
            queue = await brokers[0].declare(f"run-{count}-{run}")
            async with AsyncExitStack() as sessions:
                several = [
                    await sessions.enter_async_context(
                        brokers[at % len(brokers)].producer(f"p-{count}-{run}-{at}")
                    )
                    for at in range(count)
                ]
                begun = trio.current_time()
                async with trio.open_nursery() as nursery:
                    for at, producer in enumerate(several):
                        nursery.start_soon(_publish, producer, queue.name, bodies, at, count)
                rates.append(messages / (trio.current_time() - begun))
            await drain(queue, bodies)
    return median(rates)


async def _publish(producer: haqactor.Producer, queue: str, bodies: list[bytes], at: int, count: int) -> None:
    """Every ``count``-th batch, from number ``at`` on."""
    for begin in range(at * BATCH, len(bodies), count * BATCH):
        await producer.publish_many(queue, bodies[begin : begin + BATCH])


@asynccontextmanager
async def _connected(url: str, count: int) -> AsyncGenerator[list[haqactor.Broker]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(haqactor.connect(url)) for _ in range(count)]
