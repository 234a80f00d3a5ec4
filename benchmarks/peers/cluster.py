"""What a peer's cluster offers to those who measure it, whichever peer it is.

One rule: three processes on loopback with directories of their own below ``benchmarks/out``; whatever
happens, neither process nor file is left behind.
"""

import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import trio

from benchmarks.clusters import OUT
from benchmarks.peers.processes import Server
from benchmarks.result import BenchmarkWrong

NODES: Final = 3
_LOOK_S: Final = 0.02


class Cluster(Protocol):
    """Three servers of a peer. Laid out by its maker, not started."""

    @property
    def servers(self) -> list[Server]:
        """The three nodes; what they use and hold is what the peer costs."""
        ...

    @property
    def helpers(self) -> list[Server]:
        """Processes that the peer needs besides, in the order in which they start."""
        ...

    def command(self, mode: str, first: int = 0) -> list[str]:
        """The fastest client at hand, and the arguments that tell it of this cluster. ``first``: the server
        that it connects to, if it has a choice."""
        ...

    async def wait_ready(self) -> None:
        """Until all three serve and know of each other, as far as can be seen before a queue is declared."""
        ...

    async def leader(self, queue: str) -> Server:
        """Which of them leads the queue."""
        ...

    async def wait_whole(self, queue: str) -> None:
        """After a restart: until all three serve again and hold the queue, as far as the peer tells."""
        ...


def ports_from(servers: list[Server], first: int) -> str:
    """Where clients connect, in order, beginning with server ``first``."""
    return ",".join(str(server.port) for server in [*servers[first:], *servers[:first]])


@asynccontextmanager
async def laid_out(make: Callable[[Path], Cluster]) -> AsyncGenerator[Cluster]:
    """A cluster that is not started; killed and deleted at the end."""
    OUT.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="peer-", dir=OUT))
    cluster: Cluster | None = None
    try:
        cluster = make(directory)
        yield cluster
    finally:
        if cluster is not None:
            for server in [*cluster.servers, *cluster.helpers]:
                server.kill()
        shutil.rmtree(directory, ignore_errors=True)


async def start(cluster: Cluster) -> None:
    """Start every process and wait until they serve. Raises BenchmarkWrong, with the end of the log of one
    that does not."""
    for server in [*cluster.helpers, *cluster.servers]:
        server.start()
    await cluster.wait_ready()


async def wait_until(servers: list[Server], what: str, seconds: float, look: Callable[[], bool]) -> None:
    """Look again and again, in a thread. Raises BenchmarkWrong after ``seconds`` or if a server ends."""
    with trio.move_on_after(seconds):
        while True:
            if await trio.to_thread.run_sync(look):
                return
            ended = [server for server in servers if not server.alive]
            if ended:
                raise BenchmarkWrong(f"node {ended[0].number} ended\n{_last_lines(ended)}")
            await trio.sleep(_LOOK_S)
    raise BenchmarkWrong(f"{what}: not after {seconds:g} s\n{_last_lines(servers)}")


def _last_lines(servers: list[Server]) -> str:
    return "\n".join(f"{server.log}:\n{server.last_log_lines()}" for server in servers)
