"""Leases, attempts and dead letters, against a real node; and a consumer's process that is killed."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

import haqactor
from haqactor import Broker, LeaseLost, Message, Queue
from haqactor.cli.launcher import LocalCluster

LEASE_S = 0.5
SECONDS_MAX = 15.0


async def receive(queue: Queue) -> Message:
    """The next message, without a subscription that lasts."""
    with trio.fail_after(SECONDS_MAX):
        return await queue.get()


async def nothing_ready(queue: Queue) -> None:
    with trio.fail_after(SECONDS_MAX):
        assert await queue.poll() is None


async def declared(broker: Broker, name: str, *bodies: bytes, **settings: object) -> Queue:
    queue = await broker.declare(haqactor.QueueConfig(name, **settings))  # type: ignore[arg-type]
    for body in bodies:
        await broker.publish(name, body)
    return queue


async def test_an_expired_lease_comes_again(single: LocalCluster) -> None:
    """Two sessions: the first takes a message and sits on it, without renewing and without a word. The first
    time that is suspect, and not charged; from the second on it counts."""
    async with haqactor.connect(single.url) as idle, haqactor.connect(single.url) as other:
        settings = {"lease": LEASE_S, "max_attempts": 2, "dead_letter": "expiring.dead", "backoff": 0.01}
        queue = await declared(idle, "expiring", b"x", **settings)
        stale: list[Message] = []
        for attempt in (1, 1, 2):
            message = await receive(queue)
            assert (message.body, message.attempt, message.redelivered) == (b"x", attempt, attempt > 1)
            stale.append(message)
            await nothing_ready(other.queue("expiring"))
        found = await receive(other.queue("expiring.dead"))
        assert found.body == b"x"
        await found.ack()
        for message in stale:
            with pytest.raises(LeaseLost):
                await message.nack()
        info = await queue.info()
        assert (info.ready, info.leased, info.delayed) == (0, 0, 0)


async def test_a_late_settlement_is_refused_once_somebody_else_has_the_message(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as slow, haqactor.connect(single.url) as quick:
        queue = await declared(slow, "stale", b"x", lease=LEASE_S)
        held = await receive(queue)
        again = await receive(quick.queue("stale"))
        assert again.seq == held.seq
        for settle in (held.ack, held.release, held.nack, held.reject):
            with pytest.raises(LeaseLost):
                await settle()
        await again.ack()
        assert (await queue.info()).next_seq == 2
        await nothing_ready(queue)


async def test_a_body_that_runs_keeps_its_lease(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker, haqactor.connect(single.url) as other:
        queue = await declared(broker, "renewed", b"x", lease=LEASE_S)
        async with await receive(queue) as message:
            until = message.lease_expires_at
            with trio.move_on_after(3 * LEASE_S):
                await other.queue("renewed").get()
                pytest.fail("delivered to somebody else meanwhile")
            assert message.lease_expires_at > until
        await nothing_ready(queue)


async def test_extend(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker, haqactor.connect(single.url) as other:
        queue = await declared(broker, "extended", b"x", lease=LEASE_S)
        message = await receive(queue)
        await message.extend(5 * LEASE_S)
        with trio.move_on_after(3 * LEASE_S):
            await other.queue("extended").get()
            pytest.fail("delivered to somebody else meanwhile")
        await message.ack()
        with pytest.raises(LeaseLost):
            await message.extend(1.0)


async def test_nack_with_delay(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await declared(broker, "delayed", b"x", b"y")
        start = trio.current_time()
        await (await receive(queue)).nack(delay=0.7, reason="later")
        assert (await queue.info()).delayed == 1
        following = await receive(queue)
        assert following.body == b"y"
        await following.ack()
        await nothing_ready(queue)
        again = await receive(queue)
        assert trio.current_time() - start >= 0.6
        assert (again.body, again.attempt, again.redelivered) == (b"x", 2, True)
        await again.ack()


async def test_backoff_doubles(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await declared(broker, "backoff", b"x", backoff=0.2, backoff_max=10.0)
        waits: list[float] = []
        for attempt in range(1, 4):
            message = await receive(queue)
            assert message.attempt == attempt
            await message.nack()
            start = trio.current_time()
            again = await receive(queue)
            waits.append(trio.current_time() - start)
            await again.release()
        assert waits[0] >= 0.15
        assert waits[1] >= 0.35
        assert waits[2] >= 0.7


async def test_reject_goes_to_the_dead_letters(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await declared(broker, "letters", b"x", b"y", dead_letter="letters.dead")
        await broker.publish("letters", b"z", key="k", headers={"h": 1}, message_id="m-3")
        for _ in range(2):
            await (await receive(queue)).ack()
        await (await receive(queue)).reject(reason="unreadable")
        dead = broker.queue("letters.dead")
        (looked,) = await dead.peek()
        assert looked.body == b"z"
        found = await receive(dead)
        assert (found.body, found.key, found.id, found.headers["h"]) == (b"z", "k", "m-3", 1)
        assert (found.attempt, found.redelivered) == (1, False)
        await found.ack()
        assert (await dead.info()).ready == 0
        assert (await queue.info()).ready == 0


async def test_too_many_attempts(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await declared(
            broker, "poison", b"x", max_attempts=3, dead_letter="poison.dead", backoff=0.01, backoff_max=0.01
        )
        for attempt in range(1, 4):
            message = await receive(queue)
            assert message.attempt == attempt
            await message.nack(reason="again")
        found = await receive(broker.queue("poison.dead"))
        assert found.body == b"x"
        await found.ack()
        await nothing_ready(queue)
        assert (await queue.info()).delayed == 0


async def test_too_many_attempts_without_a_dead_letter_queue(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await declared(broker, "parked", b"x", max_attempts=1)
        await (await receive(queue)).nack()
        await nothing_ready(queue)
        info = await queue.info()
        assert (info.ready, info.dead) == (0, 1)


async def test_release_is_not_charged_and_goes_back_to_its_place(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await declared(broker, "released", b"1", b"2", b"3", max_attempts=1)
        for _ in range(3):
            message = await receive(queue)
            assert (message.body, message.attempt, message.redelivered) == (b"1", 1, False)
            await message.release()
        async with queue.consume() as deliveries:
            for body in (b"1", b"2", b"3"):
                async with await deliveries.receive() as message:
                    assert message.body == body


async def test_poll_and_get(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await declared(broker, "polled")
        await nothing_ready(queue)
        got: list[bytes] = []

        async def one() -> None:
            message = await queue.get()
            got.append(message.body)
            await message.ack()

        with trio.fail_after(SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(one)
                await nothing_ready(queue)
                for number in range(3):
                    await broker.publish("polled", b"%d" % number)
        assert sorted(got) == [b"0", b"1", b"2"]
        await broker.publish("polled", b"4")
        message = await queue.poll()
        assert message is not None
        await nothing_ready(queue)
        await message.ack()
        assert (await queue.info()).ready == 0


async def test_settling_part_of_a_batch(single: LocalCluster) -> None:
    async with haqactor.connect(single.url) as broker:
        queue = await broker.declare("parts", backoff=0.01)
        async with broker.producer("parts") as producer:
            await producer.publish_many("parts", [b"%d" % number for number in range(10)])
        with trio.fail_after(SECONDS_MAX):
            async with queue.consume_batches() as batches:
                batch = await batches.receive()
                assert [message.body for message in batch.messages] == [b"%d" % k for k in range(10)]
                await batch.ack(batch.messages[::2])
                await batch.nack(batch.messages[1:4:2], delay=0.0)
                await batch.release()
                seen: dict[bytes, int] = {}
                while len(seen) < 5:
                    again = await batches.receive()
                    seen.update({message.body: message.attempt for message in again.messages})
                    await again.ack()
        assert seen == {b"1": 2, b"3": 2, b"5": 1, b"7": 1, b"9": 1}


async def test_the_consumers_process_is_killed(single: LocalCluster) -> None:
    """What it had begun with is charged or suspect; all comes back within the grace."""
    async with haqactor.connect(single.url) as broker:
        await declared(broker, "killed", *(b"%d" % number for number in range(20)), lease=60.0)
        with subprocess.Popen(  # noqa: ASYNC220 - starting it takes a moment only
            [sys.executable, "-m", "tests.builders.sitting_consumer", single.url, "killed"],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        ) as process:
            try:
                assert process.stdout is not None
                line = await trio.to_thread.run_sync(process.stdout.readline)
                assert line == b"0\n"
            finally:
                process.kill()
        start = trio.current_time()
        seen: dict[bytes, int] = {}
        with trio.fail_after(SECONDS_MAX):
            async with broker.queue("killed").consume() as deliveries:
                while len(seen) < 20:
                    async with await deliveries.receive() as message:
                        seen[message.body] = message.attempt
        assert trio.current_time() - start < 6.0
        assert all(attempt <= 2 for attempt in seen.values())
        assert sum(attempt > 1 for attempt in seen.values()) <= 1


async def test_who_left_holds_nothing(single: LocalCluster) -> None:
    """As soon as the block is left, everybody sees what was held as ready."""
    async with haqactor.connect(single.url) as broker, haqactor.connect(single.url) as other:
        queue = await declared(broker, "left", *(b"%d" % number for number in range(20)))
        for _ in range(20):
            async with queue.consume() as deliveries:
                with trio.fail_after(SECONDS_MAX):
                    await deliveries.receive()
            info = await other.queue("left").info()
            assert (info.ready, info.leased, info.consumers) == (20, 0, 0)


async def test_a_peek_sees_attempts_and_all_that_was_asked_for(single: LocalCluster) -> None:
    """Without leasing anything."""
    async with haqactor.connect(single.url) as broker, broker.producer("peeked") as producer:
        queue = await declared(broker, "peeked", b"failed", b"b", b"c", max_attempts=9)
        for attempt in (1, 2, 3):
            message = await receive(queue)
            assert (message.body, message.attempt) == (b"failed", attempt)
            await message.nack(delay=0.0)
        looked = await queue.peek()
        assert [message.attempt for message in looked] == [4, 1, 1]
        assert [message.redelivered for message in looked] == [True, False, False]
        bodies = [bytes([number % 256]) * 2_000 for number in range(5_000)]
        await producer.publish_many("peeked", bodies)
        assert [message.body for message in (await queue.peek(limit=10_000))[3:]] == bodies
        assert len(await queue.peek(limit=4_321)) == 4_321
        assert (await queue.info()).leased == 0


@pytest.mark.slow
async def test_a_full_queue_refuses_until_there_is_room(small: LocalCluster) -> None:
    """And a higher limit is room, too."""
    async with haqactor.connect(small.url) as broker:
        queue = await broker.declare("bounded", max_messages=5)
        assert (await broker.declare("bounded")).changes == {}
        for number in range(5):
            await broker.publish("bounded", b"%d" % number)
        with pytest.raises(haqactor.Overloaded, match="holds 5 of 5 messages") as caught:
            await broker.publish("bounded", b"too many")
        assert caught.value.retry_after > 0
        message = await queue.get()
        await message.ack()
        await broker.publish("bounded", b"fits")
        changed = await broker.declare("bounded", max_messages=7)
        assert changed.changes == {"max_messages": (5, 7)}
        for body in (b"a", b"b"):
            await broker.publish("bounded", body)
        with pytest.raises(haqactor.Overloaded):
            await broker.publish("bounded", b"too many")
