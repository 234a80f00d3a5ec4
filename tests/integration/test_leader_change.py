"""Consumers while leaders change: who stays keeps what it holds; who is gone loses it, uncharged."""

import subprocess
import sys
from pathlib import Path

import trio

import haqactor
from haqactor.cli.launcher import LocalCluster
from tests.builders.local_cluster import leader_of, no_tracebacks, until

GRACE_S = 2.0
SECONDS_MAX = 20.0
HELD = 10


async def test_leases_are_claimed_again(small: LocalCluster) -> None:
    """What a consumer works on, and what waits in its buffer, stays with it; another one gets the rest."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as broker, haqactor.connect(small.url) as other:
            queue = await broker.declare("claimed", lease=60.0)
            leader = await leader_of(broker, "claimed")
            for number in range(HELD):
                await broker.publish("claimed", b"%d" % number)
            async with queue.consume(credit=HELD) as deliveries:
                first = await deliveries.receive()
                async with first:
                    await until(lambda: queue.statistics().buffered == HELD - 1)
                    small.kill(leader)
                    async with other.queue("claimed").consume() as others:
                        await broker.publish("claimed", b"later")
                        async with await others.receive() as message:
                            assert message.body == b"later"
                        assert await other.queue("claimed").poll() is None
                        info = await other.queue("claimed").info()
                        assert (info.ready, info.leased) == (0, HELD)
                for number in range(1, HELD):
                    async with await deliveries.receive() as message:
                        assert (message.body, message.attempt) == (b"%d" % number, 1)
            statistics = queue.statistics()
            assert (statistics.refused, statistics.dropped, statistics.delivered) == (0, 0, HELD)
            info = await queue.info()
            assert (info.ready, info.leased, info.delayed) == (0, 0, 0)
            await small.restart(leader)
    no_tracebacks(small)


async def test_an_acknowledgement_on_its_way_counts(small: LocalCluster) -> None:
    """Handed over when the leader has just died: the next one is told."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as broker:
            queue = await broker.declare("acked", lease=60.0)
            for number in range(HELD):
                await broker.publish("acked", b"%d" % number)
            messages = [await queue.get() for _ in range(HELD)]
            leader = await leader_of(broker, "acked")
            small.kill(leader)
            async with trio.open_nursery() as nursery:
                for message in messages[:5]:
                    nursery.start_soon(message.ack)
                nursery.start_soon(messages[5].release)
                nursery.start_soon(messages[6].reject)
                nursery.start_soon(lambda: messages[7].nack(delay=0.0))
            info = await queue.info()
            assert (info.ready, info.leased, info.dead) == (2, 2, 1)
            again = [await queue.get() for _ in range(2)]
            assert [(message.body, message.attempt) for message in again] == [(b"5", 1), (b"7", 2)]
            for message in (*again, *messages[8:]):
                await message.ack()
            assert await queue.poll() is None
            await small.restart(leader)
    no_tracebacks(small)


async def test_consumer_and_leader_die_together(small: LocalCluster) -> None:
    """Nobody claims what it held: it comes again after the grace, uncharged, and in its order."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as broker:
            queue = await broker.declare("orphaned", lease=600.0)
            for number in range(HELD):
                await broker.publish("orphaned", b"%d" % number)
            with subprocess.Popen(  # noqa: ASYNC220 - starting it takes a moment only
                [sys.executable, "-m", "tests.builders.sitting_consumer", small.url, "orphaned"],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            ) as process:
                try:
                    assert process.stdout is not None
                    assert await trio.to_thread.run_sync(process.stdout.readline) == b"0\n"
                    assert await queue.poll() is None
                    leader = await leader_of(broker, "orphaned")
                finally:
                    process.kill()
                small.kill(leader)
            await broker.publish("orphaned", b"%d" % HELD)
            async with queue.consume() as deliveries:
                for number in range(HELD + 1):
                    async with await deliveries.receive() as message:
                        assert (message.body, message.attempt) == (b"%d" % number, 1)
            await small.restart(leader)
    no_tracebacks(small)


async def test_poll_waits_out_an_election(small: LocalCluster) -> None:
    """None is never said by a node that cannot know."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as broker:
            queue = await broker.declare("polling")
            assert await queue.poll() is None
            await broker.publish("polling", b"x")
            leader = await leader_of(broker, "polling")
            small.kill(leader)
            message = await queue.poll()
            assert message is not None
            assert (message.body, message.attempt) == (b"x", 1)
            await message.ack()
            assert await queue.poll() is None
            await small.restart(leader)
    no_tracebacks(small)
