"""The rows of a peer: what ``benchmarks/`` measures of haqactor, of a peer, by the same names.

One rule: each row has a fresh cluster, and nothing else runs while it is measured.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio

from benchmarks.footprint import written as written_bytes
from benchmarks.latency import RATE, RATES, WARM, name_of, percentiles
from benchmarks.peers import failover, restarts
from benchmarks.peers.cluster import Cluster, laid_out, start
from benchmarks.peers.jobs import Bodies, Driver, employee_file, random_file
from benchmarks.peers.registry import PEERS, Peer, Purpose
from benchmarks.result import QUICK, BenchmarkWrong, Result, median

RUNS: Final = 1 if QUICK else 3
_MANY: Final = 50_000 if QUICK else 200_000
_KIB: Final = 15_000 if QUICK else 60_000
_64KIB: Final = 1_000 if QUICK else 3_000
_PYTHON: Final = 10_000 if QUICK else 40_000
_QUEUED: Final = 1_000_000
_RECORDS: Final = 100_000 if QUICK else 200_000
_QUEUES: Final = 1_000
_STARTS: Final = 1 if QUICK else 3
_IDLE_S: Final = 2.0
_LEAST: Final = 100
_LARGE: Final = {"window": 256, "credit": 256}  # 16 MiB each way; servers bound what they hold for a client
_OWN_BATCHES: Final = {"batches": 1}

Program = Callable[[Peer, float], Awaitable[list[Result]]]


def _count(peer: Peer, count: int, scale: float) -> int:
    return max(_LEAST, round(count * peer.share * scale))


@asynccontextmanager
async def running(peer: Peer, purpose: Purpose = "load") -> AsyncGenerator[Driver]:
    """A fresh cluster that serves, and the peer's clients on it."""
    async with laid_out(lambda directory: peer.make(directory, purpose)) as cluster:
        await start(cluster)
        yield Driver(peer, cluster)


def _own(peer: Peer) -> dict[str, int]:
    """Asks for the peer's own batches, where that makes a difference."""
    return {} if peer.single_is_same else _OWN_BATCHES


async def _publish(
    peer: Peer, name: str, bodies: Bodies, settings: dict[str, int], *, same: str = ""
) -> list[Result]:
    """The clock stops at the last confirm; then everything is consumed and compared."""
    rates: list[float] = []
    async with running(peer) as driver:
        for number in range(RUNS):
            queue = f"run-{number}"
            await driver.declare(queue)
            found = await driver.run("publish", queue, bodies, **settings)
            rates.append(bodies.count / found["seconds"])
            await _drain(driver, queue, bodies)
    return [Result(each, median(rates), "msg/s") for each in (name, same) if each]


async def _drain(driver: Driver, queue: str, bodies: Bodies) -> float:
    """Everything arrives and is acknowledged, nothing twice; how long that takes. Raises BenchmarkWrong."""
    found = await driver.run("consume", queue, bodies)
    _check(found)
    seconds: float = found["seconds"]
    return seconds


def _check(found: dict[str, Any]) -> None:
    if found["duplicates"]:
        raise BenchmarkWrong(f"{found['duplicates']} messages were stored twice")


async def _end_to_end(
    peer: Peer, name: str, bodies: Bodies, settings: dict[str, int], *, same: str = "", cpu: bool = False
) -> list[Result]:
    """Published, consumed and acknowledged at once."""
    rates: list[float] = []
    spent: list[float] = []
    async with running(peer) as driver:
        for number in range(RUNS):
            queue = f"run-{number}"
            await driver.declare(queue)
            before = _cpu_s(driver.cluster)
            found = await driver.run("both", queue, bodies, **settings)
            spent.append((_cpu_s(driver.cluster) - before) / bodies.count * 1e6)
            rates.append(bodies.count / found["seconds"])
            _check(found)
    results = [Result(each, median(rates), "msg/s") for each in (name, same) if each]
    if cpu:
        results.append(Result("broker_cpu_s_per_1M", median(spent), "s"))
    return results


def _cpu_s(cluster: Cluster) -> float:
    return sum(server.cpu_s() for server in cluster.servers)


async def publish_100b(peer: Peer, scale: float) -> list[Result]:
    """``publish_100B``, and ``_single`` where that is the same."""
    same = "publish_100B_single" if peer.single_is_same else ""
    async with random_file(_count(peer, _MANY, scale), 100) as bodies:
        return await _publish(peer, "publish_100B", bodies, _own(peer), same=same)


