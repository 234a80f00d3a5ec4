"""How a node comes back: with a million messages queued, and from an empty log over a snapshot.

One rule: a node is back when it holds all that the others hold, and says so itself.
"""

import shutil
from typing import Final

import trio

import haqactor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import started
from benchmarks.result import QUICK, BenchmarkWrong, Result
from benchmarks.throughput import send_batches
from haqactor.cli.launcher import LocalCluster, LocalNode

_QUEUED: Final = 1_000_000
_CATCH_UP_BYTES: Final = 128 * 1024 * 1024 if QUICK else 1024 * 1024 * 1024
_BODY_BYTES: Final = 16 * 1024
_DIFFERENT: Final = 256  # so many bodies before they repeat: none twice in what is compressed together
_PATIENCE_S: Final = 300.0
_LOOK_S: Final = 0.02


async def restart() -> list[Result]:
    """``restart_1M_s``: a node with a million messages of 100 bytes is killed; from its new process to the
    moment at which it has applied all of it and every group has a leader."""
    bodies = random_bodies(_QUEUED, 100)
    async with started() as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("million")
        await send_batches(broker, queue.name, bodies)
        victim = (await queue.info()).leader
        cluster.kill(victim)
        await cluster.wait_ready()
        begun = trio.current_time()
        cluster.node(victim).spawn()
        await is_level(cluster, cluster.node(victim))
        took = trio.current_time() - begun
        if (await queue.info()).ready != _QUEUED:
            raise BenchmarkWrong("messages are gone after a restart")
    return [Result("restart_1M_s", took, "s")]


async def catch_up() -> list[Result]:
    """``catch_up_mb_s``: a node lost its journal, but not its identity; how fast the others give it a
    gigabyte of live messages."""
    async with started() as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("large")
        megabytes = await fill(cluster, broker, queue)
        victim = cluster.node(((await queue.info()).leader + 1) % len(cluster.nodes))
        lose_journal(cluster, victim)
        begun = trio.current_time()
        victim.spawn()
        await caught_up(cluster, victim)
        took = trio.current_time() - begun
    return [Result("catch_up_mb_s", megabytes / took, "MB/s")]


async def fill(cluster: LocalCluster, broker: haqactor.Broker, queue: haqactor.Queue) -> float:
    """Queue what has to be caught up with, on every node; returns how many megabytes it is."""
    bodies = random_bodies(_DIFFERENT, _BODY_BYTES)
    count = _CATCH_UP_BYTES // _BODY_BYTES
    await send_batches(broker, queue.name, [bodies[at % _DIFFERENT] for at in range(count)])
    for node in cluster.nodes:
        await is_level(cluster, node)
    return count * _BODY_BYTES / 1e6


def lose_journal(cluster: LocalCluster, node: LocalNode) -> None:
    """Kill it and delete all but its identity."""
    cluster.kill(node.number)
    for pattern in ("segment-*", "cold-*", "snapshot-*"):
        for file in node.data.glob(pattern):
            file.unlink()


async def caught_up(cluster: LocalCluster, node: LocalNode) -> None:
    """Until the node that lost its journal holds all. Raises BenchmarkWrong where no snapshot was sent."""
    await is_level(cluster, node)
    async with haqactor.connect(f"haq://{node.listen}") as broker:
        if not (await broker.status())["counters"].get("installs_received"):
            raise BenchmarkWrong(f"node {node.number} is back, but not by a snapshot")
    shutil.rmtree(node.data / "quarantine", ignore_errors=True)


async def is_level(cluster: LocalCluster, node: LocalNode) -> None:
    """Until the node has applied what the others have, in every group, and is no suspect."""
    with trio.move_on_after(_PATIENCE_S) as scope:
        while True:
            try:
                async with haqactor.connect(f"haq://{node.listen}") as broker:
                    while not await _same(cluster, broker):  # noqa: ASYNC110 - it is polled
                        await trio.sleep(_LOOK_S)
                    return
            except haqactor.Error:
                await trio.sleep(_LOOK_S)
    if scope.cancelled_caught:
        raise BenchmarkWrong(f"node {node.number} is not back after {_PATIENCE_S:g} s")


async def _same(cluster: LocalCluster, broker: haqactor.Broker) -> bool:
    """Does the node of ``broker`` hold what another one held a moment ago?"""
    mine = (await broker.status())["node"]
    other = next(node for node in cluster.nodes if node.number != mine)
    async with haqactor.connect(f"haq://{other.listen}") as others:
        theirs = (await others.status())["groups"]
    status = await broker.status()  # after theirs: under load nobody ever holds all that the others do
    rows = {row["group"]: row for row in status["groups"]}
    if not status["ready"] or any(row["suspect"] for row in rows.values()):
        return False
    return all(row["group"] in rows and rows[row["group"]]["applied"] >= row["applied"] for row in theirs)
