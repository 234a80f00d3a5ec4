"""The leader is killed with -9, or stopped with SIGSTOP, again and again: how long until the next confirm, is
anything lost, is anything stored twice.

One rule: what counts is the first confirm of a publish that began after the signal; one that was on its way
does not.
"""

import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

import trio

import haqactor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import started
from benchmarks.result import QUICK, BenchmarkWrong, Result, median
from haqactor.cli.launcher import LocalCluster

KILLS: Final = 5 if QUICK else 50
STOPS: Final = 2 if QUICK else 20
_QUEUE: Final = "failover"
_SETTLE_CONFIRMS: Final = 100 if QUICK else 500
_BOUND_SECONDS: Final = 30
Once = Callable[[LocalCluster, int, "Stream"], Awaitable[float]]

_RETRIED: Final = (
    haqactor.NoQuorum,
    haqactor.OutcomeUnknown,
    haqactor.Overloaded,
    haqactor.ConnectionLost,
)


@dataclass(slots=True)
class Stream:
    """One producer's endless single publishes. ``last``: when the newest confirmed publish began, and its
    confirm.
    """

    confirmed: list[bytes] = field(default_factory=list[bytes])
    last: tuple[float, float] = (0.0, 0.0)
    news: trio.Event = field(default_factory=trio.Event)

    async def run(self, broker: "haqactor.Broker", task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        """Publish one message after the other until cancelled between two of them."""
        bodies = iter(random_bodies(1_000_000, 16))
        with trio.CancelScope() as stopping:
            task_status.started(stopping)
            async with broker.producer("failover") as producer:
                for seq, body in enumerate(bodies, 1):
                    await trio.lowlevel.checkpoint_if_cancelled()
                    begun = trio.current_time()
                    with trio.CancelScope(shield=True):
                        await _certainly(producer, body, seq)
                    self.confirmed.append(body)
                    self.last = (begun, trio.current_time())
                    self.news.set()
                    self.news = trio.Event()

    async def wait_confirm_of_publish_after(self, moment: float) -> float:
        """When the first confirm came of a publish begun after ``moment``."""
        while self.last[0] < moment:
            await self.news.wait()
        return self.last[1]

    async def wait_more(self, count: int) -> None:
        """Until ``count`` more are confirmed."""
        goal = len(self.confirmed) + count
        while len(self.confirmed) < goal:
            await self.news.wait()


async def _certainly(producer: "haqactor.Producer", body: bytes, seq: int) -> None:
    """Under the same number until it is confirmed, so that it is stored once."""
    while True:
        try:
            await producer.publish(_QUEUE, body, seq=seq)
        except _RETRIED:
            await trio.sleep(0.01)
        else:
            return


async def failover() -> list[Result]:
    """``failover_ms_median`` and ``_max`` over all kills, and what was lost or stored twice."""
    return await again_and_again("failover", KILLS, _kill_once)


async def failover_stop() -> list[Result]:
    """The same with leaders that are stopped and go on later, ``failover_stop_*``: no connection of theirs
    breaks.
    """
    return await again_and_again("failover_stop", STOPS, _stop_once)


async def again_and_again(
    name: str,
    times: int,
    once: Once,
    running: "Callable[[], AbstractAsyncContextManager[LocalCluster]]" = started,
) -> list[Result]:
    """Let it fail so many times, and see how long each took and what is lost at the end. ``once``: one
    failure, over when the cluster is whole again; ``running``: the cluster to do it to."""
    stream = Stream()
    gaps: list[float] = []
    async with running() as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare(_QUEUE)
        async with trio.open_nursery() as nursery:
            stopping: trio.CancelScope = await nursery.start(stream.run, broker)
            for _ in range(times):
                with trio.move_on_after(_BOUND_SECONDS) as scope:
                    await stream.wait_more(_SETTLE_CONFIRMS)
                    gaps.append(await once(cluster, (await queue.info()).leader, stream) * 1e3)
                if scope.cancelled_caught:
                    raise BenchmarkWrong(f"no confirm within {_BOUND_SECONDS} s of failure {len(gaps) + 1}")
            stopping.cancel()
        lost, duplicates = await _audit(queue, stream.confirmed)
    return [
        Result(f"{name}_ms_median", median(gaps), "ms"),
        Result(f"{name}_ms_max", max(gaps), "ms"),
        Result(f"{name}_lost", lost, "messages"),
        Result(f"{name}_duplicates", duplicates, "messages"),
    ]


async def _kill_once(cluster: LocalCluster, victim: int, stream: Stream) -> float:
    """Seconds from the kill to the next confirm; the killed node is back at the end."""
    killed = trio.current_time()
    cluster.kill(victim, signal.SIGKILL)
    gap = await stream.wait_confirm_of_publish_after(killed) - killed
    await cluster.restart(victim)
    await cluster.wait_ready()
    return gap


async def _stop_once(cluster: LocalCluster, victim: int, stream: Stream) -> float:
    """Seconds from SIGSTOP to the next confirm; the node goes on at the end, whatever happens."""
    stopped = trio.current_time()
    cluster.kill(victim, signal.SIGSTOP)
    try:
        gap = await stream.wait_confirm_of_publish_after(stopped) - stopped
    finally:
        cluster.kill(victim, signal.SIGCONT)
    await cluster.wait_ready()
    return gap


async def _audit(queue: "haqactor.Queue", confirmed: list[bytes]) -> tuple[int, int]:
    """How many confirmed messages are gone, and how many are stored under two places."""
    places: dict[bytes, int] = {}
    duplicates = 0
    async with queue.consume_batches(credit=10_000) as batches, trio.open_nursery() as settling:
        while True:
            batch = None
            with trio.move_on_after(1):
                batch = await batches.receive()
            if batch is None:
                info = await queue.info()
                if info.ready == info.leased == info.delayed == 0:
                    break
                continue
            for message in batch.messages:
                if places.setdefault(message.body, message.seq) != message.seq:
                    duplicates += 1
            settling.start_soon(batch.ack)
    return sum(body not in places for body in confirmed), duplicates
