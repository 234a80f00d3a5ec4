"""How much one node holds: ten million messages, and ten thousand queues.

One rule: a figure is of the node that needed the most, and everything that was queued is counted at the end.
"""

import random
from collections.abc import Iterator
from typing import Final

import trio

import haqactor
from benchmarks.bodies import SEED
from benchmarks.clusters import check_empty, started
from benchmarks.comeback import is_level
from benchmarks.procfs import cpu_seconds
from benchmarks.result import QUICK, BenchmarkWrong, Result
from benchmarks.throughput import BATCH, IN_FLIGHT
from haqactor.cli.launcher import LocalCluster
from haqactor.config import Limits

_QUEUED: Final = 1_000_000 if QUICK else 10_000_000
_BODY_BYTES: Final = 100
_NUMBER_BYTES: Final = 8
_POOL_BYTES: Final = 1 << 20
_STRIDE: Final = 97  # of what is taken from the pool: a batch holds nothing twice
_PATIENCE_S: Final = 30.0
_STOP_S: Final = 30.0
_LOOK_S: Final = 0.25
_QUEUES: Final = 1_000 if QUICK else 10_000
_DECLARED_AT_ONCE: Final = 100
_REST_S: Final = 10.0
_IDLE_S: Final = 20.0


class Bodies:
    """Bodies of 100 bytes by their number: ten million of them would take more memory here than in the node.
    The first eight bytes are the number, the others are from a pool of random ones."""

    def __init__(self) -> None:
        self._pool = random.Random(SEED).randbytes(_POOL_BYTES)

    def batch(self, first: int) -> list[bytes]:
        """The ``BATCH`` bodies from number ``first`` on."""
        return [self.body(number) for number in range(first, first + BATCH)]

    def body(self, number: int) -> bytes:
        """That of one message."""
        rest = _BODY_BYTES - _NUMBER_BYTES
        at = number * _STRIDE % (_POOL_BYTES - rest)
        return number.to_bytes(_NUMBER_BYTES, "big") + self._pool[at : at + rest]


async def ten_million() -> list[Result]:
    """Ten million messages of 100 bytes in one queue. ``rss_10M_mb``: the fullest node at its fullest moment,
    while they were queued and through both restarts, its helper included;
    ``rss_10M_beside_cache_mb``: that without its tail cache and without what the fullest node held before the
    first message (``rss_10M_idle_mb``). ``restart_10M_clean_s``, ``restart_10M_crash_s``: the queue's leader
    is stopped as ``haq`` does, or killed; from its new process to the moment at which it answers, all its
    groups have a leader and it has applied what the others have."""
    bodies = Bodies()
    async with started() as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("ten-million")
        idle = max(cluster.resident_bytes()) / 1e6
        looks: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_keep_looking, cluster, looks)
            await _fill(broker, queue.name, bodies)
            clean = await _restarted(cluster, queue, crash=False)
            crash = await _restarted(cluster, queue, crash=True)
            await trio.sleep(_LOOK_S)
            nursery.cancel_scope.cancel()
        await _count(queue, bodies)
    used = max(looks) / 1e6
    cache = Limits().tail_cache_bytes / 1e6
    return [
        Result("rss_10M_mb", used, "MB"),
        Result("rss_10M_idle_mb", idle, "MB"),
        Result("rss_10M_beside_cache_mb", used - idle - cache, "MB"),
        Result("restart_10M_clean_s", clean, "s"),
        Result("restart_10M_crash_s", crash, "s"),
    ]


async def _keep_looking(cluster: LocalCluster, looks: list[int]) -> None:
    """The fullest node's memory, until cancelled."""
    while True:
        looks.append(max(cluster.resident_bytes()))
        await trio.sleep(_LOOK_S)


