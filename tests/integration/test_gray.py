"""Nodes that neither work nor die: stopped, or taken over by something that accepts and never answers."""

import errno
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

import haqactor
from haqactor.config import peer_address, split_address
from tests.builders.local_cluster import leader_of, no_tracebacks, running, until

pytestmark = pytest.mark.slow

NEXT_CONFIRM_S = 1.5
"""After a leader was stopped."""
FOLLOWER_S = 0.2
"""The longest that a follower's stop may hold up a publish."""
BALANCED_WITHIN_S = 20.0
PAUSE_S = 0.01


class Publishing:
    """One task that publishes without a break. ``longest``: the longest time that one confirm took."""

    def __init__(self, broker: haqactor.Broker) -> None:
        self.confirmed: list[bytes] = []
        self.longest = 0.0
        self._broker = broker

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            body = b"%d" % len(self.confirmed)
            start = trio.current_time()
            await self._broker.publish("orders", body)
            self.longest = max(self.longest, trio.current_time() - start)
            self.confirmed.append(body)
            await trio.sleep(PAUSE_S)

    async def more(self, count: int, seconds: float = 10.0) -> None:
        """Return once ``count`` more were confirmed."""
        goal = len(self.confirmed) + count
        await until(lambda: len(self.confirmed) >= goal, seconds)


@asynccontextmanager
async def publishing(broker: haqactor.Broker) -> AsyncGenerator[Publishing]:
    """Somebody publishes to "orders" while the body runs; afterwards everything confirmed is still there."""
    queue = await broker.declare("orders")
    one = Publishing(broker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await one.more(20)
        yield one
        nursery.cancel_scope.cancel()
    missing = dict.fromkeys(one.confirmed)
    async with queue.consume() as deliveries:
        while missing:
            async with await deliveries.receive() as message:
                missing.pop(message.body, None)


async def test_a_stopped_leader_is_replaced_in_time_and_follows_when_it_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster, haqactor.connect(cluster.url) as broker:
        async with publishing(broker) as one:
            leader = await leader_of(broker, "orders")
            stopped = cluster.node(leader).process()
            assert stopped is not None
            one.longest = 0.0
            stopped.send(signal.SIGSTOP)
            try:
                await one.more(20)
                assert one.longest <= NEXT_CONFIRM_S
                assert await leader_of(broker, "orders") != leader
            finally:
                stopped.send(signal.SIGCONT)
            one.longest = 0.0
            await one.more(50)
            assert one.longest <= NEXT_CONFIRM_S
        no_tracebacks(cluster)


async def test_a_stopped_follower_is_not_missed(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster, haqactor.connect(cluster.url) as broker:
        async with publishing(broker) as one:
            follower = (await leader_of(broker, "orders") + 1) % 3
            stopped = cluster.node(follower).process()
            assert stopped is not None
            one.longest = 0.0
            stopped.send(signal.SIGSTOP)
            try:
                await one.more(100)
            finally:
                stopped.send(signal.SIGCONT)
            assert one.longest <= FOLLOWER_S
        no_tracebacks(cluster)


async def take_over(nursery: trio.Nursery, serve: Callable[..., Awaitable[object]]) -> None:
    """The kernel may hold a dead process's port for a moment."""
    while True:
        try:
            await nursery.start(serve)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            await trio.sleep(0.05)
        else:
            return


async def test_a_peer_that_accepts_and_never_answers_holds_nobody_up(tmp_path: Path) -> None:
    """Something else took the dead node's ports."""

    async def swallow(stream: trio.SocketStream) -> None:
        async with stream:
            await trio.sleep_forever()

    async with running(tmp_path) as cluster, haqactor.connect(cluster.url) as broker:
        async with publishing(broker) as one, trio.open_nursery() as nursery:
            leader = await leader_of(broker, "orders")
            node = cluster.node(leader)
            process = node.process()
            assert process is not None
            process.send(signal.SIGKILL)
            assert process.wait(5)
            for address in (node.listen, peer_address(node.listen)):
                host, port = split_address(address, "address")
                with trio.fail_after(10):
                    await take_over(nursery, partial(trio.serve_tcp, swallow, port, host=host))
            await one.more(20)
            one.longest = 0.0
            await one.more(150)
            assert one.longest <= NEXT_CONFIRM_S
            async with haqactor.connect(cluster.url) as late:
                await late.publish("orders", b"late")
            nursery.cancel_scope.cancel()
        no_tracebacks(cluster)


async def test_leaders_are_balanced_again_after_a_stop(tmp_path: Path) -> None:
    async with (
        running(tmp_path, limits={"disk_slow": 0.3}) as cluster,
        haqactor.connect(cluster.url) as broker,
    ):
        async with publishing(broker) as one:
            led = await leaders(broker)
            victim = await leader_of(broker, "orders")
            stopped = cluster.node(victim).process()
            assert stopped is not None
            stopped.send(signal.SIGSTOP)
            try:
                await one.more(20)
            finally:
                stopped.send(signal.SIGCONT)
            with trio.fail_after(BALANCED_WITHIN_S):
                while await leaders(broker) != led:
                    await one.more(10)
        no_tracebacks(cluster)


async def leaders(broker: haqactor.Broker) -> dict[int, int]:
    """The leader of each group, as a node sees them."""
    rows = (await broker.status())["leaders"]
    return {int(row[0]): int(row[1]) for row in rows}
