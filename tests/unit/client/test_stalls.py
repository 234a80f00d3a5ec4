"""A consumer that a node forgot notices, asks, and subscribes anew; one whose queue is empty leaves the node
in peace."""

from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from tests.builders.fake_node import FakeCluster
from tests.builders.fake_world import fake_environment

STALL_S = 10
TICK_S = 1


def asked(cluster: FakeCluster, kind: str) -> list[Any]:
    return [message for _node, message in cluster.seen if type(message).__name__ == kind]


async def test_a_forgotten_consumer_subscribes_anew(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker
) -> None:
    cluster.add_queue("orders")
    queue = broker.queue("orders")
    async with queue.consume() as deliveries:
        cluster.consumers.clear()
        await broker.publish("orders", b"a")
        start = trio.current_time()
        async with await deliveries.receive() as message:
            assert message.body == b"a"
        assert STALL_S - TICK_S <= trio.current_time() - start <= STALL_S + 2 * TICK_S
        assert queue.statistics().stalls == 1
    assert queue.statistics().stalls == 1
    assert [message.attempt for message in asked(cluster, "Subscribe")] == [1, 2]


async def test_what_is_held_is_claimed_and_not_delivered_again(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    for body in (b"a", b"b"):
        await broker.publish("orders", body)
    async with broker.queue("orders").consume() as deliveries:
        first, second = await deliveries.receive(), await deliveries.receive()
        await broker.publish("orders", b"c")
        cluster.consumers.clear()
        async with first, second:
            await trio.lowlevel.checkpoint()
            async with await deliveries.receive() as third:
                assert third.body == b"c"
    assert fake.released == []
    assert all(item.done for item in fake.messages)


async def test_an_empty_queue_is_asked_once_in_ten_seconds_and_subscribed_to_once(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker
) -> None:
    cluster.add_queue("orders")
    async with broker.queue("orders").consume():
        await trio.sleep(100)
    assert 8 <= len(asked(cluster, "Info")) <= 10
    assert len(asked(cluster, "Subscribe")) == 1


async def test_a_consumer_that_takes_no_more_asks_nothing(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker
) -> None:
    """Its whole credit is in hand, or lies in its buffer: it is not the node that is slow."""
    cluster.add_queue("orders")
    for body in (b"a", b"b", b"c"):
        await broker.publish("orders", body)
    async with broker.queue("orders").consume(credit=1) as deliveries:
        async with await deliveries.receive():
            await trio.sleep(60)
        assert asked(cluster, "Info") == []


async def test_a_queue_that_has_its_reasons_is_asked_ever_more_seldom(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deliver() -> None:
        """Not now."""

    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "deliver", deliver)
        async with broker.queue("orders").consume() as deliveries:
            await trio.sleep(310)  # after 10, 20, 40, 60, 60, 60 s
            assert 5 <= broker.queue("orders").statistics().stalls <= 6
            patch.undo()
            async with await deliveries.receive():
                pass
            cluster.consumers.clear()
            await broker.publish("orders", b"b")
            start = trio.current_time()
            async with await deliveries.receive():
                pass
            assert trio.current_time() - start <= STALL_S + 2 * TICK_S  # a delivery ends the waiting


async def test_a_leader_that_leads_no_more_and_did_not_say_so(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker
) -> None:
    cluster.add_queue("orders")
    async with broker.queue("orders").consume() as deliveries:
        await cluster.elect(1, push=False)
        async with open_session(cluster, fake_environment()) as other:
            await other.publish("orders", b"a")
        with trio.fail_after(STALL_S + 2 * TICK_S):
            async with await deliveries.receive() as message:
                assert message.body == b"a"


async def test_a_leader_that_does_not_answer_the_question_is_subscribed_to_anew(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker
) -> None:
    cluster.add_queue("orders")
    async with broker.queue("orders").consume() as deliveries:
        cluster.consumers.clear()
        cluster.before = lambda _node, message: type(message).__name__ == "Info"
        await broker.publish("orders", b"a")
        with trio.fail_after(2 * STALL_S + 3 * TICK_S):
            async with await deliveries.receive():
                pass


async def test_get_and_poll_do_not_wait_for_a_node_that_forgot_them(
    autojump_clock: MockClock, cluster: FakeCluster, broker: Broker
) -> None:
    cluster.add_queue("orders")
    queue = broker.queue("orders")
    async with trio.open_nursery() as nursery:
        taken = trio.Event()
        nursery.start_soon(take, broker, taken)
        await trio.sleep(1)
        cluster.consumers.clear()
        await broker.publish("orders", b"a")
        with trio.fail_after(STALL_S + 2 * TICK_S):
            await taken.wait()
    swallowed: list[Any] = []

    def swallow(_node: object, message: Any) -> bool:
        if type(message).__name__ == "Poll" and not swallowed:
            swallowed.append(message)
            return True
        return False

    cluster.before = swallow
    with trio.fail_after(STALL_S + 3 * TICK_S):
        assert await queue.poll() is None
    assert queue.statistics().stalls == 2


async def take(broker: Broker, taken: trio.Event) -> None:
    async with await broker.queue("orders").get():
        taken.set()


async def test_it_can_be_switched_off(autojump_clock: MockClock, cluster: FakeCluster) -> None:
    cluster.add_queue("orders")
    async with open_session(cluster, fake_environment(), Options(stall_ns=0)) as broker:
        async with broker.queue("orders").consume() as deliveries:
            cluster.consumers.clear()
            await broker.publish("orders", b"a")
            with trio.move_on_after(300) as scope:
                await deliveries.receive()
            assert scope.cancelled_caught
            assert asked(cluster, "Info") == []
