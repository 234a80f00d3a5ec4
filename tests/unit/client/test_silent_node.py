"""A node that takes connections and says nothing, as a stopped process does."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from tests.builders.fake_node import FakeCluster
from tests.builders.fake_world import FakeStream, fake_environment

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


async def test_one_that_hangs_up_at_the_last_moment_ends_its_own_connection_only(
    cluster: FakeCluster,
    broker: Broker,
    fall_silent: Callable[[], None],
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is found silent while its connection, which ended in order, is being closed."""
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    aclose = FakeStream.aclose

    async def slowly(stream: FakeStream) -> None:
        await trio.sleep(0.15)
        await aclose(stream)

    monkeypatch.setattr(FakeStream, "aclose", slowly)
    fall_silent()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, "orders", b"b")
        await trio.sleep(LEFT_WITHIN - 0.1)
        for connection in list(cluster.nodes[0].connections):
            stream: Any = connection.stream
            stream._send.close()  # no more comes, and what we send is still taken
        await trio.sleep(0.2)
        await cluster.elect(1)
    assert LEFT_WITHIN < trio.current_time() - start < LEFT_WITHIN + 0.3
    assert [item.body.body for item in fake.messages] == [b"a", b"b"]
