"""``python -m benchmarks.slow_queue``: one queue that nobody reads holds a gigabyte, while fifty pass through
others; it must not pin the disk.

One rule: what a node takes is what its files have allocated, those included that are deleted but still open,
and it is looked at all the time, not only at the end.
"""

import argparse
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

import haqactor
from benchmarks.bodies import SEED
from benchmarks.clusters import check_empty, started
from benchmarks.procfs import descendants
from benchmarks.result import BenchmarkWrong
from haqactor.cli.launcher import LocalCluster, LocalNode

SHARE_MAX: Final = 1.5
"""Of the live bytes: so much may a node's files take. The gigabyte alone counts as live, not what is under
way in the other queues."""
UNREAD_BYTES: Final = 1_000_000_000
PASSING_BYTES: Final = 50_000_000_000
BODY_BYTES: Final = 64 * 1024
_QUEUES: Final = 8
_LANES: Final = 4  # publishes of each queue at once
_UNDER_WAY: Final = 32  # messages of each queue, published and not yet acknowledged
_LOOK_S: Final = 0.25
_SETTLE_S: Final = 5.0
_POOL_BYTES: Final = 16 << 20  # far more than what is compressed together
_NUMBER_BYTES: Final = 8
_PATIENCE_S: Final = 60.0
_BLOCK: Final = 512  # bytes of st_blocks' unit


