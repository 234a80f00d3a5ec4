"""A node that takes connections and says nothing, as a stopped process does."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from tests.builders.fake_node import FakeCluster
from tests.builders.fake_world import fake_environment

ELECTION = 0.8
LEFT_WITHIN = 1.2


@pytest.fixture
def fall_silent(cluster: FakeCluster) -> Callable[[], None]:
    def fall() -> None:
        cluster.nodes[cluster.leader].mute = True
        cluster.dials.clear()

    return fall


async def test_left_in_time_and_not_dialed_again_at_once(
    cluster: FakeCluster, broker: Broker, fall_silent: Callable[[], None], autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await trio.sleep(3)
    fall_silent()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, "orders", b"b")
        await trio.sleep(ELECTION)
        await cluster.elect(1, push=False)  # nobody tells us: the silence itself must do
    assert trio.current_time() - start <= LEFT_WITHIN + 0.1
    assert cluster.nodes[0].address not in cluster.dials
    start = trio.current_time()
    await broker.publish("orders", b"c")
    assert trio.current_time() - start < 0.1


async def test_a_leader_that_is_silent_for_us_only_is_reached_through_another(
    cluster: FakeCluster, broker: Broker, fall_silent: Callable[[], None], autojump_clock: MockClock
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    fall_silent()
    start = trio.current_time()
    with trio.fail_after(5):
        await broker.publish("orders", b"b")
    assert trio.current_time() - start <= LEFT_WITHIN + 0.2
    assert [item.body.body for item in fake.messages] == [b"a", b"b"]


async def test_found_again_once_it_speaks(
    cluster: FakeCluster, broker: Broker, fall_silent: Callable[[], None], autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    fall_silent()
    await broker.publish("orders", b"b")
    cluster.nodes[0].mute = False
    await trio.sleep(0.1)
    hellos = cluster.nodes[0].hellos
    async with broker.queue("orders").consume() as deliveries:
        for _ in range(2):
            async with await deliveries.receive():
                pass
        await trio.sleep(5)
        assert cluster.nodes[0].hellos > hellos
        await broker.publish("orders", b"c")
        last = [node for node, message in cluster.seen if type(message).__name__ == "Publish"][-1]
        assert last == 0


async def test_the_one_way_through_a_proxy_is_left_too(
    cluster: FakeCluster, fall_silent: Callable[[], None], autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    async with open_session(cluster, fake_environment(), Options(proxy=True)) as broker:
        await broker.publish("orders", b"a")
        fall_silent()
        await cluster.elect(2, push=False)
        start = trio.current_time()
        await broker.publish("orders", b"b")
        assert trio.current_time() - start <= LEFT_WITHIN + 0.1
