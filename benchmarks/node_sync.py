"""``python -m benchmarks.node_sync``: the ways of syncing the journal, each inside a real cluster.

One rule: the ways take turns, round after round, so that a machine that others use too is unfair to none of
them; the medians are shown.

``benchmarks.journal_sync`` measures the same ways beside a loop of its own; this is what ADR 0003 decides by.
"""

import argparse
from typing import Final

import trio
from rich.console import Console
from rich.progress import track
from rich.table import Table

import haqactor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import drain, started
from benchmarks.result import median
from benchmarks.throughput import Send, send_awaiting, send_batches

WAYS: Final = ("process", "thread", "yield", "inline")
_BATCHED: Final = 200_000
_AWAITED: Final = 30_000
_PACED: Final = 400
_RATE: Final = 100


async def _rate(broker: haqactor.Broker, name: str, bodies: list[bytes], send: Send) -> float:
    queue = await broker.declare(name)
    begun = trio.current_time()
    await send(broker, name, bodies)
    rate = len(bodies) / (trio.current_time() - begun)
    await drain(queue, bodies)
    return rate


async def _waits(broker: haqactor.Broker) -> list[float]:
    await broker.declare("paced")
    waits: list[float] = []
    start = trio.current_time()
    for number, body in enumerate(random_bodies(_PACED, 100)):
        await trio.sleep_until(start + number / _RATE)
        begun = trio.current_time()
        await broker.publish("paced", body)
        waits.append((trio.current_time() - begun) * 1e3)
    return sorted(waits)


async def measure(way: str) -> tuple[float, ...]:
    """(batched msg/s, awaited msg/s, p50 ms, p99 ms at 100/s) of a fresh cluster that syncs in this way."""
    async with started(sync=way) as cluster, haqactor.connect(cluster.url) as broker:
        waits = await _waits(broker)
        batched = await _rate(broker, "batched", random_bodies(_BATCHED, 100), send_batches)
        awaited = await _rate(broker, "awaited", random_bodies(_AWAITED, 100), send_awaiting)
    return batched, awaited, waits[len(waits) // 2], waits[len(waits) * 99 // 100]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node_sync", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured")
    rounds = parser.parse_args().rounds
    console = Console(stderr=True)
    found: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
    for way in track(list(WAYS) * rounds, console=console, disable=not console.is_terminal):
        found[way].append(trio.run(measure, way))
    table = Table(title=f"three nodes, medians of {rounds}")
    for title in ("way", "publish_many msg/s", "await publish msg/s", "p50 ms at 100/s", "p99 ms"):
        table.add_column(title, justify="left" if title == "way" else "right")
    for way, rows in found.items():
        batched, awaited, p50, p99 = (median(list(column)) for column in zip(*rows, strict=True))
        table.add_row(way, f"{batched:,.0f}", f"{awaited:,.0f}", f"{p50:.2f}", f"{p99:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
