"""The clusters that the programs measure: three real processes on loopback, on the disk of the repository.

One rule: a program gets a fresh cluster or a fresh queue, and leaves neither process nor file behind.
"""

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

import haqactor
from benchmarks.procfs import cpu_seconds
from benchmarks.result import BenchmarkWrong, check_same
from haqactor.cli.launcher import LocalCluster, free_base_port

OUT: Final = Path(__file__).resolve().parent / "out"
NODES: Final = 3


@asynccontextmanager
async def laid_out(**settings: Any) -> AsyncGenerator[LocalCluster]:
    """A cluster with its directory, not started; stopped and deleted at the end. ``settings``: of each
    node's file.
    """
    OUT.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="cluster-", dir=OUT))
    cluster = LocalCluster.found(
        directory / "cluster",
        NODES,
        await free_base_port(NODES),
        {"log_level": "warning", **settings},
    )
    try:
        yield cluster
    finally:
        cluster.stop(5)
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def started(**settings: Any) -> AsyncGenerator[LocalCluster]:
    """A cluster that confirms; ``settings`` as for ``laid_out``."""
    async with laid_out(**settings) as cluster:
        await cluster.start()
        yield cluster


def cpu_s(cluster: LocalCluster) -> float:
    """User and system time of the nodes so far, their helpers included; of those that run."""
    processes = [node.process() for node in cluster.nodes]
    return sum(cpu_seconds(process.pid) for process in processes if process is not None)


async def drain(queue: haqactor.Queue, sent: list[bytes]) -> None:
    """Consume everything that was sent, and check it. Raises BenchmarkWrong."""
    arrived: list[bytes] = []
    async with queue.consume_batches(credit=10_000) as batches:
        while len(arrived) < len(sent):
            with trio.move_on_after(30) as scope:
                batch = await batches.receive()
                async with batch:
                    arrived += [message.body for message in batch.messages]
            if scope.cancelled_caught:
                raise BenchmarkWrong(f"{len(sent)} messages were sent, only {len(arrived)} came within 30 s")
    check_same(sent, arrived)
    await check_empty(queue)


async def check_empty(queue: haqactor.Queue) -> None:
    """Nothing is left, as the leader sees it. Raises BenchmarkWrong."""
    info = await queue.info()
    if info.ready or info.leased or info.delayed:
        raise BenchmarkWrong(
            f"the queue is not empty: {info.ready} ready, {info.leased} leased, {info.delayed} deferred"
        )
