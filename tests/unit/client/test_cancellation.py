"""The cancellation table: what is promised when each wait is cancelled."""

from typing import Any

import pytest
import trio

from haqactor.client.broker import Broker, open_session
from haqactor.client.lane import Request
from haqactor.client.message import Message
from haqactor.errors import LeaseLost
from tests.builders.fake_node import FakeCluster, FakeNode
from tests.builders.fake_world import fake_environment


def kinds(cluster: FakeCluster, name: str) -> list[Any]:
    return [message for _node, message in cluster.seen if type(message).__name__ == name]


async def test_publish_cancelled_before_it_left_is_not_stored(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"first")
    await cluster.elect(-1)
    with trio.move_on_after(0.05) as scope:
        await broker.publish("orders", b"never")
    assert scope.cancelled_caught
    await cluster.elect(1)
    await broker.publish("orders", b"second")
    assert [item.body.body for item in fake.messages] == [b"first", b"second"]


async def test_publish_cancelled_after_it_left_is_driven_to_its_outcome(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    swallow = True

    def after(_node: FakeNode, message: Any) -> bool:
        return swallow and type(message).__name__ == "Publish"

    cluster.after = after
    async with broker.producer("p") as producer:
        with trio.move_on_after(0.05):
            await producer.publish("orders", b"x")
        (left,) = producer.outstanding()
        assert (left.queue, left.producer_seq, left.count) == ("orders", 1, 1)
        swallow = False
        receipt_of_retry = await producer.publish("orders", b"x", seq=1)
        assert (receipt_of_retry.seq, receipt_of_retry.duplicate) == (1, True)
        await cluster.elect(1)
    assert producer.outstanding() == []
    assert len(fake.messages) == 1


async def test_receive_cancelled_loses_nothing(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    with trio.move_on_after(0.05):
        async with broker.queue("orders").consume() as deliveries:
            await deliveries.receive()
    for number in range(3):
        await broker.publish("orders", b"%d" % number)
    with trio.CancelScope() as scope:
        async with broker.queue("orders").consume() as deliveries:
            async with await deliveries.receive():
                scope.cancel()
    async with broker.queue("orders").consume() as deliveries:
        for number in range(1, 3):
            async with await deliveries.receive() as message:
                assert (message.body, message.attempt) == (b"%d" % number, 1)
    assert [item.failures for item in fake.messages] == [0, 0, 0]


async def test_a_cancelled_receive_takes_nothing_from_the_buffer(
    cluster: FakeCluster, broker: Broker
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    async with broker.queue("orders").consume() as deliveries:
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await deliveries.receive()
        assert scope.cancelled_caught
        assert deliveries.receive_nowait().body == b"x"
    async with broker.queue("orders").consume_batches() as batches:
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await batches.receive()
        assert scope.cancelled_caught
        assert len(batches.receive_nowait()) == 1


async def test_body_cancelled_by_the_users_scope_is_released_uncharged(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    async with broker.queue("orders").consume() as deliveries:
        with trio.CancelScope() as scope:
            async with await deliveries.receive():
                scope.cancel()
                await trio.sleep_forever()
        async with await deliveries.receive() as message:
            assert (message.attempt, message.redelivered) == (1, False)
    assert fake.released == [1]
    assert fake.nacks == []


async def test_body_that_fails_is_charged_and_the_error_is_its_own(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")

    async def consume() -> None:
        async with broker.queue("orders").consume() as deliveries:
            async with await deliveries.receive():
                raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        await consume()
    assert type(caught.value) is ValueError
    assert fake.nacks == [(1, -1, "ValueError: mine")]


async def test_group_of_cancellations_and_errors_counts_as_failed(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    async with broker.queue("orders").consume() as deliveries:

        async def body() -> None:
            async with await deliveries.receive(), trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                raise ValueError("mine")

        with pytest.raises(ExceptionGroup):
            await body()
    assert len(fake.nacks) == 1


async def test_lost_lease_cancels_the_body_and_is_raised_at_its_exit(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x", message_id="m-1")
    async with broker.queue("orders").consume(credit=1) as deliveries:
        message = await deliveries.receive()

        async def body() -> None:
            async with message:
                await cluster.lose(fake, 1)
                await trio.sleep_forever()

        with trio.fail_after(2), pytest.raises(LeaseLost) as caught:
            await body()
        assert caught.value.message_id == "m-1"
        with pytest.raises(LeaseLost):
            await message.ack()
        async with await deliveries.receive() as again:
            assert again.id == "m-1"
    assert fake.nacks == []


async def test_cancelled_at_the_exit_of_a_clean_body_still_acknowledges(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    with trio.CancelScope() as scope:
        async with broker.queue("orders").consume() as deliveries:
            async with await deliveries.receive():
                scope.cancel()  # the body ends cleanly; the checkpoint behind it raises
    assert scope.cancelled_caught
    assert fake.messages[0].done


async def test_leaving_cancelled_waits_no_longer_than_the_grace(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    start = trio.current_time()
    with trio.CancelScope() as scope:
        async with broker.queue("orders").consume() as deliveries:
            async with await deliveries.receive():
                cluster.before = lambda _node, message: type(message).__name__ in ("Settle", "Unsubscribe")
                scope.cancel()
    assert 1.9 < trio.current_time() - start < 2.2
    cluster.before = None


async def test_cancelled_while_it_leaves_after_a_clean_body_nothing_stays_behind(
    cluster: FakeCluster, broker: Broker
) -> None:
    """A deadline that passes just then: what was done is acknowledged, the rest is back, the leader knows."""
    fake = cluster.add_queue("orders")
    for _ in range(3):
        await broker.publish("orders", b"x")
    queue = broker.queue("orders")
    with trio.CancelScope() as scope:
        async with queue.consume() as deliveries:
            for _ in range(2):
                async with await deliveries.receive():
                    pass
            scope.cancel()
    assert not cluster.consumers
    assert [(item.done, item.lease) for item in fake.messages] == [(True, None)] * 2 + [(False, None)]
    with trio.CancelScope() as scope:
        async with queue.consume_batches() as batches:
            async with await batches.receive() as batch:
                assert [message.attempt for message in batch.messages] == [1]
            scope.cancel()
    assert not cluster.consumers
    assert all(item.done for item in fake.messages)
    await broker.publish("orders", b"y")
    await trio.sleep(0.1)
    assert fake.messages[3].lease is None
    assert fake.nacks == []


@pytest.mark.parametrize("unanswered", ["Settle", "Unsubscribe"])
async def test_where_the_grace_runs_out_the_leader_is_told_all_the_same(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock, unanswered: str
) -> None:
    """It lives, and answers slowly: behind a settlement that it has not answered comes the last one, and that
    the consumer is gone."""
    fake = cluster.add_queue("orders")
    for _ in range(4):
        await broker.publish("orders", b"x")
    cluster.after = lambda _node, message: type(message).__name__ == unanswered

    async def handle(message: Message) -> None:
        async with message:  # in a task outside the block, which has not ended yet
            await trio.sleep(1)

    async with trio.open_nursery() as handlers:
        start = trio.current_time()
        with trio.CancelScope() as scope:
            async with broker.queue("orders").consume() as deliveries:
                for _ in range(2):
                    async with await deliveries.receive():
                        pass
                    await trio.sleep(0.01)
                if unanswered == "Settle":
                    handlers.start_soon(handle, await deliveries.receive())
                scope.cancel()
        assert 1.9 < trio.current_time() - start < 2.2
    await trio.sleep(0.01)
    assert [item.done for item in fake.messages] == [True, True, unanswered == "Settle", False]
    assert not cluster.consumers
    assert [item.lease for item in fake.messages] == [None] * 4
    assert len(kinds(cluster, "Unsubscribe")) == 1
    cluster.after = None


async def test_a_cancelled_aclose_is_gone_on_with_when_the_block_is_left(
    cluster: FakeCluster, broker: Broker, nursery: trio.Nursery
) -> None:
    fake = cluster.add_queue("orders")
    for _ in range(2):
        await broker.publish("orders", b"x")
    closed: list[str] = []

    async def receive_on() -> None:
        try:
            await deliveries.receive()
        except trio.ClosedResourceError as error:
            closed.append(str(error))

    async with broker.queue("orders").consume() as deliveries:
        messages = [await deliveries.receive() for _ in range(2)]
        nursery.start_soon(receive_on)
        async with messages[0]:
            pass
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await deliveries.aclose()
        assert scope.cancelled_caught
        with trio.fail_after(1), pytest.raises(trio.ClosedResourceError):
            await deliveries.receive()
        with pytest.raises(trio.ClosedResourceError):
            deliveries.receive_nowait()
        await trio.testing.wait_all_tasks_blocked()
        assert len(closed) == 1  # whoever waited hears of it at once
        async with messages[1]:  # and what was taken can be done yet
            pass
    assert [item.done for item in fake.messages] == [True, True]
    assert not cluster.consumers


async def test_leaving_the_broker_releases_flushes_and_closes(cluster: FakeCluster) -> None:
    fake = cluster.add_queue("orders")
    async with open_session(cluster, fake_environment()) as broker:
        for _ in range(3):
            await broker.publish("orders", b"x")
        message = await broker.queue("orders").get()
        await broker.queue("orders").poll()
    assert [item.lease for item in fake.messages] == [None, None, None]
    assert [len(producer) for producer in cluster.ended] == [16]
    with pytest.raises(trio.ClosedResourceError):
        await broker.publish("orders", b"x")
    with pytest.raises(trio.ClosedResourceError):
        await broker.queue("orders").info()
    with pytest.raises((trio.ClosedResourceError, LeaseLost)):
        await message.ack()
    for node in cluster.nodes:
        assert not node.connections


async def test_clean_exit_with_a_lost_lease_is_counted_and_raised_if_asked_for(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x", message_id="m-1")
    await broker.publish("orders", b"y")
    async with broker.queue("orders").consume(credit=1, raise_lease_lost=True) as deliveries:
        async with await deliveries.receive():
            fake.messages[0].lease = (9, 9)  # somebody else has it by now
            fake.messages[0].holder = None
        with pytest.raises(LeaseLost) as caught:
            await deliveries.receive()
        assert caught.value.message_id == "m-1"
        async with await deliveries.receive() as message:
            assert message.body == b"y"
    assert broker.queue("orders").statistics().refused == 1


async def test_a_cancelled_acknowledgement_is_driven_on_and_can_be_waited_for_again(
    cluster: FakeCluster, broker: Broker, nursery: trio.Nursery
) -> None:
    """The second call waits for the same verdict, and does not take the first for a confirmation."""
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    waits = True
    async with broker.queue("orders").consume() as deliveries:
        message = await deliveries.receive()
        cluster.before = lambda _node, message: waits and type(message).__name__ == "Settle"
        for _ in range(2):
            with trio.move_on_after(0.05) as scope:
                await message.ack()
            assert scope.cancelled_caught
        assert not fake.messages[0].done
        waits = False
        await cluster.elect(1)
        await message.ack()
        assert fake.messages[0].done


async def test_an_acknowledgement_that_was_refused_after_its_caller_left_is_told_to_the_next(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    async with broker.queue("orders").consume(credit=1) as deliveries:
        message = await deliveries.receive()
        fake.messages[0].lease = (9, 9)  # somebody else has it by now
        fake.messages[0].holder = None
        with trio.CancelScope() as scope:
            scope.cancel()
            await message.ack()
        assert scope.cancelled_caught
        for _ in range(2):
            with pytest.raises(LeaseLost):
                await message.ack()


async def test_after_a_clean_exit_the_acknowledgement_can_be_waited_for(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    async with broker.queue("orders").consume() as deliveries:
        async with await deliveries.receive() as message:
            pass
        assert not fake.messages[0].done
        await message.ack()
        assert fake.messages[0].done


async def test_a_cancelled_batch_is_released_as_a_whole_but_for_what_was_settled(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    async with broker.producer("p") as producer:
        await producer.publish_many("orders", [b"%d" % number for number in range(4)])
    async with broker.queue("orders").consume_batches() as batches:
        with trio.CancelScope() as scope:
            async with await batches.receive() as batch:
                await batch.ack(batch.messages[:1])
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        async with await batches.receive() as batch:
            assert [(each.seq, each.attempt) for each in batch.messages] == [(2, 1), (3, 1), (4, 1)]
    assert fake.nacks == []


async def test_publish_many_cancelled_drives_the_batches_that_left_and_drops_the_others(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    swallow = True
    cluster.after = lambda _node, message: swallow and type(message).__name__ == "Publish"
    async with broker.producer("p") as producer:
        with trio.move_on_after(0.05):  # 256 batches are under way at most, and one message is a batch here
            await producer.publish_many("orders", [bytes(200_000)] * 300)
        left = producer.outstanding()
        assert (left[0].producer_seq, len(left)) == (1, 256)
        swallow = False
        await cluster.elect(1)
    assert len(fake.messages) == 256


async def test_a_cancelled_declaration_may_be_done_and_is_declared_again(
    cluster: FakeCluster, broker: Broker
) -> None:
    cluster.after = lambda _node, message: type(message).__name__ == "Declare"
    with trio.move_on_after(0.05) as scope:
        await broker.declare("orders", lease=5.0)
    assert scope.cancelled_caught
    lanes = broker.session.core.lanes.values()
    assert [one for lane in lanes for one in lane.sources if isinstance(one, Request)] == []  # withdrawn
    cluster.after = None
    queue = await broker.declare("orders", lease=5.0)
    assert (queue.created, queue.changes) == (False, {})


async def test_cancelled_while_it_subscribes_it_holds_nothing(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    cluster.after = lambda _node, message: type(message).__name__ == "Subscribe"
    with trio.move_on_after(0.05) as scope:
        async with broker.queue("orders").consume():
            pytest.fail("the leader's answer was lost")
    assert scope.cancelled_caught
    cluster.after = None
    assert not cluster.consumers
    assert fake.messages[0].lease is None
    message = await broker.queue("orders").get()
    assert message.attempt == 1


async def test_leaving_a_producer_cancelled_is_bounded_by_the_grace(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add_queue("orders")
    cluster.after = lambda _node, message: type(message).__name__ == "Publish"
    start = trio.current_time()
    with trio.move_on_after(1):
        async with broker.producer("p") as producer:
            await producer.publish("orders", b"x")
    assert 2.9 < trio.current_time() - start < 3.2
    cluster.after = None


async def test_a_cancelled_extension_changes_nothing_else(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    async with broker.queue("orders").consume() as deliveries:
        async with await deliveries.receive() as message:
            cluster.after = lambda _node, message: type(message).__name__ == "Extend"
            with trio.move_on_after(0.05) as scope:
                await message.extend(60.0)
            assert scope.cancelled_caught
            cluster.after = None
    assert fake.messages[0].done
