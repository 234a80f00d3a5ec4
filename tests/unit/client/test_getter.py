"""``get`` and ``poll`` that are cancelled: what was on its way goes back, and the next one gets its own."""

from typing import Any

import trio

from haqactor.client.broker import Broker
from tests.builders.fake_node import FakeCluster, FakeNode


def kinds(cluster: FakeCluster, name: str) -> list[Any]:
    return [message for _node, message in cluster.seen if type(message).__name__ == name]


async def test_a_get_that_is_cancelled_while_its_message_comes_gives_it_back(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    queue = broker.queue("orders")
    with trio.move_on_after(0.01):
        await queue.get()
    (getter,) = broker.getters.values()
    arrived = getter.arrived

    def cancelled_and_arrived() -> None:
        scope.cancel()  # between two steps of the task that waits
        arrived()

    async def publish_once_it_waits() -> None:
        await trio.testing.wait_all_tasks_blocked()
        getter.arrived = cancelled_and_arrived  # type: ignore[method-assign]  # for this message
        await broker.publish("orders", b"x")

    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        with scope:
            nursery.start_soon(publish_once_it_waits)
            await queue.get()
    assert scope.cancelled_caught
    getter.arrived = arrived  # type: ignore[method-assign]  # as it was
    with trio.fail_after(2):
        message = await queue.get()
    assert message.attempt == 1
    assert fake.nacks == []


async def test_gets_that_are_cancelled_one_after_the_other_ask_for_one_message(
    cluster: FakeCluster, broker: Broker
) -> None:
    """Not for one each, which a burst would then bring to nobody."""
    fake = cluster.add_queue("orders")
    queue = broker.queue("orders")
    for number in range(20):
        with trio.move_on_after(0.02) as scope:
            await queue.get()
        assert scope.cancelled_caught
        if number % 10 == 9:
            await cluster.elect((cluster.leader + 1) % 3)
    await trio.sleep(0.05)
    assert [consumer.messages for consumer in cluster.consumers] == [0]  # nobody waits at a new leader
    for _ in range(20):
        with trio.move_on_after(0.02) as scope:
            await queue.get()
    assert [consumer.messages for consumer in cluster.consumers] == [1]
    for _ in range(5):
        await broker.publish("orders", b"x")
    with trio.fail_after(2):
        while (await queue.info()).leased:  # noqa: ASYNC110 - the leader is asked
            await trio.sleep(0.01)
        assert len(fake.released) == 1
        async with trio.open_nursery() as nursery:

            async def get(count: int) -> None:
                for _ in range(count):
                    await (await queue.get()).ack()

            for count in (1, 2, 2):
                nursery.start_soon(get, count)
    await trio.sleep(0.05)
    assert all(item.done for item in fake.messages)
    assert len(fake.released) == 1
    assert [consumer.messages for consumer in cluster.consumers] == [0]


async def test_a_cancelled_poll_gives_a_late_message_back(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"x")
    queue = broker.queue("orders")
    with trio.CancelScope() as scope:

        def before(_node: FakeNode, message: Any) -> bool:
            if type(message).__name__ == "Poll":
                scope.cancel()
            return False

        cluster.before = before
        await queue.poll()
    assert scope.cancelled_caught
    with trio.fail_after(2):
        message = await queue.get()
    assert message.attempt == 1
    assert fake.nacks == []


async def test_after_cancelled_polls_the_next_is_answered(cluster: FakeCluster, broker: Broker) -> None:
    """None, where nothing is ready: what came for nobody, before or after its answer, is not awaited for
    ever."""
    cluster.add_queue("orders")
    queue = broker.queue("orders")
    assert await queue.poll() is None
    for number in range(6):
        await broker.publish("orders", b"x")
        with trio.CancelScope() as scope:

            def before(_node: FakeNode, message: Any, scope: trio.CancelScope = scope) -> bool:
                if type(message).__name__ == "Poll":
                    scope.cancel()
                return False

            cluster.before = before
            if number % 2:
                await queue.poll()
            else:
                async with trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(queue.poll)
        assert scope.cancelled_caught
        cluster.before = None
        with trio.fail_after(2):
            while (await queue.info()).leased:  # noqa: ASYNC110 - the leader is asked
                await trio.sleep(0.01)
            message = await queue.poll()
            assert message is not None
            assert message.attempt == 1
            await message.ack()
            assert await queue.poll() is None


async def test_who_waits_for_a_message_that_ran_out_on_its_way_gets_another(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    queue = broker.queue("orders")
    assert await queue.poll() is None
    await broker.publish("orders", b"x")
    cluster.lease_ns = 0
    with trio.fail_after(2):
        assert await queue.poll() is None  # it is leased yet, as far as the leader knows
        async with trio.open_nursery() as nursery:

            async def get() -> None:
                await (await queue.get()).release()

            nursery.start_soon(get)
            await trio.sleep(0.05)
            cluster.lease_ns = 30_000_000_000
    assert fake.released == [1]


async def test_polls_that_were_cancelled_unsent_are_not_sent(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    queue = broker.queue("orders")
    assert await queue.poll() is None
    await broker.publish("orders", b"x")
    await cluster.elect(-1)
    for _ in range(10):
        with trio.move_on_after(0.01) as scope:
            await queue.poll()
        assert scope.cancelled_caught
    cluster.seen.clear()
    await cluster.elect(1)
    with trio.fail_after(2):
        assert await queue.poll() is not None
    assert len(kinds(cluster, "Poll")) == 1
    assert fake.released == []
