"""The client programs as this side sees them: a job goes in as arguments, JSON comes out.

One rule: a program that fails, or that accounts for another number of messages than it was given, makes the
whole row wrong.
"""

import json
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from benchmarks.bodies import employee_bodies, random_bodies
from benchmarks.clusters import OUT
from benchmarks.peers import places
from benchmarks.peers.cluster import Cluster
from benchmarks.peers.registry import Peer
from benchmarks.result import BenchmarkWrong

_PATIENCE_S: Final = 1_200.0
_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Bodies:
    """Messages in a file: ``count`` of ``size`` bytes, one after the other; each begins with its number."""

    path: Path
    count: int
    size: int

    def arguments(self) -> dict[str, str | int]:
        """For a client."""
        return {"bodies": str(self.path), "count": self.count, "size": self.size}


@asynccontextmanager
async def written(bodies: list[bytes]) -> AsyncGenerator[Bodies]:
    """A file of them, gone at the end."""
    OUT.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="bodies-", dir=OUT) as file:
        file.write(b"".join(bodies))
        file.flush()
        yield Bodies(Path(file.name), len(bodies), len(bodies[0]))


def random_file(count: int, size: int) -> AbstractAsyncContextManager[Bodies]:
    """``written``: those that every program of the benchmarks sends."""
    return written(random_bodies(count, size))


def numbered(records: list[bytes]) -> list[bytes]:
    """The clients tell a message by the number that it begins with; records get one in place of their end."""
    return [
        number.to_bytes(_NUMBER_BYTES, "big") + record[:-_NUMBER_BYTES]
        for number, record in enumerate(records)
    ]


def employee_file(count: int) -> AbstractAsyncContextManager[Bodies]:
    """``written``: records of 100 bytes that could be compressed."""
    return written(numbered(employee_bodies(count)))


def arguments(settings: Mapping[str, str | int]) -> list[str]:
    """As the clients take them."""
    return [f"{name}={value}" for name, value in settings.items()]


def parse(text: str) -> dict[str, Any]:
    """A program's result: the last line. Raises BenchmarkWrong."""
    lines = text.splitlines()
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise BenchmarkWrong(f"a client printed no result: {text[-200:]!r}") from None
    return found


@dataclass(slots=True)
class Driver:
    """A peer's clients on one of its clusters. ``first``: the server that they connect to: once a queue is
    declared, the one that leads it.
    """

    peer: Peer
    cluster: Cluster
    first: int = 0

    async def declare(self, queue: str) -> None:
        """The queue, with all its members; clients connect to its leader from then on. Raises
        BenchmarkWrong.
        """
        await self.run("declare", queue)
        await self.find(queue)

    async def find(self, queue: str) -> None:
        """Whoever leads the queue now. Raises BenchmarkWrong."""
        self.first = (await self.cluster.leader(queue)).number

    async def run(
        self, mode: str, queue: str, bodies: Bodies | None = None, **settings: int
    ) -> dict[str, Any]:
        """Run a client to its end. Raises BenchmarkWrong, with what it said."""
        given = bodies.arguments() if bodies is not None else {}
        job = {"queue": queue, **given, **settings}
        with trio.move_on_after(_PATIENCE_S):
            done = await trio.run_process(
                [*self.peer.command(self.cluster, mode, self.first), *arguments(job)],
                cwd=places.ROOT,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
            if done.returncode != 0:
                said = (done.stderr or done.stdout).decode(errors="replace").strip()
                raise BenchmarkWrong(f"{mode}: {said or f'exit code {done.returncode}'}")
            found = parse(done.stdout.decode())
            if found.get("count") != job.get("count", 0) and not settings.get("audit"):
                raise BenchmarkWrong(
                    f"{mode}: {job.get('count', 0)} were given, {found.get('count')} told of"
                )
            return found
        raise BenchmarkWrong(f"{mode}: not done after {_PATIENCE_S:g} s")
