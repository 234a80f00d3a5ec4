"""How many messages a second: published, and published, consumed and acknowledged.

One rule: the clock runs from the first publish to the last confirm (of the acknowledgement, end to end).
"""

import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain
from time import process_time
from typing import Final

import trio

import haqactor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import check_empty, cpu_s, drain, started
from benchmarks.result import QUICK, Result, check_same, median

BATCH: Final = 100
IN_FLIGHT: Final = 32
SINGLE_IN_FLIGHT: Final = 1_000
RUNS: Final = 1 if QUICK else 3
_MANY: Final = 200_000 if QUICK else 500_000
_KIB: Final = 30_000 if QUICK else 100_000
_SINGLE: Final = 40_000 if QUICK else 100_000
_LARGE: Final = 1_000 if QUICK else 3_000
_LARGE_IN_FLIGHT: Final = 256

Send = Callable[["haqactor.Broker", str, list[bytes]], Awaitable[None]]
Receive = Callable[["haqactor.Queue", int], Awaitable[list[bytes]]]


async def send_batches(broker: "haqactor.Broker", queue: str, bodies: list[bytes]) -> None:
    """``publish_many`` of 100, 32 of them in flight."""
    chunks = iter([bodies[at : at + BATCH] for at in range(0, len(bodies), BATCH)])

    async def lane(producer: "haqactor.Producer") -> None:
        for chunk in chunks:
            await producer.publish_many(queue, chunk)

    async with broker.producer("benchmark") as producer, trio.open_nursery() as nursery:
        for _ in range(IN_FLIGHT):
            nursery.start_soon(lane, producer)


async def send_single(broker: "haqactor.Broker", queue: str, bodies: list[bytes]) -> None:
    """Single publishes of one named producer, 1,000 in flight."""
    await _send_single(broker, queue, bodies, SINGLE_IN_FLIGHT)


async def send_large(broker: "haqactor.Broker", queue: str, bodies: list[bytes]) -> None:
    """The same, 256 in flight: 16 MiB of large ones."""
    await _send_single(broker, queue, bodies, _LARGE_IN_FLIGHT)


async def _send_single(broker: "haqactor.Broker", queue: str, bodies: list[bytes], in_flight: int) -> None:
    waiting = iter(bodies)

    async def lane(producer: "haqactor.Producer") -> None:
        for body in waiting:
            await producer.publish(queue, body)

    async with broker.producer("benchmark") as producer, trio.open_nursery() as nursery:
        for _ in range(in_flight):
            nursery.start_soon(lane, producer)


async def send_awaiting(broker: "haqactor.Broker", queue: str, bodies: list[bytes]) -> None:
    """``await broker.publish()`` by 1,000 tasks, each for its own messages."""

    async def task(mine: list[bytes]) -> None:
        for body in mine:
            await broker.publish(queue, body)

    async with trio.open_nursery() as nursery:
        for at in range(SINGLE_IN_FLIGHT):
            nursery.start_soon(task, bodies[at::SINGLE_IN_FLIGHT])


async def receive_batches(queue: "haqactor.Queue", count: int) -> list[bytes]:
    """``consume_batches``; returns when all ``count`` are acknowledged."""
    arrived: list[tuple[bytes, ...]] = []
    missing = count
    async with queue.consume_batches(credit=10_000) as batches:
        while missing > 0:
            batch = await batches.receive()
            async with batch:
                arrived.append(tuple([message.body for message in batch.messages]))
                missing -= len(arrived[-1])
    return list(chain.from_iterable(arrived))


async def receive_each(queue: "haqactor.Queue", count: int) -> list[bytes]:
    """One task, message by message, ``async with message``."""
    arrived: list[bytes] = []
    async with queue.consume() as deliveries:
        while len(arrived) < count:
            message = await deliveries.receive()
            async with message:
                arrived.append(message.body)
    return arrived


@asynccontextmanager
async def _kept(count: int, size: int) -> AsyncGenerator[list[bytes]]:
    """Half a million bodies that this program keeps: Python's garbage collection is not to look through them
    again and again meanwhile (nor through what else there is before a node has started), for that would be
    measured, too."""
    bodies = random_bodies(count, size)
    gc.collect()
    gc.freeze()
    try:
        yield bodies
    finally:
        gc.unfreeze()


