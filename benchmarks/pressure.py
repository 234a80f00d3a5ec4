"""``python -m benchmarks.pressure``: twice as much as a cluster can do is offered to it for ten minutes.

One rule: offers come at an even rate, whatever becomes of those before; one that finds its producer's window
full was pushed back, and is counted, not kept for later.
"""

import argparse
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import trio

import haqactor
from benchmarks.bodies import random_bodies
from benchmarks.clusters import check_empty, started
from benchmarks.consumer import consuming
from benchmarks.result import BenchmarkWrong
from benchmarks.throughput import BATCH, IN_FLIGHT
from haqactor.cli.launcher import LocalCluster
from haqactor.client.producing import IN_FLIGHT_MAX

SECONDS: Final = 600.0
RSS_MAX: Final = 1.1
SETTLED_MIN: Final = 0.8
P99_MAX_S: Final = 1.0
P99_GROWTH_MAX: Final = 1.5
_TIMES: Final = 2.0
_PRODUCERS: Final = 2  # each with a connection and a queue of its own, and a consumer in another process
_SATURATING: Final = 1_000_000  # messages of each producer
_DIFFERENT: Final = 100_000
_WINDOWS: Final = 10  # minutes, where the run has its full length
_LOOK_S: Final = 1.0
_TICK_S: Final = 0.001
_CALM_S: Final = 2.0
_PATIENCE_S: Final = 30.0

Leaders = dict[int, tuple[int, int]]
"""Group to node and term."""


@dataclass(slots=True, kw_only=True)
class Pressed:
    """What a run saw; times are in seconds since it began. ``saturation``: messages a second, published,
    consumed and acknowledged, as fast as it goes. ``waits``: when a batch was accepted, and how long its
    confirm took from then on. ``settled``: when, how many messages. ``memory``: when, the bytes of each
    node. ``refused``: batches that were pushed back."""

    seconds: float
    saturation: float = 0.0
    refused: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    settled: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    memory: list[tuple[float, list[int]]] = field(default_factory=list[tuple[float, list[int]]])
    changes: int = 0

    @property
    def _window(self) -> float:
        return self.seconds / _WINDOWS

    @property
    def second(self) -> tuple[float, float]:
        """The second minute, or tenth of a shorter run."""
        return self._window, 2 * self._window

    @property
    def last(self) -> tuple[float, float]:
        """The last one."""
        return self.seconds - self._window, self.seconds

    @property
    def confirmed(self) -> float:
        """Messages a second, confirmed while the offers came."""
        return BATCH * sum(at + wait < self.seconds for at, wait in self.waits) / self.seconds

    @property
    def settled_share(self) -> float:
        """Of what was confirmed while the offers came, what was settled meanwhile."""
        return sum(n for at, n in self.settled if at < self.seconds) / self.seconds / self.confirmed

    def p99_s(self, window: tuple[float, float]) -> float:
        """From acceptance to confirm, of what was accepted within the window."""
        found = sorted(wait for at, wait in self.waits if window[0] <= at < window[1])
        if not found:
            raise BenchmarkWrong(f"nothing was accepted from {window[0]:g} to {window[1]:g} s")
        return found[len(found) * 99 // 100]

    def rss(self, window: tuple[float, float]) -> list[float]:
        """Mean of each node's memory within the window, in bytes."""
        rows = [row for at, row in self.memory if window[0] <= at < window[1]]
        if not rows:
            raise BenchmarkWrong(f"no look at the memory from {window[0]:g} to {window[1]:g} s")
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]

    @property
    def rss_growth(self) -> float:
        """The last minute's memory by the second's, of the node that grew the most."""
        second, last = self.rss(self.second), self.rss(self.last)
        return max(new / old for new, old in zip(last, second, strict=True))

    def broken(self) -> list[str]:
        """The promises that did not hold."""
        found: list[str] = []
        p99, second, last = self.p99_s((0, self.seconds)), self.p99_s(self.second), self.p99_s(self.last)
        if self.rss_growth > RSS_MAX:
            found.append(
                f"memory grew to {self.rss_growth:.2f} of the second minute's, allowed are {RSS_MAX}"
            )
        if self.changes:
            found.append(f"{self.changes} groups changed their leader or term")
        if self.settled_share < SETTLED_MIN:
            found.append(f"{self.settled_share:.2f} of what was published was settled, not {SETTLED_MIN}")
        if p99 > P99_MAX_S:
            found.append(f"p99 from acceptance to confirm is {p99:.2f} s, allowed are {P99_MAX_S:g}")
        if last > P99_GROWTH_MAX * second:
            found.append(f"p99 grew from {second:.3f} to {last:.3f} s, allowed are {P99_GROWTH_MAX} times")
        return found