async def _fill(broker: haqactor.Broker, queue: str, bodies: Bodies) -> None:
    """``publish_many`` of 100, 32 of them in flight."""
    firsts: Iterator[int] = iter(range(0, _QUEUED, BATCH))

    async def lane(producer: haqactor.Producer) -> None:
        for first in firsts:
            await producer.publish_many(queue, bodies.batch(first))

    async with broker.producer("scale") as producer, trio.open_nursery() as nursery:
        for _ in range(IN_FLIGHT):
            nursery.start_soon(lane, producer)


async def _restarted(cluster: LocalCluster, queue: haqactor.Queue, *, crash: bool) -> float:
    """Seconds from the new process of the queue's leader until it is back. Raises BenchmarkWrong."""
    victim = cluster.node((await queue.info()).leader)
    process = victim.process()
    if process is None:
        raise BenchmarkWrong(f"node {victim.number} does not run")
    if crash:
        cluster.kill(victim.number)
    else:
        process.send(15)
        if not await process.wait_ended(_STOP_S):
            raise BenchmarkWrong(f"node {victim.number} does not stop")
    await cluster.wait_ready()
    begun = trio.current_time()
    victim.spawn()
    await is_level(cluster, victim)
    took = trio.current_time() - begun
    if (await queue.info()).ready != _QUEUED:
        raise BenchmarkWrong("messages are gone after a restart")
    return took


async def _count(queue: haqactor.Queue, bodies: Bodies) -> None:
    """Consume everything; each message has to come once, as it was sent. Raises BenchmarkWrong."""
    seen = bytearray(_QUEUED)
    missing = _QUEUED
    async with queue.consume_batches(credit=10_000) as batches:
        while missing > 0:
            with trio.move_on_after(_PATIENCE_S) as scope:
                batch = await batches.receive()
                async with batch:
                    for message in batch.messages:
                        number = int.from_bytes(message.body[:_NUMBER_BYTES], "big")
                        if number >= _QUEUED or message.body != bodies.body(number) or seen[number]:
                            raise BenchmarkWrong(f"message {number} came twice, or is not what was sent")
                        seen[number] = 1
                    missing -= len(batch.messages)
            if scope.cancelled_caught:
                raise BenchmarkWrong(f"{missing} of {_QUEUED} messages did not come")
    await check_empty(queue)


async def ten_thousand_queues() -> list[Result]:
    """``declare_10000_queues_s``, by how much the largest node grew (``rss_10000_queues_mb``), and what the
    busiest node takes of one core while nobody asks for anything, its helper included
    (``idle_cpu_10000_queues``, percent)."""
    names = iter([f"queue-{number}" for number in range(_QUEUES)])

    async def declare(broker: haqactor.Broker) -> None:
        for name in names:
            await broker.declare(name)

    async with started() as cluster:
        async with haqactor.connect(cluster.url) as broker:
            await broker.declare("first")
            before, begun = cluster.resident_bytes(), trio.current_time()
            async with trio.open_nursery() as nursery:
                for _ in range(_DECLARED_AT_ONCE):
                    nursery.start_soon(declare, broker)
            seconds = trio.current_time() - begun
            grown = max(new - old for new, old in zip(cluster.resident_bytes(), before, strict=True))
            if len(await broker.queues()) != _QUEUES + 1:
                raise BenchmarkWrong("not all queues are there")
        idle = await _idle_share(cluster)
    return [
        Result("declare_10000_queues_s", seconds, "s"),
        Result("rss_10000_queues_mb", grown / 1e6, "MB"),
        Result("idle_cpu_10000_queues", idle * 100, "%"),
    ]


async def _idle_share(cluster: LocalCluster) -> float:
    """Of a core, by the busiest node, over twenty seconds after ten at rest."""
    pids = [process.pid for node in cluster.nodes if (process := node.process()) is not None]
    await trio.sleep(_REST_S)
    before, begun = [cpu_seconds(pid) for pid in pids], trio.current_time()
    await trio.sleep(_IDLE_S)
    took = trio.current_time() - begun
    return max(cpu_seconds(pid) - old for pid, old in zip(pids, before, strict=True)) / took
