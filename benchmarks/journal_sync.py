"""How fast each way of syncing makes a journal's writes durable, with the trio loop idle and 100 % busy.

One rule: the saturated loop decides, for that is when the journal is needed most. Each measurement runs in a
process of its own, as the switch interval and the timer slack belong to a process.

    python -m benchmarks.journal_sync [--seconds 3] [--directory DIR]
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Final, Protocol

import trio

from benchmarks.native_aio import AioSyncer
from haqactor.env import Buffer
from haqactor.runtime.real.disk import RealDisk
from haqactor.runtime.real.fd import write_all
from haqactor.runtime.real.syncing import Sync

SEGMENT: Final = 16 << 20
HEADER: Final = b"h" * 64
TURN_S: Final = (50e-6, 200e-6)
"""How long the busy task holds the loop in each turn."""
WAYS: Final = (
    "to_thread",
    "thread",
    "thread, fair",
    "yield",
    "process",
    "process, fair",
    "aio",
    "inline",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. Rates are per second, latencies in milliseconds, ``cpu`` in cores of this process."""

    commits: float
    p50_ms: float
    p99_ms: float
    turns: float
    cpu: float


class Commit(Protocol):
    """Writes and syncs."""

    async def __call__(self, offset: int, buffers: Sequence[Buffer]) -> None: ...


async def _commit(way: str, path: str) -> Commit:
    name, _, fair = way.partition(", ")
    sync: Sync = "inline"
    for candidate in ("process", "thread", "yield"):
        if candidate == name:
            sync = candidate
    disk = RealDisk(sync=sync, fair_threads=bool(fair))
    file = await disk.allocate(path, SEGMENT)
    if name not in ("to_thread", "aio"):
        return file.write_durable
    fd = os.open(path, os.O_RDWR)
    if name == "aio":
        aio = AioSyncer()

        async def by_aio(offset: int, buffers: Sequence[Buffer]) -> None:
            await trio.lowlevel.checkpoint_if_cancelled()
            with trio.CancelScope(shield=True):
                await aio.write_and_sync(fd, offset, buffers)

        return by_aio

    async def by_to_thread(offset: int, buffers: Sequence[Buffer]) -> None:
        def both() -> None:
            write_all(fd, offset, buffers)
            os.fdatasync(fd)

        await trio.to_thread.run_sync(both)

    return by_to_thread


async def _measure(way: str, path: str, *, saturated: bool, seconds: float, size: int) -> Row:
    commit = await _commit(way, path)
    data = [HEADER, bytes(size - len(HEADER))]
    for number in range(20):
        await commit(number * size, data)
    took: list[float] = []
    turns = 0

    async def journal() -> None:
        offset = 0
        while True:
            start = perf_counter()
            await commit(offset, data)
            took.append(perf_counter() - start)
            offset = (offset + size) % (SEGMENT - size)

    async def busy() -> None:
        nonlocal turns
        chance = random.Random(1)
        while True:
            end = perf_counter() + chance.uniform(*TURN_S)
            while perf_counter() < end:
                pass
            turns += 1
            await trio.lowlevel.checkpoint()

    before = resource.getrusage(resource.RUSAGE_SELF)
    start = perf_counter()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal)
            if saturated:
                nursery.start_soon(busy)
    elapsed = perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cuts = quantiles(took, n=100) if len(took) > 1 else took * 99
    return Row(len(took) / elapsed, cuts[49] * 1e3, cuts[98] * 1e3, turns / elapsed, cpu / elapsed)


def _in_own_process(way: str, load: str, seconds: float, size: int, directory: str) -> Row:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        command = [sys.executable, "-m", "benchmarks.journal_sync", "--one", way, "--load", load]
        command += ["--seconds", str(seconds), "--size", str(size), "--directory", folder]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Row(**json.loads(answer.stdout))


def main() -> None:
    """Print the table, or measure one way."""
    parser = argparse.ArgumentParser(description="Measure the ways of making a journal's writes durable.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", type=int, default=4096, help="bytes of a commit")
    parser.add_argument("--directory", default=".", help="on the disk to be measured")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--load", choices=("idle", "saturated"), default="idle", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        path = str(Path(given.directory) / "segment")
        row = trio.run(
            lambda: _measure(
                given.one, path, saturated=given.load == "saturated", seconds=given.seconds, size=given.size
            )
        )
        print(json.dumps(asdict(row)))
        return
    print(f"| {given.size} bytes a commit | load | commits/s | p50 ms | p99 ms | turns/s | CPU, cores |")
    print("|---|---|---|---|---|---|---|")
    for way in WAYS:
        for load in ("idle", "saturated"):
            row = _in_own_process(way, load, given.seconds, given.size, given.directory)
            print(
                f"| {way} | {load} | {row.commits:,.0f} | {row.p50_ms:.2f} | {row.p99_ms:.2f} "
                f"| {row.turns:,.0f} | {row.cpu:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
