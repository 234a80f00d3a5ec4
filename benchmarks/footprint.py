"""What a cluster costs: the time to start, memory, bytes on the disk.

One rule: a node's cost is the highest of the three, not their mean.
"""

from pathlib import Path
from typing import Final

import trio

import haqactor
from benchmarks.bodies import employee_bodies, random_bodies
from benchmarks.clusters import drain, laid_out, started
from benchmarks.result import QUICK, Result, median
from benchmarks.throughput import send_batches
from haqactor.cli.launcher import LocalCluster
from haqactor.config import Limits

_STARTS: Final = 1 if QUICK else 5
_QUEUED: Final = 1_000_000
_RECORDS: Final = 200_000 if QUICK else 500_000
_CHUNK: Final = 1 << 20
_IDLE_SECONDS: Final = 2.0
_QUEUES: Final = 1_000
_DECLARED_AT_ONCE: Final = 100


async def start() -> list[Result]:
    """``start_s``: three fresh nodes to the first confirm; ``rss_idle_mb`` of the last of them after two
    idle seconds.
    """
    seconds: list[float] = []
    idle = 0.0
    for _ in range(_STARTS):
        async with laid_out() as cluster:
            begun = trio.current_time()
            for node in cluster.nodes:
                node.spawn()
            await _first_confirm(cluster)
            seconds.append(trio.current_time() - begun)
            await trio.sleep(_IDLE_SECONDS)
            idle = max(cluster.resident_bytes()) / 1e6
    return [Result("start_s", median(seconds), "s"), Result("rss_idle_mb", idle, "MB")]


async def _first_confirm(cluster: LocalCluster) -> None:
    while True:
        try:
            async with haqactor.connect(cluster.url) as broker:
                queue = await broker.declare("first")
                receipt = await broker.publish("first", b"first")
                await drain(queue, [b"first"])
            assert receipt.seq == 1
        except (haqactor.ConnectionLost, haqactor.NoQuorum):
            await trio.sleep(0.01)
        else:
            return


async def memory() -> list[Result]:
    """``rss_1M_mb``: resident memory with a million messages of 100 bytes queued, the process that syncs
    included; ``rss_1M_beside_cache_mb``: without the tail cache, which is full by then."""
    bodies = random_bodies(_QUEUED, 100)
    async with started() as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("million")
        await send_batches(broker, queue.name, bodies)
        used = max(cluster.resident_bytes()) / 1e6
        await drain(queue, bodies)
    cache = Limits().tail_cache_bytes / 1e6
    return [Result("rss_1M_mb", used, "MB"), Result("rss_1M_beside_cache_mb", used - cache, "MB")]


async def queues() -> list[Result]:
    """``declare_1000_queues_s``, and by how much the largest node grew: ``rss_1000_queues_mb``."""
    names = iter([f"queue-{number}" for number in range(_QUEUES)])

    async def declare(broker: haqactor.Broker) -> None:
        for name in names:
            await broker.declare(name)

    async with started() as cluster, haqactor.connect(cluster.url) as broker:
        await broker.declare("first")
        before, begun = cluster.resident_bytes(), trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(_DECLARED_AT_ONCE):
                nursery.start_soon(declare, broker)
        seconds = trio.current_time() - begun
        grown = max(new - old for new, old in zip(cluster.resident_bytes(), before, strict=True))
    return [
        Result("declare_1000_queues_s", seconds, "s"),
        Result("rss_1000_queues_mb", grown / 1e6, "MB"),
    ]


async def disk() -> list[Result]:
    """``disk_bytes_per_message``: employees' records of 100 bytes; the zeros of a preallocated tail do not
    count.
    """
    bodies = employee_bodies(_RECORDS)
    async with started() as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("records")
        before = [written(node.data) for node in cluster.nodes]
        await send_batches(broker, queue.name, bodies)
        after = [written(node.data) for node in cluster.nodes]
        await drain(queue, bodies)
    used = max(new - old for new, old in zip(after, before, strict=True))
    return [Result("disk_bytes_per_message", used / len(bodies), "B")]


def written(directory: Path) -> int:
    """Bytes of all files below, each up to its last one that is not zero."""
    return sum(_without_zeros(path) for path in directory.rglob("*") if path.is_file())


def _without_zeros(path: Path) -> int:
    with path.open("rb") as file:
        end = path.stat().st_size
        while end > 0:
            at = max(0, end - _CHUNK)
            file.seek(at)
            filled = len(file.read(end - at).rstrip(b"\0"))
            if filled:
                return at + filled
            end = at
    return 0
