"""Leaders die, move, fall silent and cannot be reached: nothing is lost, nothing is stored twice."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio

from haqactor import batch
from haqactor.client.broker import Broker, open_session
from haqactor.client.errors import PublishUnknown
from haqactor.client.options import Options
from haqactor.errors import NoQuorum, OutcomeUnknown, Overloaded, ProtocolError, TooLarge
from tests.builders.fake_node import FakeCluster, FakeNode
from tests.builders.fake_world import fake_environment


def kinds(cluster: FakeCluster, name: str) -> list[Any]:
    return [message for _node, message in cluster.seen if type(message).__name__ == name]


async def fail_over(cluster: FakeCluster, to: int) -> None:
    """kill -9 of the leader, then an election."""
    cluster.nodes[cluster.leader].kill()
    await trio.sleep(0.02)
    await cluster.elect(to)


async def test_publishes_in_flight_survive_the_leaders_death(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    receipts: list[int] = []

    async def publish(number: int) -> None:
        receipts.append((await broker.publish("orders", b"%d" % number)).seq)

    cluster.after = lambda node, message: type(message).__name__ == "Publish" and node.number == 0
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(publish, number)
            await trio.sleep(0.01)
            await fail_over(cluster, 1)
    assert sorted(receipts) == list(range(1, 101))
    assert len(fake.messages) == 100
    assert len({item.body.body for item in fake.messages}) == 100


def published(cluster: FakeCluster, node: int) -> list[tuple[int, int]]:
    """The batches that a node saw: first number and count."""
    return [(m.first, m.count) for at, m in cluster.seen if type(m).__name__ == "Publish" and at == node]


async def test_resent_batches_have_the_same_boundaries_and_order(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    lost = {"on": True}
    cluster.before = lambda node, message: (
        type(message).__name__ == "Publish" and node.number == 0 and lost["on"]
    )
    async with broker.producer("p") as producer:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(producer.publish_many, "orders", [b"%d" % number for number in range(700)])
                while len(published(cluster, 0)) < 3:
                    await trio.lowlevel.checkpoint()
                await fail_over(cluster, 2)
    assert published(cluster, 0) == published(cluster, 2) == [(1, 256), (257, 256), (513, 188)]
    assert [item.body.body for item in fake.messages] == [b"%d" % number for number in range(700)]


async def test_redirected_by_not_leader(cluster: FakeCluster, broker: Broker) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await cluster.elect(2, push=False)
    with trio.fail_after(1):
        assert (await broker.publish("orders", b"b")).seq == 2


async def test_redirected_without_a_hint_asks_around(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await cluster.elect(-1, push=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, "orders", b"b")
        await trio.sleep(1)
        await cluster.elect(1, push=False)
        with trio.move_on_after(2) as scope:
            await broker.publish("orders", b"c")
    assert not scope.cancelled_caught


async def test_no_leader_for_the_patience_is_no_quorum(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await cluster.elect(-1)
    start = trio.current_time()
    with pytest.raises(NoQuorum):
        await broker.publish("orders", b"b")
    assert 4.9 < trio.current_time() - start < 5.5
    with pytest.raises(NoQuorum):
        await broker.queue("orders").info()
    await cluster.elect(1)
    assert (await broker.publish("orders", b"c")).seq == 2


async def test_sent_and_no_leader_is_outcome_unknown_and_can_be_retried(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    fake = cluster.add_queue("orders")
    cluster.after = lambda node, message: type(message).__name__ == "Publish" and node.number == 0
    async with broker.producer("p") as producer:
        async with trio.open_nursery() as nursery:
            caught: list[OutcomeUnknown] = []

            async def publish() -> None:
                try:
                    await producer.publish("orders", b"b")
                except OutcomeUnknown as error:
                    caught.append(error)

            nursery.start_soon(publish)
            await trio.sleep(0.5)
            await cluster.elect(-1)
        (error,) = caught
        assert isinstance(error, PublishUnknown)
        assert (error.queue, error.producer_seq, error.code) == ("orders", 1, "outcome_unknown")
        await cluster.elect(1)
        receipt = await error.retry()
        assert (receipt.seq, receipt.producer_seq, receipt.duplicate) == (1, 1, True)
    assert len(fake.messages) == 1


async def test_silent_leader_is_left_within_1200_ms(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    cluster.nodes[0].mute = True
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, "orders", b"b")
        await trio.sleep(0.7)
        await cluster.elect(1)  # the others have noticed
    assert trio.current_time() - start <= 0.8
    cluster.nodes[1].mute = True
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.publish, "orders", b"c")
        await trio.sleep(0.01)
        cluster.leader, cluster.term = 2, 3  # nobody who could tell is heard: the silence itself must do
    assert trio.current_time() - start <= 4
    assert [item.body.body for item in fake.messages] == [b"a", b"b", b"c"]


async def test_idle_connections_are_pinged_every_ten_seconds(
    cluster: FakeCluster, broker: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    await trio.sleep(35)
    assert 2 * 3 <= len(kinds(cluster, "Ping")) <= 2 * 4


async def test_a_second_connection_hears_of_new_leaders(cluster: FakeCluster, broker: Broker) -> None:
    await trio.sleep(0.05)
    assert sum(len(node.connections) for node in cluster.nodes) == 2


async def test_an_overloaded_leader_is_asked_again_in_order(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    refused = [0]

    def before(_node: FakeNode, message: Any) -> bool:
        if type(message).__name__ == "Publish" and message.first == 257 and refused[0] < 2:
            refused[0] += 1
            raise Overloaded("full", retry_after=0.01)
        return False

    script(cluster, before)
    async with broker.producer("p") as producer:
        receipts = await producer.publish_many("orders", [b"%d" % number for number in range(1000)])
    assert [receipt.seq for receipt in receipts] == list(range(1, 1001))
    assert [item.body.body for item in fake.messages] == [b"%d" % number for number in range(1000)]


async def test_an_overloaded_leader_is_asked_again_when_it_said_so(
    cluster: FakeCluster, broker: Broker
) -> None:
    """Not when something else happens to wake the session."""
    cluster.add_queue("orders")
    await broker.publish("orders", b"0")
    refused = [0]

    def before(_node: FakeNode, message: Any) -> bool:
        if type(message).__name__ == "Publish" and not refused[0]:
            refused[0] += 1
            raise Overloaded("full", retry_after=0.1)
        return False

    script(cluster, before)
    began = trio.current_time()
    await broker.publish("orders", b"1")
    assert refused == [1]
    assert 0.1 <= trio.current_time() - began < 0.12


def script(cluster: FakeCluster, before: Any) -> None:
    """Let ``before`` raise refusals at a publish."""
    publish = cluster._on_publish  # pyright: ignore[reportPrivateUsage]  # the script stands before it

    def scripted(connection: Any, message: Any, blob: bytes) -> Any:
        before(cluster.nodes[cluster.leader], message)
        return publish(connection, message, blob)

    cluster._on_publish = scripted  # type: ignore[method-assign,assignment]  # pyright: ignore[reportPrivateUsage]


async def test_a_refused_batch_leaves_no_hole(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")

    def before(_node: FakeNode, message: Any) -> bool:
        if type(message).__name__ == "Publish" and message.first == 257 and not refused:
            refused.append(True)
            raise TooLarge("over the limit", limit=1)
        return False

    refused: list[bool] = []
    script(cluster, before)
    async with broker.producer("p") as producer:
        with pytest.raises(TooLarge) as caught:
            await producer.publish_many("orders", [b"%d" % number for number in range(1000)])
        stored: list[Any] = getattr(caught.value, "receipts")  # noqa: B009  # set where it is raised
        assert len(stored) == 1000 - 256
        assert (await producer.publish("orders", b"next")).producer_seq == 1000 - 256 + 1
    assert len(fake.messages) == 1000 - 256 + 1


async def test_messages_that_only_travelled_together_are_not_too_large_together(
    cluster: FakeCluster, broker: Broker
) -> None:
    """What one caller published in a batch of its own is refused whole; what the client gathered goes in
    smaller and smaller batches, and only what is too large alone is refused."""
    fake = cluster.add_queue("orders")
    publish = cluster._on_publish  # pyright: ignore[reportPrivateUsage]  # the script stands before it
    sent: list[int] = []

    def scripted(connection: Any, message: Any, blob: bytes) -> Any:
        sent.append(message.count)
        if message.count > 2 or any(content.body == b"large" for content in batch.unpack(blob, 1 << 20)):
            raise TooLarge("over the limit", limit=2)
        return publish(connection, message, blob)

    cluster._on_publish = scripted  # type: ignore[method-assign,assignment]  # pyright: ignore[reportPrivateUsage]
    refused: list[bytes] = []
    receipts: list[Any] = []

    async def publish_one(producer: Any, body: bytes) -> None:
        try:
            receipts.append(await producer.publish("orders", body))
        except TooLarge:
            refused.append(body)

    bodies = [b"%d" % number for number in range(9)]
    async with broker.producer("p") as producer:
        async with trio.open_nursery() as nursery:
            for body in [*bodies[:5], b"large", *bodies[5:]]:
                nursery.start_soon(publish_one, producer, body)
        assert max(sent) > 2, "the client gathered them"
        with pytest.raises(TooLarge):
            await producer.publish_many("orders", [b"a", b"b", b"c"])
        assert sent[-1] == 3, "a batch of the caller's is never divided"
        assert await producer.last_seq("orders") == len(bodies)
    assert refused == [b"large"]
    assert sorted(receipt.producer_seq for receipt in receipts) == list(range(1, 10))
    assert sorted(message.body.body for message in fake.messages) == bodies


async def test_leaving_waits_for_the_pieces_of_what_was_divided(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")

    def before(_node: FakeNode, message: Any) -> bool:
        if message.count > 1:
            scope.cancel()
            raise TooLarge("over the limit", limit=1)
        return False

    script(cluster, before)
    async with broker.producer("p") as producer:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                for number in range(8):
                    nursery.start_soon(producer.publish, "orders", b"%d" % number)
    assert scope.cancelled_caught
    assert len(fake.messages) == 8


async def test_connecting_where_nobody_is(autojump_clock: trio.testing.MockClock) -> None:
    cluster = FakeCluster()
    for node in cluster.nodes:
        node.alive = False
    with pytest.raises(NoQuorum, match="node0:7420"):
        async with open_session(cluster, fake_environment()):
            pass
    assert set(cluster.dials) == set(cluster.seeds)


async def test_a_refusal_is_raised_as_itself(cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.refuses = ProtocolError("version 1 is too old; this node speaks 2 to 3")
    with pytest.raises(ProtocolError, match="too old"):
        async with open_session(cluster, fake_environment()):
            pass


@pytest.fixture
async def far(cluster: FakeCluster) -> AsyncGenerator[Broker]:
    """A session that cannot reach the leader itself."""
    cluster.unreachable[cluster.nodes[2].address] = None
    await cluster.elect(2)
    async with open_session(cluster, fake_environment()) as broker:
        yield broker


async def test_an_unreachable_leader_is_reached_through_another_node(
    cluster: FakeCluster, far: Broker, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add_queue("orders")
    start = trio.current_time()
    assert (await far.publish("orders", b"a")).seq == 1
    assert trio.current_time() - start < 3
    async with far.queue("orders").consume() as deliveries:
        async with await deliveries.receive() as message:
            assert message.body == b"a"


async def test_proxy_route_needs_one_node_only(cluster: FakeCluster) -> None:
    cluster.add_queue("orders")
    cluster.leader = 2
    for node in (1, 2):
        cluster.unreachable[cluster.nodes[node].address] = None
    async with open_session(cluster, fake_environment(), Options(proxy=True)) as broker:
        with trio.fail_after(1):
            assert (await broker.publish("orders", b"a")).seq == 1
    assert cluster.nodes[0].hellos == 1


async def test_claims_are_asserted_before_anything_else_is_said(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    for number in range(4):
        await broker.publish("orders", b"%d" % number)
    async with broker.queue("orders").consume() as deliveries:
        with trio.fail_after(5):
            message = await deliveries.receive()
            async with message:
                await fail_over(cluster, 1)
                await trio.sleep(0.05)
            for number in range(1, 4):
                async with await deliveries.receive() as other:
                    assert other.body == b"%d" % number
    at_new = [m for node, m in cluster.seen if node == 1 and type(m).__name__ in ("Subscribe", "Settle")]
    assert type(at_new[0]).__name__ == "Subscribe"
    claims = [(row[2], row[3], bool(row[4])) for row in at_new[0].claims]
    assert claims == [(1, 1, True), (2, 4, False)]
    assert at_new[0].credit_messages == 512 - 4
    assert all(item.done for item in fake.messages)
    assert all(item.failures == 0 for item in fake.messages)


async def test_unconfirmed_acknowledgements_go_to_the_new_leader(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"0")
    cluster.before = lambda node, message: node.number == 0 and type(message).__name__ == "Settle"
    async with broker.queue("orders").consume() as deliveries:
        message = await deliveries.receive()
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(message.ack)
                await trio.sleep(0.01)
                await fail_over(cluster, 1)
    assert fake.messages[0].done


async def test_what_a_new_leader_does_not_know_is_lost(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    for number in range(3):
        await broker.publish("orders", b"%d" % number)
    async with broker.queue("orders").consume() as deliveries:
        assert (await deliveries.receive()).body == b"0"
        for item in fake.messages:
            item.lease = None
        await cluster.elect(1)
        await trio.sleep(0.05)
        with trio.fail_after(2):
            bodies: list[bytes] = []
            while len(bodies) < 3:
                async with await deliveries.receive() as message:
                    bodies.append(message.body)
    assert bodies == [b"0", b"1", b"2"]


async def test_overload_after_a_lost_answer_moves_no_numbers(cluster: FakeCluster, broker: Broker) -> None:
    """The first batch is stored and its answer lost; then the next leader is overloaded for long. Its numbers
    must not go to the batch behind it, which would be taken for its retry and never be stored."""
    fake = cluster.add_queue("orders")
    cluster.after = lambda node, message: type(message).__name__ == "Publish" and node.number == 0
    cluster.before = lambda node, message: (
        type(message).__name__ == "Publish" and node.number == 0 and message.first > 1
    )
    overloaded = {"on": True}

    def before(node: FakeNode, message: Any) -> bool:
        if type(message).__name__ == "Publish" and node.number == 1 and overloaded["on"]:
            raise Overloaded("full", retry_after=0.1)
        return False

    script(cluster, before)
    unknown: list[Exception] = []
    receipts: list[Any] = []

    async def publish(bodies: list[bytes]) -> None:
        try:
            receipts.append(await producer.publish_many("orders", bodies))
        except OutcomeUnknown as error:
            unknown.append(error)

    async with broker.producer("p") as producer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish, [b"a%d" % number for number in range(10)])
            await trio.sleep(0.01)
            nursery.start_soon(publish, [b"b%d" % number for number in range(3)])
            await trio.sleep(0.01)
            await fail_over(cluster, 1)
            await trio.sleep(8)
            overloaded["on"] = False
        assert [receipt.seq for receipt in await producer.publish_many("orders", [b"c"])] == [14]
    bodies = [item.body.body for item in fake.messages]
    assert bodies == [b"a%d" % n for n in range(10)] + [b"b%d" % n for n in range(3)] + [b"c"]
    assert len(unknown) + len(receipts) == 2
    assert unknown
