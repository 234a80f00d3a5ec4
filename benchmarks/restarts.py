"""How long a whole cluster that holds a million messages takes to its next confirm: stopped in order and
started again, and after ``kill -9`` of all its nodes at once.

One rule: the clock runs from the first process that is started to the confirm of a publish behind the
million, and at the end every message is still there, once.
"""

import signal
from typing import Final

import trio

import haqactor
from benchmarks.bodies import kept
from benchmarks.clusters import drain, started
from benchmarks.result import QUICK, BenchmarkWrong, Result, median
from benchmarks.throughput import send_batches
from haqactor.cli.launcher import LocalCluster

_QUEUED: Final = 1_000_000
_TIMES: Final = 1 if QUICK else 3
_QUEUE: Final = "million"
_PATIENCE_S: Final = 120.0
_AGAIN_S: Final = 0.01
_RETRIED: Final = (
    haqactor.ConnectionLost,
    haqactor.NoQuorum,
    haqactor.OutcomeUnknown,
    haqactor.Overloaded,
)


async def restart_all() -> list[Result]:
    """``restart_clean_1M_s`` and ``restart_crash_1M_s``: medians, with a million messages of 100 bytes."""
    clean: list[float] = []
    crash: list[float] = []
    async with kept(_QUEUED + 2 * _TIMES, 100) as bodies, started() as cluster:
        async with haqactor.connect(cluster.url) as broker:
            await broker.declare(_QUEUE)
            await send_batches(broker, _QUEUE, bodies[:_QUEUED])
        for number, body in enumerate(bodies[_QUEUED:], 1):
            if number % 2:
                _stop(cluster)
            else:
                _crash(cluster)
            (clean if number % 2 else crash).append(await _to_confirm(cluster, body, number))
            await cluster.wait_ready()
        async with haqactor.connect(cluster.url) as broker:
            await drain(broker.queue(_QUEUE), bodies)
    return [
        Result("restart_clean_1M_s", median(clean), "s"),
        Result("restart_crash_1M_s", median(crash), "s"),
    ]


def _stop(cluster: LocalCluster) -> None:
    ended = cluster.stop()
    if set(ended.values()) != {"stopped"}:
        raise BenchmarkWrong(f"the nodes did not stop in order: {ended}")


def _crash(cluster: LocalCluster) -> None:
    """All are signalled before the first one's end is waited for."""
    processes = [process for node in cluster.nodes if (process := node.process()) is not None]
    for process in processes:
        process.send(signal.SIGKILL)
    for process in processes:
        process.wait(5)


async def _to_confirm(cluster: LocalCluster, body: bytes, number: int) -> float:
    """Seconds from the start of the processes; asked again and again under one number, so it is stored
    once."""
    begun = trio.current_time()
    for node in cluster.nodes:
        node.spawn()
    with trio.move_on_after(_PATIENCE_S):
        while True:
            try:
                async with haqactor.connect(cluster.url) as broker, broker.producer("restart") as producer:
                    await producer.publish(_QUEUE, body, seq=number)
                    return trio.current_time() - begun
            except* _RETRIED:
                await trio.sleep(_AGAIN_S)
    raise BenchmarkWrong(f"no confirm within {_PATIENCE_S:g} s of the restart")