@dataclass(slots=True, kw_only=True)
class Found:
    """Bytes. ``most``: what the fullest node's files took at their worst, from the moment at which the unread
    queue was full. ``ended``: the same at the end. ``passed``: published, consumed and acknowledged.
    ``looks``: when (seconds), what had passed by then, and what the fullest node's files took."""

    unread: int
    passed: int = 0
    most: int = 0
    ended: int = 0
    seconds: float = 0.0
    looks: list[tuple[float, int, int]] = field(default_factory=list[tuple[float, int, int]])

    def most_within(self, seconds: float) -> int:
        """The most that passed in so long."""
        return max(
            passed - next(old for when, old, _ in self.looks if when >= at - seconds)
            for at, passed, _ in self.looks
        )

    @property
    def usual(self) -> int:
        """What the fullest node's files took at half of the looks, or less."""
        return sorted(taken for _, _, taken in self.looks)[len(self.looks) // 2]

    @property
    def share(self) -> float:
        """``most`` by what lives."""
        return self.most / self.unread


class Bodies:
    """Bodies by number; the first eight bytes are that, the others are from a pool of random ones, so that
    those that meet in a batch have nothing in common, and nothing is gained by compressing."""

    def __init__(self, size: int) -> None:
        self._size = size - _NUMBER_BYTES
        self._pool = random.Random(SEED).randbytes(_POOL_BYTES)

    def body(self, number: int) -> bytes:
        """That of one message."""
        at = number * self._size % (_POOL_BYTES - self._size)
        return number.to_bytes(_NUMBER_BYTES, "big") + self._pool[at : at + self._size]

    def check(self, body: bytes, missing: set[int]) -> None:
        """It has to be one of ``missing``, and is no longer. Raises BenchmarkWrong."""
        number = int.from_bytes(body[:_NUMBER_BYTES], "big")
        if number not in missing or body != self.body(number):
            raise BenchmarkWrong(f"message {number} came twice, or is not what was sent")
        missing.remove(number)


async def run(
    unread: int = UNREAD_BYTES,
    passing: int = PASSING_BYTES,
    body_bytes: int = BODY_BYTES,
    look: Callable[[Found], None] = lambda _found: None,
    **settings: Any,
) -> Found:
    """Three nodes; ``look`` is called at every look at their disks; ``settings``: of each node's file. Raises
    BenchmarkWrong where a message is lost, comes twice or is another."""
    bodies = Bodies(body_bytes)
    count = unread // body_bytes
    found = Found(unread=count * body_bytes)
    async with (
        started(**settings) as cluster,
        haqactor.connect(cluster.url) as broker,
        haqactor.connect(cluster.url) as consumer,
    ):
        slow = await broker.declare("slow")
        numbers = iter(range(count))
        async with trio.open_nursery() as nursery:
            for _ in range(_QUEUES * _LANES):
                nursery.start_soon(_publish, broker, slow.name, bodies, numbers, None)
        begun = trio.current_time()
        async with trio.open_nursery() as looking:
            looking.start_soon(_keep_looking, cluster, found, look)
            async with trio.open_nursery() as nursery:
                each = passing // body_bytes // _QUEUES
                for number in range(_QUEUES):
                    queue = await broker.declare(f"fast-{number}")
                    nursery.start_soon(_pass, broker, consumer.queue(queue.name), bodies, each, found)
            found.seconds = trio.current_time() - begun
            await trio.sleep(_SETTLE_S)
            looking.cancel_scope.cancel()
        missing = set(range(count))
        async with slow.consume_batches(credit=256) as batches:
            await _take(batches, bodies, missing, lambda _size: None)
        await check_empty(slow)
    return found


async def _publish(
    broker: haqactor.Broker,
    queue: str,
    bodies: Bodies,
    numbers: Iterator[int],
    room: trio.Semaphore | None,
) -> None:
    for number in numbers:
        if room is not None:
            await room.acquire()
        await broker.publish(queue, bodies.body(number))


async def _pass(
    broker: haqactor.Broker, queue: haqactor.Queue, bodies: Bodies, count: int, found: Found
) -> None:
    """``count`` messages through one queue; no more than ``_UNDER_WAY`` are in it."""
    numbers, missing = iter(range(count)), set(range(count))
    room = trio.Semaphore(_UNDER_WAY)

    def passed(size: int) -> None:
        found.passed += size
        room.release()

    async with trio.open_nursery() as nursery, queue.consume_batches(credit=_UNDER_WAY) as batches:
        for _ in range(_LANES):
            nursery.start_soon(_publish, broker, queue.name, bodies, numbers, room)
        await _take(batches, bodies, missing, passed)


async def _take(batches: Any, bodies: Bodies, missing: set[int], passed: Callable[[int], None]) -> None:
    """All that is ``missing``. Raises BenchmarkWrong where nothing comes for a minute."""
    while missing:
        with trio.move_on_after(_PATIENCE_S) as scope:
            batch = await batches.receive()
            async with batch:
                for message in batch.messages:
                    bodies.check(message.body, missing)
            for message in batch.messages:
                passed(len(message.body))
        if scope.cancelled_caught:
            raise BenchmarkWrong(f"{len(missing)} messages did not come")


async def _keep_looking(cluster: LocalCluster, found: Found, look: Callable[[Found], None]) -> None:
    while True:
        found.ended = max(allocated(node) for node in cluster.nodes)
        found.most = max(found.most, found.ended)
        found.looks.append((trio.current_time(), found.passed, found.ended))
        look(found)
        await trio.sleep(_LOOK_S)


def allocated(node: LocalNode) -> int:
    """Bytes that the files of a node take on its disk, preallocated ones and deleted ones that its processes
    hold open included."""
    files = {inode: size for path in node.data.rglob("*") for inode, size in _taken(path)}
    process = node.process()
    for pid in [] if process is None else [process.pid, *descendants(process.pid)]:
        for link in _open_files(pid):
            if str(node.data) in link[1]:
                files.update(_taken(link[0]))
    return sum(files.values())


def _open_files(pid: int) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return found
    for link in links:
        try:
            found.append((link, str(link.readlink())))
        except (FileNotFoundError, ProcessLookupError):
            continue  # closed meanwhile
    return found


def _taken(path: Path) -> list[tuple[int, int]]:
    """Inode and allocated bytes; nothing where it has gone meanwhile."""
    try:
        stat = os.stat(path)
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [(stat.st_ino, stat.st_blocks * _BLOCK)]


def main() -> None:
    """Exit code 1 if the disk was pinned."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow_queue", description=__doc__)
    parser.add_argument("--unread", type=int, default=UNREAD_BYTES, metavar="BYTES")
    parser.add_argument("--passing", type=int, default=PASSING_BYTES, metavar="BYTES")
    arguments = parser.parse_args()
    shown = [0]

    def look(found: Found) -> None:
        if found.passed * 20 // arguments.passing > shown[0]:
            shown[0] = found.passed * 20 // arguments.passing
            print(f"{found.passed / 1e9:.1f} GB passed, disk {found.ended / 1e9:.3f} GB", file=sys.stderr)

    found = trio.run(lambda: run(arguments.unread, arguments.passing, look=look))
    print(
        f"{found.unread / 1e9:.3f} GB unread, {found.passed / 1e9:.1f} GB passed in {found.seconds:.0f} s "
        f"({found.passed / found.seconds / 1e6:.0f} MB/s); the fullest disk: at most {found.most / 1e9:.3f} "
        f"GB, {found.share:.2f} of what lives ({SHARE_MAX} allowed), mostly {found.usual / 1e9:.3f} GB"
    )
    sys.exit(found.share > SHARE_MAX)


if __name__ == "__main__":
    main()
