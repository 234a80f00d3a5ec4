"""How long one publish waits for its confirm when there is little to do: 100 a second, at even times; beside
what it could be at all.

One rule: a publish starts when its time has come, whether or not the one before it is confirmed; so no wait
is hidden.
"""

from typing import Final

import trio

import haqactor
from benchmarks import floor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import OUT, drain, started
from benchmarks.result import QUICK, Result

RATE: Final = 100
_COUNT: Final = 600 if QUICK else 3_000
_WARM: Final = 100


async def confirm_latency() -> list[Result]:
    """``confirm_p50_ms`` and ``confirm_p99_ms``, and the floor under them, half of it measured before and
    half after.
    """
    limit = await _floor()
    bodies = random_bodies(_COUNT + _WARM, 100)
    waits: list[float] = []

    async def one(producer: "haqactor.Producer", body: bytes, at: float) -> None:
        await producer.publish("latency", body)
        waits.append(trio.current_time() - at)

    async with started() as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("latency")
        async with broker.producer("benchmark") as producer:
            for body in bodies[:_WARM]:
                await producer.publish("latency", body)
            start = trio.current_time() + 0.1
            async with trio.open_nursery() as nursery:
                for number, body in enumerate(bodies[_WARM:]):
                    await trio.sleep_until(start + number / RATE)
                    nursery.start_soon(one, producer, body, trio.current_time())
        await drain(queue, bodies)
    waits.sort()
    limit = sorted(limit + await _floor())
    return [
        Result(f"{name}_p{percent}_ms", found[len(found) * percent // 100] * 1e3, "ms")
        for name, found in (("confirm", waits), ("confirm_floor", limit))
        for percent in (50, 99)
    ]


async def _floor() -> list[float]:
    OUT.mkdir(exist_ok=True)
    return await trio.to_thread.run_sync(floor.confirm_waits, _COUNT // 4, RATE, OUT)
