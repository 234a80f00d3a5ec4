"""How long one publish waits for its confirm when there is little to do: 100 a second, at even times.

One rule: a publish starts when its time has come, whether or not the one before it is confirmed; so no wait
is hidden.
"""

from typing import Final

import trio

import haqactor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import drain, started
from benchmarks.result import QUICK, Result

RATE: Final = 100
_COUNT: Final = 600 if QUICK else 3_000
_WARM: Final = 100


async def confirm_latency() -> list[Result]:
    """``confirm_p50_ms`` and ``confirm_p99_ms``."""
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
    return [
        Result("confirm_p50_ms", waits[len(waits) // 2] * 1e3, "ms"),
        Result("confirm_p99_ms", waits[len(waits) * 99 // 100] * 1e3, "ms"),
    ]
