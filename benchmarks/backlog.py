"""What a long backlog costs those who publish and consume, and what a slow consumer costs its neighbours.

One rule: every message that was ever queued is accounted for at the end, those of the backlog among them.
"""

from typing import Final

import trio

import haqactor
from benchmarks.bodies import kept, random_bodies
from benchmarks.clusters import check_empty, drain, started
from benchmarks.result import QUICK, BenchmarkWrong, Result, check_same, median
from benchmarks.throughput import RUNS, Moved, move, receive_batches, send_batches
from haqactor.cli.launcher import LocalCluster

BACKLOGS: Final = {"0": 0, "100k": 100_000, "1M": 1_000_000}
_MOVED: Final = 100_000 if QUICK else 300_000
_BESIDE: Final = 200_000 if QUICK else 500_000
_SLOW: Final = 20_000
_SLOW_S: Final = 0.01
_SLOW_CREDIT: Final = 1_000
_NAMES: Final = 256


async def backlog() -> list[Result]:
    """``backlog_0``, ``_100k``, ``_1M``: messages of 100 bytes a second, published and as many consumed at
    once, behind so many that wait; ``backlog_of_empty``: the last by the first. ``backlog_*_cpu_s_per_1M``:
    what the nodes took."""
    found: dict[str, Moved] = {}
    async with kept(_MOVED + max(BACKLOGS.values()), 100) as bodies, started() as cluster:
        for name, count in BACKLOGS.items():
            runs = [await _behind(cluster, f"{name}-{run}", count, bodies) for run in range(RUNS)]
            found[name] = sorted(runs, key=lambda each: each.rate)[len(runs) // 2]
    first, *_, last = found.values()
    return [
        *(Result(f"backlog_{name}", each.rate, "msg/s") for name, each in found.items()),
        Result("backlog_of_empty", last.rate / first.rate, "x"),
        *(Result(f"backlog_{name}_cpu_s_per_1M", each.nodes_s, "s") for name, each in found.items()),
    ]


async def _behind(cluster: LocalCluster, name: str, waiting: int, bodies: list[bytes]) -> Moved:
    """The consumer gets the oldest ones first, so the backlog is as long at the end as it was before."""
    old, new = bodies[:waiting], bodies[waiting : waiting + _MOVED]
    async with haqactor.connect(cluster.url) as broker, haqactor.connect(cluster.url) as consumer:
        queue = await broker.declare(name)
        await send_batches(broker, name, old)
        moved, arrived = await move(cluster, broker, consumer.queue(name), new, send_batches, receive_batches)
        rest = await _rest(queue, waiting + len(new) - len(arrived))
        check_same([*old, *new], [*arrived, *rest])
        await check_empty(queue)
        await broker.delete_queue(name)
    return moved


async def _rest(queue: haqactor.Queue, count: int) -> list[bytes]:
    return await receive_batches(queue, count) if count > 0 else []


async def slow_consumer() -> list[Result]:
    """``slow_consumer_beside``: messages of 100 bytes a second, published, consumed and acknowledged on one
    queue, while a consumer of another queue of the same group holds a thousand messages and acknowledges one
    every ten milliseconds; ``slow_consumer_throughput``: that by what it is without, measured before and
    after."""
    alone: list[float] = []
    beside: list[float] = []
    async with (
        kept(_BESIDE, 100) as bodies,
        started() as cluster,
        haqactor.connect(cluster.url) as broker,
        haqactor.connect(cluster.url) as consumer,
        haqactor.connect(cluster.url) as slow,
    ):
        queue = await broker.declare("fast")
        other = await _in_group(broker, (await queue.info()).group)
        waiting = random_bodies(_SLOW, 100)
        await send_batches(broker, other.name, waiting)

        async def rate() -> float:
            fast = consumer.queue(queue.name)
            moved, arrived = await move(cluster, broker, fast, bodies, send_batches, receive_batches)
            check_same(bodies, arrived)
            await check_empty(queue)
            return moved.rate

        await rate()  # the first one finds everything cold
        taken: list[bytes] = []
        for _ in range(RUNS):
            alone.append(await rate())
            async with trio.open_nursery() as nursery:
                await nursery.start(_slowly, slow.queue(other.name), taken)
                beside.append(await rate())
                nursery.cancel_scope.cancel()
            alone.append(await rate())
        if len(set(taken)) != len(taken):
            raise BenchmarkWrong("the slow consumer got an acknowledged message again")
        await drain(other, sorted(set(waiting) - set(taken)))
    return [
        Result("slow_consumer_beside", median(beside), "msg/s"),
        Result("slow_consumer_throughput", median(beside) / median(alone), "x"),
    ]


async def _slowly(
    queue: haqactor.Queue, taken: list[bytes], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Until cancelled. ``taken`` gets each message once its acknowledgement is confirmed."""
    async with queue.consume(credit=_SLOW_CREDIT) as deliveries:
        while True:
            message = await deliveries.receive()
            with trio.CancelScope(shield=True):
                async with message:
                    pass
            taken.append(message.body)
            task_status.started() if len(taken) == 1 else None
            await trio.sleep(_SLOW_S)


async def _in_group(broker: haqactor.Broker, group: int) -> haqactor.Queue:
    """A queue of that group: it shares a leader and a log with the others there."""
    for number in range(_NAMES):
        queue = await broker.declare(f"slow-{number}")
        if (await queue.info()).group == group:
            return queue
    raise BenchmarkWrong(f"none of {_NAMES} queues is in group {group}")
