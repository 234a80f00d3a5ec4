"""How cost grows with work: the CPU seconds of nodes and client for a million messages, end to end, by how
many are published at once and by how large they are.

One rule: only one of the two changes at a time; the other, and how many messages are in flight, stay what
``end_to_end_100B`` has, but for bodies of 64 KiB: sixteen at once, 256 in flight.
"""

from functools import partial
from typing import Final

import haqactor
from benchmarks.bodies import kept
from benchmarks.clusters import check_empty, started
from benchmarks.result import QUICK, Result, check_same
from benchmarks.throughput import (
    BATCH,
    IN_FLIGHT,
    RUNS,
    Moved,
    move,
    receive_batches,
    send_batches,
    send_single,
)
from haqactor.cli.launcher import LocalCluster

BATCHES: Final = (
    {1: 20_000, 10: 50_000, 100: 100_000, 1_000: 100_000}
    if QUICK
    else {
        1: 100_000,
        10: 200_000,
        100: 500_000,
        1_000: 500_000,
    }
)
"""Of 100 bytes each, and how many messages are moved. A batch of one is a single publish."""
SIZES: Final = {"100B": (100, 500_000), "1KiB": (1024, 100_000), "64KiB": (64 * 1024, 3_000)}
"""Bytes, and how many messages are moved."""
_QUICK_SHARE: Final = 0.3
_IN_FLIGHT: Final = BATCH * IN_FLIGHT
_LARGE_BATCH: Final = 16
_LARGE_IN_FLIGHT: Final = 256
_LARGE: Final = 16 * 1024


async def cost_of_batches() -> list[Result]:
    """``broker_cpu_s_per_1M_batch_1``, ``_10``, ``_100``, ``_1000``, and ``client_cpu_s_per_1M_batch_*``."""
    async with started() as cluster:
        found = {
            f"batch_{batch}": await _moved(cluster, count, 100, batch, _IN_FLIGHT)
            for batch, count in BATCHES.items()
        }
    return _results(found)


async def cost_of_sizes() -> list[Result]:
    """``broker_cpu_s_per_1M_100B``, ``_1KiB``, ``_64KiB``, and ``client_cpu_s_per_1M_*``."""
    found: dict[str, Moved] = {}
    async with started() as cluster:
        for name, (size, count) in SIZES.items():
            few = round(count * _QUICK_SHARE) if QUICK else count
            if size < _LARGE:
                found[name] = await _moved(cluster, few, size, BATCH, _IN_FLIGHT)
            else:
                found[name] = await _moved(cluster, few, size, _LARGE_BATCH, _LARGE_IN_FLIGHT)
    return _results(found)


def _results(found: dict[str, Moved]) -> list[Result]:
    return [
        *(Result(f"broker_cpu_s_per_1M_{name}", moved.nodes_s, "s") for name, moved in found.items()),
        *(Result(f"client_cpu_s_per_1M_{name}", moved.client_s, "s") for name, moved in found.items()),
    ]


async def _moved(cluster: LocalCluster, count: int, size: int, batch: int, in_flight: int) -> Moved:
    """The run in the middle by what the nodes took. ``in_flight``: messages."""
    send = partial(send_batches, batch=batch, in_flight=in_flight // batch)
    if batch == 1:
        send = partial(send_single, in_flight=in_flight)
    runs: list[Moved] = []
    async with (
        kept(count, size) as bodies,
        haqactor.connect(cluster.url) as broker,
        haqactor.connect(cluster.url) as consumer,
    ):
        for run in range(RUNS):
            queue = await broker.declare(f"run-{size}-{batch}-{run}")
            moved, arrived = await move(
                cluster, broker, consumer.queue(queue.name), bodies, send, receive_batches
            )
            check_same(bodies, arrived)
            await check_empty(queue)
            runs.append(moved)
    return sorted(runs, key=lambda each: each.nodes_s)[len(runs) // 2]
