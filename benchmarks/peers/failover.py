"""A peer's leader is killed with -9, or stopped with SIGSTOP, again and again, as ``benchmarks.failover``
does it.

One rule: what counts is the first confirm of a publish that began after the signal, by the clock that all
processes share; one that was on its way does not.
"""

import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from benchmarks.bodies import random_bodies
from benchmarks.peers import places
from benchmarks.peers.cluster import Cluster
from benchmarks.peers.jobs import Bodies, Driver, arguments, parse, written
from benchmarks.result import QUICK, BenchmarkWrong, Result, median

KILLS: Final = 2 if QUICK else 5
STOPS: Final = 1 if QUICK else 3
_QUEUE: Final = "failover"
_SETTLE_CONFIRMS: Final = 100
_BODIES: Final = 1_000_000
_BODY_BYTES: Final = 16
_BOUND_S: Final = 120.0
Once = Callable[[Cluster, "Stream"], Awaitable[float]]


@dataclass(slots=True)
class Stream:
    """What a client's endless single publishes tell: the newest one's beginning and confirm, in nanoseconds,
    and how many there were. ``rest``: its last line."""

    confirmed: int = 0
    begun_ns: int = 0
    confirmed_ns: int = 0
    rest: str = ""
    news: trio.Event = field(default_factory=trio.Event)

    def take(self, line: str) -> None:
        """A line of two moments, or the result."""
        if line.startswith("{"):
            self.rest = line
        else:
            begun, confirmed = line.split()
            self.begun_ns, self.confirmed_ns = int(begun), int(confirmed)
            self.confirmed += 1
        self.news.set()
        self.news = trio.Event()

    async def read(self, output: trio.abc.ReceiveStream) -> None:
        """Every line, to the end."""
        kept = b""
        async for data in output:
            *lines, kept = (kept + data).split(b"\n")
            for line in lines:
                self.take(line.decode())

    async def wait_more(self, count: int) -> None:
        """Until ``count`` more are confirmed."""
        goal = self.confirmed + count
        while self.confirmed < goal:
            await self.news.wait()

    async def wait_confirm_of_publish_after(self, moment_ns: int) -> int:
        """When the first confirm came of a publish begun after the moment."""
        while self.begun_ns < moment_ns:
            await self.news.wait()
        return self.confirmed_ns


async def kills(driver: Driver, scale: float) -> list[Result]:
    """``failover_ms_median`` and ``_max``, and what was lost or stored twice. Raises BenchmarkWrong."""
    return await _again_and_again(driver, "failover", _times(KILLS, scale), _kill_once)


async def stops(driver: Driver, scale: float) -> list[Result]:
    """The same with leaders that are stopped and go on later, ``failover_stop_*``."""
    return await _again_and_again(driver, "failover_stop", _times(STOPS, scale), _stop_once)


def _times(full: int, scale: float) -> int:
    return max(1, round(full * min(1.0, scale)))


async def _again_and_again(driver: Driver, name: str, times: int, once: Once) -> list[Result]:
    gaps: list[float] = []
    stream = Stream()
    await driver.declare(_QUEUE)
    async with written(random_bodies(_BODIES, _BODY_BYTES)) as bodies:
        job = arguments({"queue": _QUEUE, **bodies.arguments()})
        async with trio.open_nursery() as nursery:
            command = [*driver.peer.command(driver.cluster, "stream", driver.first), *job]
            process: trio.Process = await nursery.start(spawn, command)
            assert process.stdout is not None
            assert process.stdin is not None
            nursery.start_soon(stream.read, process.stdout)
            for number in range(times):
                with trio.move_on_after(_BOUND_S) as scope:
                    gaps.append(await once(driver.cluster, stream))
                if scope.cancelled_caught:
                    raise BenchmarkWrong(f"no confirm within {_BOUND_S:g} s of failure {number + 1}")
            await process.stdin.aclose()
            await process.wait()
        sent = Bodies(bodies.path, parse(stream.rest)["confirmed"], bodies.size)
        await driver.find(_QUEUE)
        found = await driver.run("consume", _QUEUE, sent, audit=1)
    return [
        Result(f"{name}_ms_median", median(gaps), "ms"),
        Result(f"{name}_ms_max", max(gaps), "ms"),
        Result(f"{name}_lost", found["lost"], "messages"),
        Result(f"{name}_duplicates", found["duplicates"], "messages"),
    ]


async def spawn(command: list[str], task_status: trio.TaskStatus[trio.Process]) -> None:
    """The client, killed if this is cancelled. Raises BenchmarkWrong where it fails."""
    pipe = subprocess.PIPE
    done: Any = await trio.run_process(
        command,
        cwd=places.ROOT,
        stdin=pipe,
        stdout=pipe,
        capture_stderr=True,
        check=False,
        task_status=task_status,
    )
    if done.returncode != 0:
        raise BenchmarkWrong(f"the client: {done.stderr.decode(errors='replace').strip()}")


async def _kill_once(cluster: Cluster, stream: Stream) -> float:
    """Milliseconds from the kill to the next confirm; the killed node is back at the end."""
    await stream.wait_more(_SETTLE_CONFIRMS)
    victim = await cluster.leader(_QUEUE)
    killed = victim.kill()
    gap = await stream.wait_confirm_of_publish_after(killed) - killed
    victim.start()
    await cluster.wait_whole(_QUEUE)
    return gap / 1e6


async def _stop_once(cluster: Cluster, stream: Stream) -> float:
    """Milliseconds from SIGSTOP to the next confirm; the node goes on at the end, whatever happens."""
    await stream.wait_more(_SETTLE_CONFIRMS)
    victim = await cluster.leader(_QUEUE)
    stopped = victim.pause()
    try:
        gap = await stream.wait_confirm_of_publish_after(stopped) - stopped
    finally:
        victim.go_on()
    await cluster.wait_whole(_QUEUE)
    return gap / 1e6
