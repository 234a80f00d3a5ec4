"""How long a peer that holds a million messages takes to its next confirm, as ``benchmarks.restarts`` does.

One rule: the clock runs from the first process that is started to the confirm of a publish; at the end every
message of the million is still there, once.
"""

from typing import Final

import trio

from benchmarks.bodies import random_bodies
from benchmarks.peers.failover import Stream, spawn
from benchmarks.peers.jobs import Bodies, Driver, arguments, parse, written
from benchmarks.result import QUICK, BenchmarkWrong, Result, median

TIMES: Final = 1 if QUICK else 3
_MILLION: Final = "million"
_AFTER: Final = "after"
_AFTER_BODIES: Final = 20_000
_AFTER_BYTES: Final = 16
_BOUND_S: Final = 300.0


async def measure(driver: Driver, bodies: Bodies, batches: dict[str, int]) -> list[Result]:
    """``restart_clean_1M_s`` and ``restart_crash_1M_s``; each confirm is of a queue beside the million, so
    that the client's stream of single publishes can be used. Raises BenchmarkWrong."""
    clean: list[float] = []
    crash: list[float] = []
    await driver.declare(_MILLION)
    await driver.run("publish", _MILLION, bodies, **batches)
    for _ in range(TIMES):
        for seconds in (clean, crash):
            queue = f"{_AFTER}-{len(clean) + len(crash)}"
            await driver.declare(queue)
            await (_end(driver) if seconds is clean else _kill(driver))
            seconds.append(await _to_confirm(driver, queue))
            await driver.cluster.wait_whole(_MILLION)
    await driver.find(_MILLION)
    found = await driver.run("consume", _MILLION, bodies)
    if found["duplicates"]:
        raise BenchmarkWrong(f"{found['duplicates']} messages were stored twice")
    return [
        Result("restart_clean_1M_s", median(clean), "s"),
        Result("restart_crash_1M_s", median(crash), "s"),
    ]


async def _end(driver: Driver) -> None:
    servers = driver.cluster.servers
    for server in servers:
        server.ask_to_end()
    for server in servers:
        if not await trio.to_thread.run_sync(server.await_end):
            raise BenchmarkWrong(f"node {server.number} does not end by itself")


async def _kill(driver: Driver) -> None:
    for server in driver.cluster.servers:
        server.kill()


async def _to_confirm(driver: Driver, queue: str) -> float:
    """Seconds; what the stream was told to be confirmed is in the queue afterwards."""
    stream = Stream()
    async with written(random_bodies(_AFTER_BODIES, _AFTER_BYTES)) as bodies:
        job = arguments({"queue": queue, **bodies.arguments()})
        async with trio.open_nursery() as nursery:
            begun = trio.current_time()
            for server in driver.cluster.servers:
                server.start()
            command = [*driver.peer.command(driver.cluster, "stream", driver.first), *job]
            process: trio.Process = await nursery.start(spawn, command)
            assert process.stdout is not None
            assert process.stdin is not None
            nursery.start_soon(stream.read, process.stdout)
            with trio.move_on_after(_BOUND_S) as scope:
                await stream.wait_more(1)
            if scope.cancelled_caught:
                raise BenchmarkWrong(f"no confirm within {_BOUND_S:g} s of the restart")
            seconds = trio.current_time() - begun
            await process.stdin.aclose()
            await process.wait()
        await driver.cluster.wait_whole(queue)
        await driver.find(queue)
        sent = Bodies(bodies.path, parse(stream.rest)["confirmed"], bodies.size)
        found = await driver.run("consume", queue, sent, audit=1)
    if found["lost"]:  # one that was sent again may be there twice; those of the million may not
        raise BenchmarkWrong(f"{found['lost']} messages are gone after a restart")
    return seconds
