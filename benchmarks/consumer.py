"""``python -m benchmarks.consumer URL QUEUE``: consume and acknowledge in a process of its own, as programs
do; beside a producer in one process it would wait for that one, not for the cluster.

One rule: each line that it writes is a number: of messages that were acknowledged since the last one.
"""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio

import haqactor

CREDIT: Final = 10_000
_TELL_S: Final = 0.05


async def consume(url: str, queue: str) -> None:
    """Until it is killed."""
    acknowledged = 0

    async def tell() -> None:
        nonlocal acknowledged
        while True:
            await trio.sleep(_TELL_S)
            if acknowledged:
                count, acknowledged = acknowledged, 0
                print(count, flush=True)

    async with (
        haqactor.connect(url) as broker,
        broker.queue(queue).consume_batches(credit=CREDIT) as batches,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(tell)
        async for batch in batches:
            count = len(batch.messages)
            async with batch:
                pass
            acknowledged += count


@asynccontextmanager
async def consuming(url: str, queue: str, settled: Callable[[int], None]) -> AsyncGenerator[None]:
    """Have a process consume the queue meanwhile; ``settled`` is told of what it acknowledged."""
    command = [sys.executable, "-m", "benchmarks.consumer", url, queue]
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        try:
            nursery.start_soon(hear, process, settled)
            yield
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
        nursery.cancel_scope.cancel()


async def hear(process: trio.Process, settled: Callable[[int], None]) -> None:
    """Tell ``settled`` of each number, until the process ends."""
    if process.stdout is None:
        raise RuntimeError("the consumer's output is not a pipe")
    rest = b""
    async with process.stdout:
        async for chunk in process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            settled(sum(map(int, lines)))


if __name__ == "__main__":
    trio.run(consume, sys.argv[1], sys.argv[2])
