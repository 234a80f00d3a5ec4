"""A leader that is stopped (SIGSTOP) keeps its connections and says nothing: it is left in time."""

import signal
from pathlib import Path

import trio

import haqactor
from tests.builders.local_cluster import leader_of, no_tracebacks, running, until

LEFT_WITHIN_S = 3.0
PAUSE_S = 0.05


async def test_a_stopped_leader_is_left_and_taken_back(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster, haqactor.connect(cluster.url) as broker:
        queue = await broker.declare("orders", lease=20.0)
        published: list[bytes] = []
        received: list[bytes] = []
        longest = 0.0

        async def publish() -> None:
            nonlocal longest
            while True:
                start = trio.current_time()
                published.append(b"%d" % len(published))
                await broker.publish("orders", published[-1])
                longest = max(longest, trio.current_time() - start)
                await trio.sleep(PAUSE_S)

        async def consume() -> None:
            async with queue.consume() as deliveries:
                async for message in deliveries:
                    async with message:
                        received.append(message.body)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            nursery.start_soon(publish)
            await until(lambda: len(received) > 20)
            leader = await leader_of(broker, "orders")
            stopped = cluster.node(leader).process()
            assert stopped is not None
            stopped.send(signal.SIGSTOP)
            try:
                before = len(published)
                await until(lambda: len(published) > before + 2, LEFT_WITHIN_S)
                await until(lambda: len(received) > before + 2, 2 * LEFT_WITHIN_S)
                assert (await queue.info()).leader != leader
            finally:
                stopped.send(signal.SIGCONT)
            after = len(published)
            await until(lambda: len(received) > after + 20)
            nursery.cancel_scope.cancel()
        assert longest < LEFT_WITHIN_S
        async with queue.consume() as deliveries:
            while set(received) < set(published):
                async with await deliveries.receive() as message:
                    received.append(message.body)
    no_tracebacks(cluster)
