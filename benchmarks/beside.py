"""What a gigabyte of old messages costs those who are served meanwhile, who publish and consume at half of
what the cluster can do: a node that lost its journal takes it, or somebody reads it from the disks.

One rule: with and without are measured in one run, under one load that never pauses: before the node comes
back or the reader comes, while it does, and after.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio

import haqactor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import check_empty, started
from benchmarks.comeback import caught_up, fill, lose_journal
from benchmarks.consumer import consuming
from benchmarks.result import QUICK, BenchmarkWrong, Result, check_same
from benchmarks.throughput import BATCH, receive_batches, send_batches

_SATURATING: Final = 600_000 if QUICK else 1_500_000
_SHARE: Final = 0.5
_ALONE_S: Final = 5.0 if QUICK else 10.0
_SETTLE_S: Final = 2.0
_DIFFERENT: Final = 100_000
_NAMES: Final = 256
_PATIENCE_S: Final = 120.0


class Load:
    """Batches of 100 at even times, whether or not those before are confirmed, and a consumer of all of them.
    ``waits``: (when it was due, seconds to its confirm). ``settled``: (when, how many)."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.waits: list[tuple[float, float]] = []
        self.settled: list[tuple[float, int]] = []

    async def publish(self, producer: haqactor.Producer, queue: str) -> None:
        """Until cancelled."""
        bodies = random_bodies(_DIFFERENT, 100)
        chunks = [bodies[at : at + BATCH] for at in range(0, len(bodies), BATCH)]
        begun, number = trio.current_time(), 0
        async with trio.open_nursery() as nursery:
            while True:
                due = begun + number * BATCH / self.rate
                await trio.sleep_until(due)
                nursery.start_soon(self._one, producer, queue, chunks[number % len(chunks)], due)
                number += 1

    async def _one(self, producer: haqactor.Producer, queue: str, chunk: list[bytes], due: float) -> None:
        await producer.publish_many(queue, chunk)
        self.waits.append((due, trio.current_time() - due))

    async def consume(self, queue: haqactor.Queue) -> None:
        """Until cancelled."""
        async with queue.consume_batches(credit=10_000) as batches:
            while True:
                batch = await batches.receive()
                count = len(batch.messages)
                async with batch:
                    pass
                self.settled.append((trio.current_time(), count))

    def p99_s(self, *windows: tuple[float, float]) -> float:
        """Of what was due within the windows."""
        found = sorted(wait for due, wait in self.waits if any(begin <= due < end for begin, end in windows))
        return found[len(found) * 99 // 100]

    def throughput(self, *windows: tuple[float, float]) -> float:
        """Messages a second that were settled within the windows."""
        count = sum(n for at, n in self.settled if any(begin <= at < end for begin, end in windows))
        return count / sum(end - begin for begin, end in windows)


async def beside_load() -> list[Result]:
    """``beside_catch_up_mb_s``: as ``catch_up_mb_s``, beside the load. ``beside_throughput``, ``beside_p99``:
    what the load got with the catch-up, by what it got without. ``beside_p99_ms``, ``beside_alone_p99_ms``:
    the wait for a confirm, with and without."""
    async with (
        started() as cluster,
        haqactor.connect(cluster.url) as broker,
        haqactor.connect(cluster.url) as consumer,
    ):
        large = await broker.declare("large")
        megabytes = await fill(cluster, broker, large)
        info = await large.info()
        sender = info.leader
        queue = await _in_group(broker, info.group)
        load = Load(await _saturation(broker, consumer.queue(queue.name)) * _SHARE)
        async with _under(load, broker, consumer.queue(queue.name)):
            await trio.sleep(_SETTLE_S)
            before = await _window(_ALONE_S)
            victim = cluster.node((sender + 1) % len(cluster.nodes))
            lose_journal(cluster, victim)
            await trio.sleep(_SETTLE_S)
            spawned = trio.current_time()
            await victim.wait_listening(victim.spawn())
            begun = trio.current_time()
            await caught_up(cluster, victim)
            ended = trio.current_time()
            await trio.sleep(_SETTLE_S)
            after = await _window(_ALONE_S)
        if (await queue.info()).leader != sender:
            raise BenchmarkWrong("the load's leader changed: with and without are not the same")
    beside = (begun, ended)
    with_s, without_s = load.p99_s(beside), load.p99_s(before, after)
    return [
        Result("beside_catch_up_mb_s", megabytes / (ended - spawned), "MB/s"),
        Result("beside_load", load.rate, "msg/s offered"),
        Result("beside_throughput", load.throughput(beside) / load.throughput(before, after), "x"),
        Result("beside_p99", with_s / without_s, "x"),
        Result("beside_p99_ms", with_s * 1e3, "ms"),
        Result("beside_alone_p99_ms", without_s * 1e3, "ms"),
    ]


async def cold_readers_beside_load() -> list[Result]:
    """``cold_read_mb_s``: a consumer in a process of its own takes the gigabyte, of which no cache holds
    anything, from the node that leads the load's group, beside the load. ``cold_beside_throughput``,
    ``cold_beside_p99``: what the load got meanwhile, by what it got without; ``cold_beside_p99_ms``,
    ``cold_alone_p99_ms``: the wait for a confirm, with and without."""
    async with (
        started() as cluster,
        haqactor.connect(cluster.url) as broker,
        haqactor.connect(cluster.url) as consumer,
    ):
        large = await broker.declare("large")
        megabytes = await fill(cluster, broker, large)
        info = await large.info()
        queue = await _in_group(broker, info.group)
        load = Load(await _saturation(broker, consumer.queue(queue.name)) * _SHARE)
        missing, done, first = info.ready, trio.Event(), trio.Event()
        left, begun = missing, 0.0

        def settled(count: int) -> None:
            nonlocal missing
            missing -= count
            first.set()
            if missing <= 0:
                done.set()

        async with _under(load, broker, consumer.queue(queue.name)):
            await trio.sleep(_SETTLE_S)
            before = await _window(_ALONE_S)
            async with consuming(cluster.url, large.name, settled, missing):
                with trio.move_on_after(_PATIENCE_S) as scope:
                    await first.wait()  # a program that starts takes processor time from everybody
                    left, begun = missing, trio.current_time()
                    await done.wait()
                if scope.cancelled_caught:
                    raise BenchmarkWrong(f"{missing} of {info.ready} messages did not come")
            ended = trio.current_time()
            await trio.sleep(_SETTLE_S)
            after = await _window(_ALONE_S)
        await check_empty(large)
        if (await queue.info()).leader != info.leader:
            raise BenchmarkWrong("the load's leader changed: with and without are not the same")
    beside = (begun, ended)
    with_s, without_s = load.p99_s(beside), load.p99_s(before, after)
    return [
        Result("cold_read_mb_s", megabytes * left / info.ready / (ended - begun), "MB/s"),
        Result("cold_beside_load", load.rate, "msg/s offered"),
        Result("cold_beside_throughput", load.throughput(beside) / load.throughput(before, after), "x"),
        Result("cold_beside_p99", with_s / without_s, "x"),
        Result("cold_beside_p99_ms", with_s * 1e3, "ms"),
        Result("cold_alone_p99_ms", without_s * 1e3, "ms"),
    ]


async def _in_group(broker: haqactor.Broker, group: int) -> haqactor.Queue:
    """A queue of the group whose snapshot is sent: the two meet at its leader and in its log."""
    for number in range(_NAMES):
        queue = await broker.declare(f"load-{number}")
        if (await queue.info()).group == group:
            return queue
    raise BenchmarkWrong(f"none of {_NAMES} queues is in group {group}")


async def _saturation(broker: haqactor.Broker, queue: haqactor.Queue) -> float:
    """Messages a second, published, consumed and acknowledged, as fast as it goes for some seconds: a
    shared machine gives more for a moment, and half of that would be nearly all it gives for long."""
    bodies = random_bodies(_SATURATING, 100)
    arrived: list[bytes] = []

    async def consume() -> None:
        arrived.extend(await receive_batches(queue, len(bodies)))

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        nursery.start_soon(send_batches, broker, queue.name, bodies)
    took = trio.current_time() - begun
    check_same(bodies, arrived)
    return len(bodies) / took


@asynccontextmanager
async def _under(load: Load, broker: haqactor.Broker, queue: haqactor.Queue) -> AsyncGenerator[None]:
    async with broker.producer("load") as producer, trio.open_nursery() as nursery:
        nursery.start_soon(load.consume, queue)
        nursery.start_soon(load.publish, producer, queue.name)
        yield
        nursery.cancel_scope.cancel()


async def _window(seconds: float) -> tuple[float, float]:
    begun = trio.current_time()
    await trio.sleep(seconds)
    return begun, trio.current_time()