class _Producer:
    """One connection's offers to one queue; takes no more than a client sends before confirms come."""

    def __init__(self, producer: haqactor.Producer, queue: str, chunks: list[list[bytes]]) -> None:
        self._producer = producer
        self._queue = queue
        self._chunks = chunks
        self._under_way = 0
        self._number = 0

    def takes(self) -> bool:
        """Is there room for one more? Then it is taken."""
        room = self._under_way < IN_FLIGHT_MAX
        self._under_way += room
        return room

    async def publish(self, found: Pressed, began: float) -> None:
        """One batch, accepted now."""
        self._number += 1
        accepted = trio.current_time()
        await self._producer.publish_many(self._queue, self._chunks[self._number % len(self._chunks)])
        found.waits.append((accepted - began, trio.current_time() - accepted))
        self._under_way -= 1


async def run(seconds: float = SECONDS, times: float = _TIMES) -> Pressed:
    """``times`` the saturation, for so long. Raises BenchmarkWrong where messages are lost or come twice."""
    found = Pressed(seconds=seconds)
    async with started() as cluster:
        found.saturation = await _saturation(cluster)
        print(f"saturation: {found.saturation:,.0f} messages a second", file=sys.stderr)
        async with haqactor.connect(cluster.url) as looking:
            before = await _calm(looking)
            await _press(cluster, found, found.saturation * times)
            after = await _leaders(looking)
            found.changes = sum(after.get(group) != row for group, row in before.items())
    return found


