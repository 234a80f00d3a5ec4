"""How long one publish waits for its confirm at a fixed rate: 100 a second, where there is little to do,
beside what it could be at all; 1,000 and 10,000 a second.

One rule: a publish starts when its time has come, whether or not the one before it is confirmed, and its wait
is counted from that time, not from when this program came to it; so no wait is hidden.
"""

import time
from typing import Final

import trio

import haqactor
from benchmarks import floor
from benchmarks.bodies import kept
from benchmarks.clusters import OUT, drain, started
from benchmarks.result import QUICK, Result
from haqactor.runtime.real.pace import Pace

RATE: Final = 100
RATES: Final = {
    RATE: 500 if QUICK else 2_000,
    1_000: 3_000 if QUICK else 20_000,
    10_000: 20_000 if QUICK else 100_000,
}
"""A second, and how many of them are measured."""
WARM: Final = 100
PARTS: Final = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
_LEAD_S: Final = 0.1


def name_of(rate: int) -> str:
    """The beginning of the names of a rate's figures; those of 100 a second are the oldest."""
    return "confirm" if rate == RATE else f"confirm_{rate}"


def percentiles(name: str, waits_s: list[float], parts: tuple[str, ...] = tuple(PARTS)) -> list[Result]:
    """``NAME_p50_ms`` and so on, of waits in any order."""
    ordered = sorted(waits_s)
    return [
        Result(
            f"{name}_{part}_ms", ordered[min(len(ordered) - 1, int(len(ordered) * PARTS[part]))] * 1e3, "ms"
        )
        for part in parts
    ]


async def confirm_latency() -> list[Result]:
    """``confirm_p50_ms``, ``_p99_ms`` and ``_p999_ms``, and the floor under the first two, half of it
    measured before and half after.
    """
    limit = await _floor()
    found = await _at(RATE)
    return [*found, *percentiles("confirm_floor", limit + await _floor(), ("p50", "p99"))]


async def confirm_latency_1000() -> list[Result]:
    """``confirm_1000_p50_ms``, ``_p99_ms``, ``_p999_ms``."""
    return await _at(1_000)


async def confirm_latency_10000() -> list[Result]:
    """``confirm_10000_p50_ms``, ``_p99_ms``, ``_p999_ms``."""
    return await _at(10_000)


async def _at(rate: int) -> list[Result]:
    count = RATES[rate]
    async with (
        kept(count + WARM, 100) as bodies,
        started() as cluster,
        haqactor.connect(cluster.url) as broker,
    ):
        queue = await broker.declare("latency")
        async with broker.producer("benchmark") as producer:
            for body in bodies[:WARM]:
                await producer.publish("latency", body)
            waits = await _paced(producer, bodies[WARM:], rate)
        await drain(queue, bodies)
    return percentiles(name_of(rate), waits)


async def _paced(producer: "haqactor.Producer", bodies: list[bytes], rate: int) -> list[float]:
    """Seconds from the time of each to its confirm."""
    waits: list[float] = []

    async def one(body: bytes, due: float) -> None:
        await producer.publish("latency", body)
        waits.append(time.monotonic() - due)

    started_ones = 0
    with Pace(rate, _LEAD_S) as pace:
        async with trio.open_nursery() as nursery:
            while started_ones < len(bodies):
                for number in await pace.wait():
                    if number < len(bodies):
                        nursery.start_soon(one, bodies[number], pace.due_s(number))
                        started_ones += 1
    return waits


async def _floor() -> list[float]:
    OUT.mkdir(exist_ok=True)
    return await trio.to_thread.run_sync(floor.confirm_waits, RATES[RATE] // 4, RATE, OUT)