async def publish_100b_single(peer: Peer, scale: float) -> list[Result]:
    """``publish_100B_single``, where it is another one."""
    if peer.single_is_same:
        return await publish_100b(peer, scale)
    async with random_file(_count(peer, _MANY, scale), 100) as bodies:
        return await _publish(peer, "publish_100B_single", bodies, {})


async def end_to_end_100b(peer: Peer, scale: float) -> list[Result]:
    """``end_to_end_100B`` and what it costs the brokers, and ``_single`` where that is the same."""
    same = "end_to_end_100B_single" if peer.single_is_same else ""
    async with random_file(_count(peer, _MANY, scale), 100) as bodies:
        return await _end_to_end(peer, "end_to_end_100B", bodies, _own(peer), same=same, cpu=True)


async def end_to_end_100b_single(peer: Peer, scale: float) -> list[Result]:
    """``end_to_end_100B_single``, where it is another one."""
    if peer.single_is_same:
        return await end_to_end_100b(peer, scale)
    async with random_file(_count(peer, _MANY, scale), 100) as bodies:
        return await _end_to_end(peer, "end_to_end_100B_single", bodies, {})


async def end_to_end_1kib(peer: Peer, scale: float) -> list[Result]:
    """``end_to_end_1KiB``."""
    async with random_file(_count(peer, _KIB, scale), 1024) as bodies:
        return await _end_to_end(peer, "end_to_end_1KiB", bodies, _own(peer))


async def end_to_end_64kib(peer: Peer, scale: float) -> list[Result]:
    """``end_to_end_64KiB``."""
    settings = {**_own(peer), **_LARGE}
    async with random_file(_count(peer, _64KIB, scale), 64 * 1024) as bodies:
        return await _end_to_end(peer, "end_to_end_64KiB", bodies, settings)


async def publish_await(peer: Peer, scale: float) -> list[Result]:
    """``publish_await``: a Python client."""
    async with random_file(_count(peer, _PYTHON, scale), 100) as bodies:
        return await _publish(peer, "publish_await", bodies, {})


async def consume_each(peer: Peer, scale: float) -> list[Result]:
    """``consume_each``: a Python client; the queue is filled first."""
    rates: list[float] = []
    async with random_file(_count(peer, _PYTHON, scale), 100) as bodies, running(peer) as driver:
        for number in range(RUNS):
            queue = f"run-{number}"
            await driver.declare(queue)
            await driver.run("publish", queue, bodies)
            rates.append(bodies.count / await _drain(driver, queue, bodies))
    return [Result("consume_each", median(rates), "msg/s")]


async def latency(peer: Peer, scale: float, rate: int = RATE) -> list[Result]:
    """``confirm_p50_ms``, ``_p99_ms`` and ``_p999_ms``, or those of another rate."""
    count = max(_LEAST, round(RATES[rate] * scale)) + WARM
    async with random_file(count, 100) as bodies, running(peer, "latency") as driver:
        await driver.declare("latency")
        found = await driver.run("latency", "latency", bodies, rate=rate, warm=WARM)
        await _drain(driver, "latency", bodies)
    waits: list[float] = found["waits_ms"]
    return percentiles(name_of(rate), [wait / 1e3 for wait in waits])


async def losing_leaders(peer: Peer, scale: float) -> list[Result]:
    """``failover_ms_median`` and the others."""
    async with running(peer, "failover") as driver:
        return await failover.kills(driver, scale)


async def silent_leaders(peer: Peer, scale: float) -> list[Result]:
    """``failover_stop_ms_median`` and the others."""
    async with running(peer, "failover") as driver:
        return await failover.stops(driver, scale)


async def restart_all(peer: Peer, scale: float) -> list[Result]:
    """``restart_clean_1M_s`` and ``restart_crash_1M_s``."""
    async with random_file(_count(peer, _QUEUED, scale), 100) as bodies, running(peer) as driver:
        return await restarts.measure(driver, bodies, _own(peer))


async def start_up(peer: Peer, _scale: float) -> list[Result]:
    """``start_s``: three fresh nodes to the first confirm; ``rss_idle_mb`` after two idle seconds."""
    seconds: list[float] = []
    idle = 0.0
    async with random_file(1, 100) as bodies:
        for _ in range(_STARTS):
            async with laid_out(lambda directory: peer.make(directory, "load")) as cluster:
                driver = Driver(peer, cluster)
                begun = trio.current_time()
                await start(cluster)
                await driver.run("declare", "first", anywhere=1)
                await driver.run("publish", "first", bodies)
                seconds.append(trio.current_time() - begun)
                await driver.find("first")
                await _drain(driver, "first", bodies)
                await trio.sleep(_IDLE_S)
                idle = _resident_mb(cluster)
    return [Result("start_s", median(seconds), "s"), Result("rss_idle_mb", idle, "MB")]


