"""Leases are renewed while bodies run and while a live consumer's buffer waits; otherwise they end."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from haqactor.client.broker import Broker
from haqactor.errors import LeaseLost
from tests.builders.fake_node import FakeCluster

LEASE = 3.0


@pytest.fixture
def short(cluster: FakeCluster) -> FakeCluster:
    cluster.lease_ns = round(LEASE * 1e9)
    return cluster


def extends(cluster: FakeCluster) -> list[Any]:
    return [message for _node, message in cluster.seen if type(message).__name__ == "Extend"]


async def test_renewed_while_the_body_runs(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = short.add_queue("orders")
    await broker.publish("orders", b"x")
    async with broker.queue("orders").consume(credit=1) as deliveries:
        async with await deliveries.receive() as message:
            before = message.lease_expires_at
            await trio.sleep(10 * LEASE)
            assert (message.lease_expires_at - before).total_seconds() > 8 * LEASE
    assert fake.messages[0].done
    assert 20 <= len(extends(short)) <= 45


async def test_whole_batches_are_renewed(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = short.add_queue("orders")
    async with broker.producer("p") as producer:
        await producer.publish_many("orders", [b"x"] * 10)
    async with broker.queue("orders").consume_batches() as batches:
        async with await batches.receive():
            await trio.sleep(3 * LEASE)
    assert all(item.done and not item.failures for item in fake.messages)
    assert extends(short)[0].leases == [[1, 1, 1, 10]]


async def test_a_batch_that_was_lost_is_not_settled_in_silence(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    """All that is open of it is nothing, but the messages come again: seed 9938 of profile swarm."""
    short.add_queue("orders")
    async with broker.producer("p") as producer:
        await producer.publish_many("orders", [b"x"] * 10)
    async with broker.queue("orders").consume_batches() as batches:
        batch = await batches.receive()
        await batch.ack(batch.messages[:4])
        await trio.sleep(2 * LEASE)
        with pytest.raises(LeaseLost):
            await batch.ack()
        await batch.ack()  # it was told


async def test_buffer_of_a_live_consumer_is_renewed(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = short.add_queue("orders")
    for number in range(5):
        await broker.publish("orders", b"%d" % number)
    bodies: list[bytes] = []
    async with broker.queue("orders").consume() as deliveries:
        for _ in range(5):
            async with await deliveries.receive() as message:
                bodies.append(message.body)
                await trio.sleep(0.8 * LEASE)
    assert bodies == [b"0", b"1", b"2", b"3", b"4"]
    assert fake.released == []


async def test_buffer_of_a_consumer_that_does_not_receive_goes_back_uncharged(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = short.add_queue("orders")
    for number in range(3):
        await broker.publish("orders", b"%d" % number)
    async with broker.queue("orders").consume() as idle:
        async with await idle.receive() as first:
            assert first.body == b"0"
            await trio.sleep(1.5 * LEASE)
            assert fake.released == [2, 3]
            await trio.sleep(3 * LEASE)
            assert fake.released == [2, 3]  # it is given no others until it receives
            async with broker.queue("orders").consume() as other:
                for number in range(1, 3):
                    async with await other.receive() as message:
                        assert (message.body, message.attempt) == (b"%d" % number, 1)
        await broker.publish("orders", b"3")
        with trio.fail_after(1):
            async with await idle.receive() as last:
                assert last.body == b"3"
    assert all(item.failures == 0 for item in fake.messages)


async def test_lost_in_the_buffer_is_dropped(short: FakeCluster, broker: Broker) -> None:
    fake = short.add_queue("orders")
    for number in range(3):
        await broker.publish("orders", b"%d" % number)
    async with broker.queue("orders").consume(credit=3) as deliveries:
        async with await deliveries.receive():
            pass
        await short.lose(fake, 2)
        fake.messages[1].done = True  # somebody else did it
        await trio.sleep(0.02)
        async with await deliveries.receive() as message:
            assert message.body == b"2"
    assert broker.queue("orders").statistics().dropped == 1


async def test_settled_by_hand_it_is_not_renewed_but_can_be_extended(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    short.add_queue("orders")
    for _ in range(2):
        await broker.publish("orders", b"x")
    queue = broker.queue("orders")
    first, second = await queue.get(), await queue.get()
    await first.extend(10 * LEASE)
    await trio.sleep(2 * LEASE)
    await first.ack()
    with pytest.raises(LeaseLost):
        await second.ack()
    with pytest.raises(LeaseLost):
        await second.extend(1.0)


async def test_a_refused_renewal_ends_the_body(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = short.add_queue("orders")
    await broker.publish("orders", b"x")

    async def body() -> None:
        async with broker.queue("orders").consume(credit=1) as deliveries:
            async with await deliveries.receive():
                fake.messages[0].lease, fake.messages[0].holder = (9, 9), None
                fake.messages[0].lease_ends_ns = 10**18
                await trio.sleep_forever()

    start = trio.current_time()
    with pytest.raises(LeaseLost):
        await body()
    assert trio.current_time() - start < LEASE


async def test_a_lease_that_runs_out_unheard_ends_the_body(
    short: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    short.add_queue("orders")
    await broker.publish("orders", b"x")
    short.before = lambda _node, message: type(message).__name__ == "Extend"

    async def body() -> None:
        async with broker.queue("orders").consume(credit=1) as deliveries:
            async with await deliveries.receive():
                await trio.sleep_forever()

    start = trio.current_time()
    with pytest.raises(LeaseLost):
        await body()
    assert LEASE * 0.9 < trio.current_time() - start < LEASE * 1.3


async def test_started_messages_are_reported(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    for number in range(3):
        await broker.publish("orders", b"%d" % number)
    async with broker.queue("orders").consume() as deliveries:
        first, second = await deliveries.receive(), await deliveries.receive()
        async with second:
            await first.ack()
            assert fake.started == [[2, 2]]