async def _saturation(cluster: LocalCluster) -> float:
    bodies = random_bodies(_DIFFERENT, 100) * (_SATURATING // _DIFFERENT)

    async def both(number: int) -> None:
        missing, done = len(bodies), trio.Event()

        def settled(count: int) -> None:
            nonlocal missing
            missing -= count
            if missing <= 0:
                done.set()

        async with haqactor.connect(cluster.url) as broker:
            queue = await broker.declare(f"saturated-{number}")
            async with consuming(cluster.url, queue.name, settled, len(bodies)):
                await _send(broker, f"saturating-{number}", queue.name, bodies)
                await done.wait()
            await check_empty(queue)

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(_PRODUCERS):
            nursery.start_soon(both, number)
    return len(bodies) * _PRODUCERS / (trio.current_time() - begun)


async def _send(broker: haqactor.Broker, name: str, queue: str, bodies: list[bytes]) -> None:
    """Batches of 100, each as soon as one of those before is confirmed."""
    firsts = iter(range(0, len(bodies), BATCH))

    async def lane(producer: haqactor.Producer) -> None:
        for first in firsts:
            await producer.publish_many(queue, bodies[first : first + BATCH])

    async with broker.producer(name) as producer, trio.open_nursery() as nursery:
        for _ in range(IN_FLIGHT):
            nursery.start_soon(lane, producer)


async def _press(cluster: LocalCluster, found: Pressed, rate: float) -> None:
    bodies = random_bodies(_DIFFERENT, 100)
    chunks = [bodies[at : at + BATCH] for at in range(0, len(bodies), BATCH)]
    names = [f"pressed-{number}" for number in range(_PRODUCERS)]
    async with haqactor.connect(cluster.url) as broker, AsyncExitStack() as stack:
        queues = [await broker.declare(name) for name in names]
        began = trio.current_time()

        def settled(count: int) -> None:
            found.settled.append((trio.current_time() - began, count))

        for name in names:
            await stack.enter_async_context(consuming(cluster.url, name, settled))
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(_keep_looking, cluster, found, began)
        async with trio.open_nursery() as offering:
            for number, name in enumerate(names):
                offering.start_soon(_offer, cluster, f"p{number}", name, chunks, rate / len(names), found)
        sent = BATCH * len(found.waits)
        with trio.move_on_after(_PATIENCE_S):
            while sum(count for _, count in found.settled) < sent:  # noqa: ASYNC110 - it is polled
                await trio.sleep(_LOOK_S / 10)
        nursery.cancel_scope.cancel()
        with trio.move_on_after(_PATIENCE_S):  # the last acknowledgements may be on their way yet
            while any([(await queue.info()).leased for queue in queues]):  # noqa: ASYNC110 - it is polled
                await trio.sleep(_LOOK_S / 10)
        for queue in queues:
            await check_empty(queue)
    arrived = sum(count for _, count in found.settled)
    if arrived != sent:
        raise BenchmarkWrong(f"{sent} messages were confirmed, {arrived} came")


async def _offer(
    cluster: LocalCluster, name: str, queue: str, chunks: list[list[bytes]], rate: float, found: Pressed
) -> None:
    """Batches at even times; returns when all that were accepted are confirmed."""
    async with (
        haqactor.connect(cluster.url) as broker,
        broker.producer(name) as named,
        trio.open_nursery() as nursery,
    ):
        producer = _Producer(named, queue, chunks)
        began, number = trio.current_time(), 0
        while (since := trio.current_time() - began) < found.seconds:
            due = int(since * rate / BATCH)  # also what this program came too late for: that is offered, too
            for _ in range(number, due):
                if producer.takes():
                    nursery.start_soon(producer.publish, found, began)
                else:
                    found.refused += 1
            number = due
            await trio.sleep(_TICK_S)


async def _keep_looking(cluster: LocalCluster, found: Pressed, began: float) -> None:
    while True:
        found.memory.append((trio.current_time() - began, cluster.resident_bytes()))
        await trio.sleep(_LOOK_S)


async def _leaders(broker: haqactor.Broker) -> Leaders:
    return {group: (node, term) for group, node, term, _address in (await broker.status())["leaders"]}


async def _calm(broker: haqactor.Broker) -> Leaders:
    """The leaders, once they have stayed what they are for two seconds."""
    found, since = await _leaders(broker), trio.current_time()
    while trio.current_time() - since < _CALM_S:
        await trio.sleep(_CALM_S / 10)
        now = await _leaders(broker)
        if now != found:
            found, since = now, trio.current_time()
    return found


def main() -> None:
    """Exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pressure", description=__doc__)
    parser.add_argument("--for", dest="seconds", type=float, default=SECONDS, metavar="SECONDS")
    found = trio.run(run, parser.parse_args().seconds)
    second, last = found.rss(found.second), found.rss(found.last)
    accepted = len(found.waits)
    print(
        f"{found.seconds:g} s at {_TIMES:g} x {found.saturation:,.0f} messages a second: "
        f"{accepted / (accepted + found.refused):.0%} accepted, {found.confirmed:,.0f} confirmed a second, "
        f"{found.settled_share:.3f} of them settled; p99 from acceptance to confirm "
        f"{found.p99_s((0, found.seconds)) * 1e3:.0f} ms, in the second minute "
        f"{found.p99_s(found.second) * 1e3:.0f}, in the last {found.p99_s(found.last) * 1e3:.0f}; memory in "
        f"MB {[round(each / 1e6) for each in second]}, then {[round(each / 1e6) for each in last]} "
        f"({found.rss_growth:.3f}); {found.changes} changes of leaders"
    )
    for window in [
        (at * found.seconds / _WINDOWS, (at + 1) * found.seconds / _WINDOWS) for at in range(_WINDOWS)
    ]:
        megabytes = " ".join(f"{each / 1e6:.1f}" for each in found.rss(window))
        print(f"from {window[0]:g} s: p99 {found.p99_s(window) * 1e3:.0f} ms, memory in MB {megabytes}")
    for line in found.broken():
        print(f"BROKEN: {line}")
    sys.exit(bool(found.broken()))


if __name__ == "__main__":
    main()
