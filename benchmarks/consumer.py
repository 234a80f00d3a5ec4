"""``python -m benchmarks.consumer URL QUEUE COUNT``: consume and acknowledge in a process of its own, as
programs do; beside a producer in one process it would wait for that one, not for the cluster.

One rule: each line that it writes is a number: of messages that it settled since the last one. The last line
comes when all of them are confirmed.
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


async def consume(url: str, queue: str, count: int) -> None:
    """``count`` messages; 0: until it is killed."""
    settled = told = 0

    def tell() -> None:
        nonlocal told
        if settled > told:
            print(settled - told, flush=True)
            told = settled

    async def keep_telling() -> None:
        while True:
            await trio.sleep(_TELL_S)
            tell()

    async with haqactor.connect(url) as broker:
        async with (
            broker.queue(queue).consume_batches(credit=CREDIT) as batches,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(keep_telling)
            async for batch in batches:
                more = len(batch.messages)
                async with batch:
                    pass
                settled += more
                if 0 < count <= settled:
                    nursery.cancel_scope.cancel()
        tell()


@asynccontextmanager
async def consuming(
    url: str, queue: str, settled: Callable[[int], None], count: int = 0
) -> AsyncGenerator[None]:
    """Have a process consume the queue meanwhile; ``settled`` is told of what it acknowledged. ``count``: see
    ``consume``."""
    command = [sys.executable, "-m", "benchmarks.consumer", url, queue, str(count)]
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
    trio.run(consume, sys.argv[1], sys.argv[2], int(sys.argv[3]))
