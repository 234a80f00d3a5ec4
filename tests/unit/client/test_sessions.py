"""Nodes that say goodbye, end consumers or turn a session away for good; batches that nobody can read."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor import wire
from haqactor.batch import Content
from haqactor.client.broker import Broker, quiet_logger
from haqactor.client.errors import ConnectionLost
from haqactor.client.message import Message
from haqactor.errors import NotFound, ProtocolError
from tests.builders.fake_node import FakeCluster, FakeNode
from tests.builders.fake_state import FakeConsumer, FakeMessage, FakeQueue


def kinds(cluster: FakeCluster, name: str) -> list[Any]:
    return [message for _node, message in cluster.seen if type(message).__name__ == name]


async def say(node: FakeNode, message: Any, blob: bytes = b"") -> None:
    for connection in list(node.connections):
        await connection.send(message, blob)


async def test_a_node_that_says_goodbye_is_left(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await trio.sleep(0.1)
    (spare,) = [node for node in cluster.nodes if not node.connections]
    await say(cluster.nodes[0], wire.Goodbye("stopping"))
    await trio.sleep(0.1)
    assert spare.connections  # two that stay are wanted
    await cluster.elect(1)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, "orders", b"b")
        cluster.nodes[0].kill()
    assert trio.current_time() - start < 0.1
    await broker.status()
    assert [node for node, message in cluster.seen if type(message).__name__ == "Status"] != [0]


async def test_a_consumer_that_its_node_ended_subscribes_again(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    async with broker.queue("orders").consume() as deliveries:
        async with await deliveries.receive() as message:
            (consumer,) = cluster.consumers
            del cluster.consumers[consumer]
            gone = wire.ConsumerGone(fake.group, consumer.number, "not_leader", "it moved")
            await say(cluster.nodes[0], gone)
            await trio.sleep(1)
            there = [m for node, m in cluster.seen if node == 0 and type(m).__name__ == "Subscribe"]
            assert [m.claims for m in there] == [[], [[1, 1, 1, 1, True]]]
            assert message.attempt == 1
        await broker.publish("orders", b"b")
        with trio.fail_after(1):
            async with await deliveries.receive() as message:
                assert message.body == b"b"
    assert all(item.done for item in fake.messages)


async def test_a_consumer_whose_queue_is_gone_ends(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    async with broker.queue("orders").consume() as deliveries:
        (consumer,) = cluster.consumers
        await say(cluster.nodes[0], wire.ConsumerGone(fake.group, consumer.number, "not_found", "deleted"))
        with trio.fail_after(1):
            for _ in range(2):
                with pytest.raises(NotFound, match="deleted"):
                    await deliveries.receive()


async def test_everybody_who_waits_for_its_messages_hears_that_a_queue_is_gone(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    async with broker.queue("orders").consume() as deliveries:

        async def receive() -> None:
            with pytest.raises(NotFound, match="deleted"):
                await deliveries.receive()

        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(receive)
                await wait_all_tasks_blocked()
                (consumer,) = cluster.consumers
                gone = wire.ConsumerGone(fake.group, consumer.number, "not_found", "deleted")
                await say(cluster.nodes[0], gone)


async def test_serving_a_queue_that_is_gone_ends_with_one_error(
    cluster: FakeCluster, broker: Broker, nursery: trio.Nursery
) -> None:
    """However many workers it has: not a group of as many."""

    async def never(_message: Message) -> None:
        pytest.fail("there is nothing to serve")

    fake = cluster.add_queue("orders")

    async def serve(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with pytest.raises(NotFound, match="deleted"):
            await broker.queue("orders").serve(never, task_status=task_status)
        ended.set()

    ended = trio.Event()
    await nursery.start(serve)
    await wait_all_tasks_blocked()  # every worker waits for a message
    (consumer,) = cluster.consumers
    await say(cluster.nodes[0], wire.ConsumerGone(fake.group, consumer.number, "not_found", "deleted"))
    with trio.fail_after(1):
        await ended.wait()


async def test_a_session_that_every_node_refuses_is_lost(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    async with broker.queue("orders").consume() as deliveries:
        async with await deliveries.receive():
            pass
        for node in cluster.nodes[:2]:
            node.refuses = ProtocolError("another cluster lives here now")
            for connection in list(node.connections):
                connection.stream.abort()
        with trio.move_on_after(10) as scope:  # one may still be down, or not reached yet
            cluster.unreachable[cluster.nodes[2].address] = None
            for connection in list(cluster.nodes[2].connections):
                connection.stream.abort()
            await deliveries.receive()
        assert scope.cancelled_caught
        cluster.unreachable.clear()
        cluster.nodes[2].refuses = cluster.nodes[1].refuses
        with trio.fail_after(5), pytest.raises(ConnectionLost, match="another cluster") as caught:
            await deliveries.receive()
        assert isinstance(caught.value, trio.BrokenResourceError)
        for call in (broker.publish("orders", b"x"), broker.queue("orders").get(), broker.status()):
            with trio.fail_after(1), pytest.raises(ConnectionLost):
                await call


async def test_one_node_that_refuses_does_not_end_a_session(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    cluster.nodes[0].refuses = ProtocolError("too new")
    await cluster.elect(1)
    cluster.nodes[0].kill()
    cluster.nodes[0].alive = True
    await trio.sleep(5)
    await broker.publish("orders", b"b")


async def deliver_garbage(cluster: FakeCluster, fake: FakeQueue, count: int = 3) -> None:
    """A lease over new messages whose batch is none."""
    (consumer,) = [row for row in cluster.consumers if row.uid == fake.uid]
    first = len(fake.messages) + 1
    for _ in range(count):
        fake.messages.append(leased(cluster, consumer))
    part: list[Any] = [1, 999, -1, [[first, first + count - 1]], [], 1, 40]
    message = wire.Deliver(fake.group, consumer.number, fake.uid, cluster.lease_ns, [part])
    await consumer.connection.send(message, bytes(40))


def leased(cluster: FakeCluster, consumer: FakeConsumer) -> FakeMessage:
    ends_ns = round(trio.current_time() * 1e9) + cluster.lease_ns
    return FakeMessage(Content(b""), lease=(1, 999), holder=consumer, lease_ends_ns=ends_ns)


async def test_a_batch_that_does_not_unpack_is_rejected_and_the_channel_goes_on(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    async with broker.queue("orders").consume(credit=10) as deliveries:
        for _ in range(3):
            await deliver_garbage(cluster, fake)
            with trio.fail_after(1), pytest.raises(ProtocolError):
                await deliveries.receive()
        await broker.publish("orders", b"good")
        with trio.fail_after(1):
            async with await deliveries.receive() as message:
                assert message.body == b"good"
    assert sorted(seq for seq, _reason in fake.dead) == list(range(1, 10))
    assert "ProtocolError" in fake.dead[0][1]


async def test_a_batch_that_does_not_unpack_is_rejected_as_a_whole(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    async with broker.queue("orders").consume_batches() as batches:
        await deliver_garbage(cluster, fake)
        async with await batches.receive() as batch:
            assert len(batch) == 3
            with pytest.raises(ProtocolError):
                _ = batch.messages
        await broker.publish("orders", b"good")
        async with await batches.receive() as batch:
            assert [message.body for message in batch.messages] == [b"good"]
    assert [seq for seq, _reason in fake.dead] == [1, 2, 3]
    assert fake.nacks == []


async def test_whoever_gets_one_that_does_not_unpack_hears_of_it(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    async with trio.open_nursery() as nursery:

        async def get() -> None:
            with pytest.raises(ProtocolError):
                await broker.queue("orders").get()

        nursery.start_soon(get)
        await trio.sleep(0.1)
        await deliver_garbage(cluster, fake, 1)
    await broker.publish("orders", b"good")
    with trio.fail_after(1):
        assert (await broker.queue("orders").get()).body == b"good"
    assert [seq for seq, _reason in fake.dead] == [1]
    assert len(kinds(cluster, "Hello")) == 2  # the connections stayed


async def test_a_handler_that_fails_is_logged_in_few_plain_lines(
    cluster: FakeCluster, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.session.log = quiet_logger()
    cluster.add_queue("orders")
    await broker.publish("orders", b"x", message_id="m-1")
    secret = "not for the log"

    async def handler(message: Message) -> None:
        local = secret
        if local:
            scope.cancel()
            raise ValueError("mine")

    with trio.CancelScope() as scope:
        await broker.queue("orders").serve(handler)
    out = capsys.readouterr()
    text = out.err + out.out
    assert "handler failed" in text
    assert "m-1" in text
    assert text.rstrip().endswith("ValueError: mine")
    assert len(text.splitlines()) < 12
    assert secret not in text
