"""How many messages a second: published, and published, consumed and acknowledged.

One rule: the clock runs from the first publish to the last confirm (of the acknowledgement, end to end).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain
from time import process_time
from typing import Final

import trio

import haqactor
from benchmarks.bodies import kept
from benchmarks.clusters import check_empty, cpu_s, drain, started
from benchmarks.result import QUICK, Result, check_same, median
from haqactor.cli.launcher import LocalCluster

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


async def send_batches(
    broker: "haqactor.Broker",
    queue: str,
    bodies: list[bytes],
    batch: int = BATCH,
    in_flight: int = IN_FLIGHT,
) -> None:
    """``publish_many`` of 100, 32 of them in flight."""
    chunks = iter([bodies[at : at + batch] for at in range(0, len(bodies), batch)])

    async def lane(producer: "haqactor.Producer") -> None:
        for chunk in chunks:
            await producer.publish_many(queue, chunk)

    async with broker.producer("benchmark") as producer, trio.open_nursery() as nursery:
        for _ in range(in_flight):
            nursery.start_soon(lane, producer)


async def send_single(
    broker: "haqactor.Broker", queue: str, bodies: list[bytes], in_flight: int = SINGLE_IN_FLIGHT
) -> None:
    """Single publishes of one named producer, 1,000 in flight."""
    waiting = iter(bodies)

    async def lane(producer: "haqactor.Producer") -> None:
        for body in waiting:
            await producer.publish(queue, body)

    async with broker.producer("benchmark") as producer, trio.open_nursery() as nursery:
        for _ in range(in_flight):
            nursery.start_soon(lane, producer)


async def send_large(broker: "haqactor.Broker", queue: str, bodies: list[bytes]) -> None:
    """The same, 256 in flight: 16 MiB of large ones."""
    await send_single(broker, queue, bodies, _LARGE_IN_FLIGHT)


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


async def _publish(name: str, count: int, size: int, send: Send) -> Result:
    """The clock stops at the last confirm; then everything is consumed and compared."""
    rates: list[float] = []
    async with kept(count, size) as bodies, started() as cluster, haqactor.connect(cluster.url) as broker:
        for run in range(RUNS):
            queue = await broker.declare(f"run-{run}")
            begun = trio.current_time()
            await send(broker, queue.name, bodies)
            rates.append(count / (trio.current_time() - begun))
            await drain(queue, bodies)
    return Result(name, median(rates), "msg/s")


@dataclass(frozen=True, slots=True)
class Moved:
    """One run end to end. ``rate``: messages a second; ``nodes_s``, ``client_s``: CPU seconds that the nodes
    and this program took for a million messages."""

    rate: float
    nodes_s: float
    client_s: float


async def move(
    cluster: LocalCluster,
    broker: haqactor.Broker,
    queue: haqactor.Queue,
    bodies: list[bytes],
    send: Send,
    receive: Receive,
) -> tuple[Moved, list[bytes]]:
    """Publish and consume as many at once; what it cost, and what arrived, which is for the caller to check.
    ``queue``: of another connection than ``broker``'s."""
    arrived: list[bytes] = []

    async def consume() -> None:
        arrived[:] = await receive(queue, len(bodies))

    begun, nodes, client = trio.current_time(), cpu_s(cluster), process_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        nursery.start_soon(send, broker, queue.name, bodies)
    seconds = trio.current_time() - begun
    million = len(bodies) / 1e6
    spent = (cpu_s(cluster) - nodes) / million, (process_time() - client) / million
    return Moved(len(bodies) / seconds, *spent), arrived


async def _end_to_end(name: str, count: int, size: int, send: Send, receive: Receive) -> list[Result]:
    """Producer and consumer at once, each with a connection of its own. The rate, and the CPU seconds that
    the nodes and this program took for a million messages."""
    runs: list[Moved] = []
    async with (
        kept(count, size) as bodies,
        started() as cluster,
        haqactor.connect(cluster.url) as broker,
        haqactor.connect(cluster.url) as consumer,
    ):
        for run in range(RUNS):
            queue = await broker.declare(f"run-{run}")
            moved, arrived = await move(cluster, broker, consumer.queue(queue.name), bodies, send, receive)
            check_same(bodies, arrived)
            await check_empty(queue)
            runs.append(moved)
    return [
        Result(name, median([run.rate for run in runs]), "msg/s"),
        Result("broker_cpu_s_per_1M", median([run.nodes_s for run in runs]), "s"),
        Result("client_cpu_s_per_1M", median([run.client_s for run in runs]), "s"),
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
    async with kept(_SINGLE, 100) as bodies, started() as cluster, haqactor.connect(cluster.url) as broker:
        for run in range(RUNS):
            queue = await broker.declare(f"run-{run}")
            await send_batches(broker, queue.name, bodies)
            begun = trio.current_time()
            arrived = await receive_each(queue, len(bodies))
            rates.append(len(bodies) / (trio.current_time() - begun))
            check_same(bodies, arrived)
            await check_empty(queue)
    return [Result("consume_each", median(rates), "msg/s")]