async def _publish(name: str, count: int, size: int, send: Send) -> Result:
    """The clock stops at the last confirm; then everything is consumed and compared."""
    rates: list[float] = []
    async with _kept(count, size) as bodies, started() as cluster, haqactor.connect(cluster.url) as broker:
        for run in range(RUNS):
            queue = await broker.declare(f"run-{run}")
            begun = trio.current_time()
            await send(broker, queue.name, bodies)
            rates.append(count / (trio.current_time() - begun))
            await drain(queue, bodies)
    return Result(name, median(rates), "msg/s")


async def _end_to_end(name: str, count: int, size: int, send: Send, receive: Receive) -> list[Result]:
    """Producer and consumer at once, each with a connection of its own. The rate, and the CPU seconds that
    the nodes and this program took for a million messages."""
    rates: list[float] = []
    nodes_s: list[float] = []
    clients_s: list[float] = []
    arrived: list[bytes] = []

    async def consume(queue: "haqactor.Queue") -> None:
        arrived[:] = await receive(queue, count)

    async with (
        _kept(count, size) as bodies,
        started() as cluster,
        haqactor.connect(cluster.url) as broker,
        haqactor.connect(cluster.url) as consumer,
    ):
        for run in range(RUNS):
            queue = await broker.declare(f"run-{run}")
            begun, nodes, clients = trio.current_time(), cpu_s(cluster), process_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(consume, consumer.queue(queue.name))
                nursery.start_soon(send, broker, queue.name, bodies)
            rates.append(count / (trio.current_time() - begun))
            nodes_s.append((cpu_s(cluster) - nodes) / count * 1e6)
            clients_s.append((process_time() - clients) / count * 1e6)
            check_same(bodies, arrived)
            arrived.clear()
            await check_empty(queue)
    return [
        Result(name, median(rates), "msg/s"),
        Result("broker_cpu_s_per_1M", median(nodes_s), "s"),
        Result("client_cpu_s_per_1M", median(clients_s), "s"),
    ]


async def publish_100b() -> list[Result]:
    """``publish_100B``."""
    return [await _publish("publish_100B", _MANY, 100, send_batches)]


async def publish_100b_single() -> list[Result]:
    """``publish_100B_single``."""
    return [await _publish("publish_100B_single", _SINGLE, 100, send_single)]


async def publish_await() -> list[Result]:
    """``publish_await``."""
    return [await _publish("publish_await", _SINGLE, 100, send_awaiting)]


async def end_to_end_100b() -> list[Result]:
    """``end_to_end_100B``, and what it costs."""
    return await _end_to_end("end_to_end_100B", _MANY, 100, send_batches, receive_batches)


async def end_to_end_100b_single() -> list[Result]:
    """``end_to_end_100B_single``."""
    return (await _end_to_end("end_to_end_100B_single", _SINGLE, 100, send_single, receive_batches))[:1]


async def end_to_end_1kib() -> list[Result]:
    """``end_to_end_1KiB``."""
    return (await _end_to_end("end_to_end_1KiB", _KIB, 1024, send_batches, receive_batches))[:1]


async def end_to_end_64kib() -> list[Result]:
    """``end_to_end_64KiB``."""
    return (await _end_to_end("end_to_end_64KiB", _LARGE, 64 * 1024, send_large, receive_batches))[:1]


async def consume_each() -> list[Result]:
    """``consume_each``: the queue is filled first, then one task empties it."""
    rates: list[float] = []
    async with _kept(_SINGLE, 100) as bodies, started() as cluster, haqactor.connect(cluster.url) as broker:
        for run in range(RUNS):
            queue = await broker.declare(f"run-{run}")
            await send_batches(broker, queue.name, bodies)
            begun = trio.current_time()
            arrived = await receive_each(queue, len(bodies))
            rates.append(len(bodies) / (trio.current_time() - begun))
            check_same(bodies, arrived)
            await check_empty(queue)
    return [Result("consume_each", median(rates), "msg/s")]