def _resident_mb(cluster: Cluster) -> float:
    return max(server.resident_mb() for server in cluster.servers)


async def memory(peer: Peer, scale: float) -> list[Result]:
    """``rss_1M_mb``: the highest of the three with a million messages of 100 bytes queued."""
    async with random_file(_count(peer, _QUEUED, scale), 100) as bodies, running(peer) as driver:
        await driver.declare("million")
        await driver.run("publish", "million", bodies, **_own(peer))
        used = _resident_mb(driver.cluster)
        await _drain(driver, "million", bodies)
    return [Result("rss_1M_mb", used, "MB")]


async def disk(peer: Peer, scale: float) -> list[Result]:
    """``disk_bytes_per_message``: as haqactor's, the most that one of the three wrote."""
    async with employee_file(_count(peer, _RECORDS, scale)) as bodies, running(peer) as driver:
        await driver.declare("records")
        before = [written_bytes(server.directory) for server in driver.cluster.servers]
        await driver.run("publish", "records", bodies, **_own(peer))
        after = [written_bytes(server.directory) for server in driver.cluster.servers]
        await _drain(driver, "records", bodies)
    used = max(new - old for new, old in zip(after, before, strict=True))
    return [Result("disk_bytes_per_message", used / bodies.count, "B")]


async def queues(peer: Peer, scale: float) -> list[Result]:
    """``declare_1000_queues_s``, and by how much the largest node grew: ``rss_1000_queues_mb``."""
    async with running(peer) as driver:
        await driver.declare("first")
        servers = driver.cluster.servers
        before = [server.resident_mb() for server in servers]
        count = max(1, round(_QUEUES * scale))
        found = await driver.run("declare", "queue", count=count)
        grown = max(server.resident_mb() - old for server, old in zip(servers, before, strict=True))
    return [
        Result("declare_1000_queues_s", found["seconds"], "s"),
        Result("rss_1000_queues_mb", grown, "MB"),
    ]


PROGRAMS: Final[dict[str, tuple[tuple[str, ...], Program]]] = {
    "publish": (("publish_100B",), publish_100b),
    "end-to-end": (("end_to_end_100B", "broker_cpu_s_per_1M"), end_to_end_100b),
    "publish-single": (("publish_100B_single",), publish_100b_single),
    "end-to-end-single": (("end_to_end_100B_single",), end_to_end_100b_single),
    "end-to-end-1KiB": (("end_to_end_1KiB",), end_to_end_1kib),
    "end-to-end-64KiB": (("end_to_end_64KiB",), end_to_end_64kib),
    "publish-await": (("publish_await",), publish_await),
    "consume-each": (("consume_each",), consume_each),
    "latency": (("confirm_p50_ms", "confirm_p99_ms", "confirm_p999_ms"), latency),
    **{
        f"latency-{rate}": (
            tuple(f"confirm_{rate}_{part}_ms" for part in ("p50", "p99", "p999")),
            partial(latency, rate=rate),
        )
        for rate in (1_000, 10_000)
    },
    "failover": (
        ("failover_ms_median", "failover_ms_max", "failover_lost", "failover_duplicates"),
        losing_leaders,
    ),
    "failover-stop": (
        ("failover_stop_ms_median", "failover_stop_ms_max", "failover_stop_lost", "failover_stop_duplicates"),
        silent_leaders,
    ),
    "start": (("start_s", "rss_idle_mb"), start_up),
    "memory": (("rss_1M_mb",), memory),
    "disk": (("disk_bytes_per_message",), disk),
    "restart-all": (("restart_clean_1M_s", "restart_crash_1M_s"), restart_all),
    "queues": (("declare_1000_queues_s", "rss_1000_queues_mb"), queues),
}
"""A row's name to its figures, and what measures them; the names are those of ``benchmarks.programs``."""


def program_of(row: str) -> str:
    """The row that a name means: its own, or that of one of its figures. Raises KeyError."""
    for name, (figures, _) in PROGRAMS.items():
        if row == name or row in figures:
            return name
    raise KeyError(row)


async def measure(peer: str, row: str, *, scale: float = 1.0) -> list[Result] | None:
    """One row (or one of its figures) of one peer, all its figures; None where the peer has no such row or is
    not installed. ``scale``: of the number of messages, for a look at whether it works.

    Raises KeyError for an unknown name, BenchmarkWrong where what arrived is not what was sent."""
    entrant, program = PEERS[peer], program_of(row)
    if program not in entrant.programs or entrant.missing():
        return None
    results: list[Any] = await PROGRAMS[program][1](entrant, scale)
    return results
