"""``haq bench``: how fast a cluster is: that of a URL, or a throw-away one of three nodes on this machine.

One rule: nothing is left behind: each load has a queue of its own, which is deleted at the end whatever
happens, and a cluster that was started here is stopped and its directory deleted.
"""

import os
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import trio

from haqactor.cli.bench_load import LOADS, NUMBER_BYTES, SECONDS, Load, Measured, Shape
from haqactor.cli.command import Command, output_option
from haqactor.cli.launcher import LocalCluster, free_base_port
from haqactor.cli.output import Step, plain, print_json, print_table, progress, say
from haqactor.cli.sim_options import Span
from haqactor.errors import Error

if TYPE_CHECKING:
    from haqactor.client.broker import Broker

_NODES: Final = 3
_STOP_S: Final = 5.0
_CLEAN_S: Final = 5.0
_LOOK_S: Final = 0.2
_MOST: Final = 64 * 1024 * 1024
_SHOWN: Final = {
    "what": "what",
    "messages": "messages",
    "seconds": "s",
    "messages_per_s": "msg/s",
    "mb_per_s": "MB/s",
    "confirm_p50_ms": "p50 ms",
    "confirm_p99_ms": "p99 ms",
    "confirm_p999_ms": "p99.9 ms",
}


@click.command(
    cls=Command,
    examples=(
        "haq bench",
        "haq bench --url haq://127.0.0.1:7420 --only publish --size 1024 --producers 10",
        "haq bench --only latency --rate 1000 --for 30s -o json | jq '.results[0].confirm_p99_ms'",
    ),
)
@click.option("--only", multiple=True, type=click.Choice(list(LOADS)), help="Some of the loads; repeatable.")
@click.option(
    "--size",
    type=click.IntRange(NUMBER_BYTES, _MOST),
    default=100,
    show_default=True,
    help="Bytes of a message.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="Messages in one publish; 1: single publishes.",
)
@click.option(
    "--producers",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Named sessions that publish at once; they share one connection.",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=32,
    show_default=True,
    help="Publishes of a producer that wait for their confirms.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 100_000),
    default=100.0,
    show_default=True,
    help="Single publishes a second, for latency.",
)
@click.option("--count", type=click.IntRange(1), help="End each load after so many messages.")
@click.option(
    "--for", "seconds", type=Span(), help="End publishing after that long, as 10s or 2m.  [default: 5s]"
)
@click.option(
    "--url",
    envvar="HAQ_URL",
    show_envvar=True,
    help="Any nodes of the cluster; without it, three nodes are started below this directory.",
)
@output_option
def bench(
    only: tuple[str, ...],
    count: int | None,
    seconds: float | None,
    url: str | None,
    output: str,
    **shape: Any,
) -> None:
    """Measure publishing, end to end (published, consumed, acknowledged) and the latency of single publishes
    at a fixed rate. Every message is checked; the p50 and so on are of the wait for a confirm.
    """
    if count is not None and seconds is not None:
        raise click.UsageError("give --count or --for, not both")
    wanted = Shape(**shape, messages=count, seconds=seconds or SECONDS)
    names = [name for name in LOADS if not only or name in only]
    found = trio.run(_bench, url, names, wanted)
    if output == "json":
        print_json({"url": url, **plain(wanted), "results": found})
        return
    rows = [[getattr(each, name) for name in _SHOWN] for each in found]
    print_table(list(_SHOWN.values()), rows, title=_title(wanted, url))


def _title(shape: Shape, url: str | None) -> str:
    where = "three nodes on this machine" if url is None else url
    load = f"{shape.size} B, {shape.batch} at once, {shape.producers} x {shape.in_flight} in flight"
    return f"{where}\n{load}; latency at {shape.rate:g}/s"


async def _bench(url: str | None, names: list[str], shape: Shape) -> list[Measured]:
    from haqactor.runtime.remote import connect

    found: list[Measured] = []
    async with _cluster(url) as where, connect(where) as broker, connect(where) as consumer:
        for name in names:
            found.append(await _measure(name, shape, broker, consumer))
    return found


async def _measure(name: str, shape: Shape, broker: "Broker", consumer: "Broker") -> Measured:
    """On a queue of its own. One connection publishes, another one consumes."""
    load = Load(shape)
    expected = shape.messages
    if name == "latency" and expected is None:
        expected = round(shape.rate * shape.seconds)
    queue = f"haq-bench.{os.getpid()}.{time.time_ns()}"
    await broker.declare(queue)
    try:
        with progress(name, expected) as step:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, load, step)
                measured: Measured = await LOADS[name](load, broker, consumer.queue(queue))
                nursery.cancel_scope.cancel()
        return measured
    finally:
        await _delete(broker, queue)


async def _watch(load: Load, step: Step) -> None:
    """Now and then, so that drawing the bar is no part of what is measured."""
    shown = 0
    while True:
        await trio.sleep(_LOOK_S)
        step(load.confirmed - shown)
        shown = load.confirmed


async def _delete(broker: "Broker", queue: str) -> None:
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLEAN_S) as scope:
        try:
            await broker.delete_queue(queue)
        except Error as error:
            say(f"haq: {queue} is not deleted: {error}")
    if scope.cancelled_caught:
        say(f"haq: {queue} is not deleted: no answer within {_CLEAN_S:g} s")


@asynccontextmanager
async def _cluster(url: str | None) -> AsyncGenerator[str]:
    """Where to connect; a throw-away cluster if nothing is named, on the disk of the working directory."""
    if url is not None:
        yield url
        return
    directory = Path.cwd() / f"haq-bench.{os.getpid()}"
    cluster = LocalCluster.found(directory, _NODES, await free_base_port(_NODES), {"log_level": "warning"})
    try:
        await cluster.start()
        yield cluster.url
    finally:
        cluster.stop(_STOP_S)
        shutil.rmtree(directory, ignore_errors=True)
