"""The cancellation table against a real node: what is promised when each wait is cancelled."""

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import trio

import haqactor
from haqactor import Closed, LeaseLost, Queue
from haqactor.cli.launcher import LocalCluster
from tests.builders.local_cluster import until

SECONDS_MAX = 15.0
LEASE_S = 0.5


@contextmanager
def silent(cluster: LocalCluster) -> Generator[None]:
    """The node lives and says nothing."""
    cluster.kill(0, signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.kill(0, signal.SIGCONT)


async def all_back(queue: Queue, ready: int) -> None:
    """The buffer goes back when a block is left, through the log, so a moment later; uncharged."""
    while (info := await queue.info()).leased:  # noqa: ASYNC110 - the leader is asked
        await trio.sleep(0.01)
    assert (info.ready, info.delayed, info.dead) == (ready, 0, 0)


async def test_a_publish_cancelled_before_it_left_is_not_stored(single: LocalCluster) -> None:
    """It waits behind one whose confirmation is outstanding, and is gone when its turn comes."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker, broker.producer("unsent") as producer:
            queue = await broker.declare("unsent")
            await producer.publish("unsent", b"1")
            async with trio.open_nursery() as nursery:
                with silent(single):
                    nursery.start_soon(producer.publish, "unsent", b"2")
                    await until(lambda: len(producer.outstanding()) == 1)
                    with trio.move_on_after(0.1) as scope:
                        await producer.publish("unsent", b"never")
                    assert scope.cancelled_caught
                    assert [left.producer_seq for left in producer.outstanding()] == [2]
            receipt = await producer.publish("unsent", b"3")
            assert (receipt.seq, receipt.producer_seq) == (3, 3)  # it left no hole
            assert [message.body for message in await queue.peek()] == [b"1", b"2", b"3"]


async def test_a_publish_cancelled_after_it_left_may_be_retried(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker, broker.producer("sent") as producer:
            queue = await broker.declare("sent")
            await producer.publish("sent", b"1")
            with silent(single):
                with trio.move_on_after(0.2) as scope:
                    await producer.publish("sent", b"2")
                assert scope.cancelled_caught
                assert [(left.queue, left.producer_seq, left.count) for left in producer.outstanding()] == [
                    ("sent", 2, 1)
                ]
            again = await producer.publish("sent", b"2", seq=2)
            assert (again.seq, again.duplicate) == (2, True)
            await until(lambda: not producer.outstanding())
            assert [message.body for message in await queue.peek()] == [b"1", b"2"]


async def test_a_cancelled_receive_loses_nothing(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("waited", max_attempts=1, lease=60.0)
            async with queue.consume() as deliveries:
                with trio.move_on_after(0.05) as scope:
                    await deliveries.receive()
                assert scope.cancelled_caught
                for number in range(5):
                    await broker.publish("waited", b"%d" % number)
                with trio.CancelScope() as scope:
                    scope.cancel()
                    async for message in deliveries:
                        pytest.fail(f"{message} was handed to somebody who had gone")
                await until(lambda: queue.statistics().buffered == 5)
            await all_back(queue, 5)
            async with queue.consume() as deliveries:
                for number in range(5):
                    async with await deliveries.receive() as message:
                        assert (message.body, message.attempt) == (b"%d" % number, 1)


async def test_a_cancelled_get_or_poll_loses_nothing(single: LocalCluster) -> None:
    """What was on its way goes back, uncharged."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("taken", max_attempts=1, lease=60.0)
            assert await queue.poll() is None  # from now on a leader knows of both
            with trio.move_on_after(0.05):
                await queue.get()
            for take in (queue.get, queue.poll):
                with silent(single):
                    with trio.move_on_after(0.1) as scope:
                        await take()
                    assert scope.cancelled_caught
                await broker.publish("taken", b"x")
                await all_back(queue, 1)
                async with await queue.get() as message:
                    assert (message.body, message.attempt) == (b"x", 1)


async def test_a_cancelled_batch_is_released_but_for_what_was_settled(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker, broker.producer("batch") as producer:
            queue = await broker.declare("batch", max_attempts=1, lease=60.0, backoff=60.0)
            await producer.publish_many("batch", [b"%d" % number for number in range(4)])
            async with queue.consume_batches() as batches:
                with trio.CancelScope() as scope:
                    async with await batches.receive() as batch:
                        await batch.ack(batch.messages[:1])
                        scope.cancel()
                        await trio.sleep_forever()
                assert scope.cancelled_caught
                with trio.fail_after(2):
                    async with await batches.receive() as batch:
                        assert [(each.body, each.attempt) for each in batch.messages] == [
                            (b"1", 1), (b"2", 1), (b"3", 1)
                        ]  # fmt: skip


async def test_a_cancelled_acknowledgement_is_driven_on(single: LocalCluster) -> None:
    """And whoever asks again waits for its confirmation."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("acked", lease=60.0)
            await broker.publish("acked", b"x")
            async with queue.consume() as deliveries:
                message = await deliveries.receive()
                with silent(single):
                    for _ in range(2):
                        with trio.move_on_after(0.1) as scope:
                            await message.ack()
                        assert scope.cancelled_caught
                await message.ack()
                info = await queue.info()
                assert (info.ready, info.leased) == (0, 0)


async def test_a_body_cancelled_by_its_own_scope_releases(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("body", max_attempts=1, lease=60.0, backoff=60.0)
            await broker.publish("body", b"x")
            async with queue.consume() as deliveries:
                for _ in range(3):
                    with trio.move_on_after(0.02) as scope:
                        async with await deliveries.receive() as message:
                            assert (message.attempt, message.redelivered) == (1, False)
                            scope.deadline = trio.current_time() + 0.02
                            await trio.sleep_forever()
                    assert scope.cancelled_caught
                    with trio.fail_after(2):  # at once: no backoff
                        async with await deliveries.receive() as message:
                            assert message.attempt == 1
                    await broker.publish("body", b"x")
                (await deliveries.receive()).give_back()


async def test_a_body_that_fails_is_charged(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("failing", max_attempts=2, dead_letter="failing.dead", backoff=0.01)
            await broker.publish("failing", b"x")
            for attempt in (1, 2):
                with pytest.raises(ValueError, match="mine") as caught:  # noqa: PT012 - as in a program
                    async with await queue.get() as message:
                        assert message.attempt == attempt
                        raise ValueError("mine")
                assert type(caught.value) is ValueError
            assert (await broker.queue("failing.dead").get()).body == b"x"


def hang(seconds: float) -> None:
    """What a body must not do: hold up the whole program, renewals too."""
    time.sleep(seconds)


async def test_a_body_whose_lease_was_lost_is_cancelled(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("lost", lease=LEASE_S)
            await broker.publish("lost", b"x", message_id="m-1")
            async with queue.consume(credit=1) as deliveries:
                message = await deliveries.receive()
                with pytest.raises(LeaseLost) as caught:  # noqa: PT012 - the exit of the body raises
                    async with message:
                        hang(2 * LEASE_S)
                        await trio.sleep_forever()
                assert caught.value.message_id == "m-1"
                with pytest.raises(LeaseLost):
                    await message.ack()
                async with await deliveries.receive() as again:
                    assert again.id == "m-1"
            assert (await queue.info()).ready == 0


async def test_the_implicit_acknowledgement_survives_a_cancellation(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("implicit")
            await broker.publish("implicit", b"x")
            with trio.CancelScope() as scope:
                async with queue.consume() as deliveries:
                    async with await deliveries.receive():
                        scope.cancel()  # the body ends cleanly; the checkpoint behind it raises
            assert scope.cancelled_caught
            info = await queue.info()
            assert (info.ready, info.leased) == (0, 0)


async def test_leaving_cancelled_is_bounded_by_the_grace(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("bounded", lease=60.0)
            await broker.publish("bounded", b"x")
            start = trio.current_time()
            with trio.CancelScope() as scope:
                async with queue.consume() as deliveries:
                    async with await deliveries.receive():
                        single.kill(0, signal.SIGSTOP)
                        scope.cancel()
                        start = trio.current_time()
            single.kill(0, signal.SIGCONT)
            assert scope.cancelled_caught
            assert 1.5 < trio.current_time() - start < 4
            while (info := await queue.info()).leased:  # noqa: ASYNC110 - the leader is asked
                await trio.sleep(0.01)
            assert (info.delayed, info.dead) == (0, 0)
            if info.ready:  # its outcome was unknown: it was acknowledged, or comes again, uncharged
                assert [message.attempt for message in await queue.peek()] == [1]


async def test_cancelled_while_it_leaves_nothing_stays_behind(single: LocalCluster) -> None:
    """The body has ended cleanly, and the deadline of a block around it passes."""
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("behind", lease=60.0, max_attempts=1)
            for number in range(3):
                await broker.publish("behind", b"%d" % number)
            with trio.CancelScope() as scope:
                async with queue.consume() as deliveries:
                    for _ in range(2):
                        async with await deliveries.receive():
                            pass
                    scope.cancel()
            info = await queue.info()
            assert (info.ready, info.leased, info.consumers) == (1, 0, 0)
            await broker.publish("behind", b"3")
            for body in (b"2", b"3"):
                message = await queue.poll()
                assert message is not None
                assert (message.body, message.attempt) == (body, 1)
                await message.ack()


async def test_leaving_the_broker_releases_flushes_and_closes(single: LocalCluster) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(single.url) as broker:
            queue = await broker.declare("left", lease=60.0, max_attempts=1)
            async with broker.producer("left") as producer:
                await producer.publish_many("left", [b"%d" % number for number in range(5)])
            message = await queue.get()
            async with queue.consume(credit=2) as deliveries:
                async with await deliveries.receive():
                    pass
        for late in (lambda: broker.publish("left", b"x"), queue.info, queue.get, message.ack):
            with pytest.raises((Closed, LeaseLost)):
                await late()
        async with haqactor.connect(single.url) as other:
            await all_back(other.queue("left"), 4)
            async with other.queue("left").consume() as deliveries:
                for body in (b"0", b"2", b"3", b"4"):
                    async with await deliveries.receive() as message:
                        assert (message.body, message.attempt) == (body, 1)
