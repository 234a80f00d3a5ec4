"""Without a leader: what is bounded raises NoQuorum after the patience, what waits goes on waiting."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from haqactor import wire
from haqactor.client.broker import Broker, open_session
from haqactor.client.errors import RequestUnknown, SettlementUnknown
from haqactor.client.options import Options
from haqactor.errors import NoQuorum, NotFound
from haqactor.ids import METADATA_GROUP
from tests.builders.fake_node import FakeCluster, FakeNode
from tests.builders.fake_world import fake_environment

PATIENCE = 5.0


async def refused_after_the_patience(call: Callable[[], Awaitable[object]]) -> None:
    start = trio.current_time()
    with trio.fail_after(4 * PATIENCE), pytest.raises(NoQuorum):
        await call()
    assert PATIENCE - 0.1 < trio.current_time() - start < PATIENCE + 0.5


async def test_poll_and_extend_give_up_after_the_patience(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    queue = broker.queue("orders")
    message = await queue.get()
    assert await queue.poll() is None
    await cluster.elect(-1)
    for _ in range(2):  # the second time no less patiently
        await refused_after_the_patience(queue.poll)
        await refused_after_the_patience(lambda: message.extend(60.0))
    await cluster.elect(1)
    with trio.fail_after(1):
        await message.extend(60.0)
        assert await queue.poll() is None
        await broker.publish("orders", b"b")
        found = await queue.poll()
        assert found is not None
        assert found.body == b"b"


async def test_a_first_poll_gives_up_too(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await cluster.elect(-1)
    await refused_after_the_patience(broker.queue("orders").poll)
    await cluster.elect(2)
    with trio.fail_after(1):
        found = await broker.queue("orders").poll()
    assert found is not None


async def test_get_and_receive_wait_through_a_long_election(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    cluster.add_queue("others")
    got: list[bytes] = []

    async def get() -> None:
        got.append((await broker.queue("others").get()).body)

    async with broker.queue("orders").consume() as deliveries, trio.open_nursery() as nursery:
        await cluster.elect(-1)
        nursery.start_soon(get)
        with trio.move_on_after(3 * PATIENCE) as scope:
            await deliveries.receive()
        assert scope.cancelled_caught
        await cluster.elect(1)
        with trio.fail_after(1):
            await broker.publish("orders", b"a")
            await broker.publish("others", b"b")
            async with await deliveries.receive() as message:
                assert message.body == b"a"
    assert got == [b"b"]


async def test_get_waits_where_nobody_even_says_where_the_queue_is(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    for node in cluster.nodes:
        node.mute = True
    got: list[bytes] = []

    async def get() -> None:
        got.append((await broker.queue("orders").get()).body)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(get)
        await trio.sleep(3 * PATIENCE)
        for node in cluster.nodes:
            node.mute = False
        await broker.publish("orders", b"a")
    assert got == [b"a"]


async def test_poll_across_a_failover(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    swallowed: list[int] = []

    def before(node: FakeNode, message: object) -> bool:
        if type(message).__name__ == "Poll" and node.number == 0:
            swallowed.append(node.number)
            return True
        return False

    cluster.before = before
    found: list[bytes] = []

    async def poll() -> None:
        message = await broker.queue("orders").poll()
        if message is not None:
            found.append(message.body)
            await message.ack()

    with trio.fail_after(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll)
            await trio.sleep(0.05)
            assert swallowed
            cluster.nodes[0].kill()
            await trio.sleep(0.5)
            await cluster.elect(1)
    assert found == [b"a"]
    assert fake.messages[0].done
    assert await broker.queue("orders").poll() is None


async def lose_the_leader(
    cluster: FakeCluster, kind: str, call: Callable[[], Awaitable[object]]
) -> RequestUnknown:
    """The request is done, its answer is lost, and nobody leads for longer than the patience."""
    caught: list[RequestUnknown] = []
    cluster.after = lambda _node, message: type(message).__name__ == kind

    async def ask() -> None:
        with pytest.raises(RequestUnknown) as error:
            await call()
        caught.append(error.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0.05)
        await cluster.elect(-1)
    cluster.after = None
    await cluster.elect(1)
    return caught[0]


async def test_unknown_settlements_are_driven_on(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    """Nobody says NoQuorum, which would mean that nothing was stored."""
    fake = cluster.add_queue("orders")
    for body in (b"a", b"b", b"c"):
        await broker.publish("orders", body)
    async with broker.queue("orders").consume() as deliveries:
        first, second = await deliveries.receive(), await deliveries.receive()
        error = await lose_the_leader(cluster, "Settle", first.ack)
        assert isinstance(error, SettlementUnknown)
        assert error.queue == "orders"
        with trio.fail_after(1):
            assert await error.retry() is None
            await second.ack()
    assert [message.done for message in fake.messages] == [True, True, False]
    async with broker.queue("orders").consume_batches() as batches:
        batch = await batches.receive()
        error = await lose_the_leader(cluster, "Settle", batch.ack)
        assert isinstance(error, SettlementUnknown)
        with trio.fail_after(1):
            assert await error.retry() is None
    assert [message.done for message in fake.messages] == [True, True, True]


async def test_unknown_declarations_converge(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    error = await lose_the_leader(cluster, "Declare", lambda: broker.declare("orders", lease=5.0))
    assert (error.code, error.queue) == ("outcome_unknown", "orders")
    queue = await error.retry()
    assert (queue.name, queue.created, queue.changes) == ("orders", False, {})
    error = await lose_the_leader(cluster, "Await", lambda: broker.declare("orders", lease=6.0))
    assert (await error.retry()).changes == {}


async def test_unknown_deletions_are_done_where_nothing_is_found(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    await broker.declare("orders")
    error = await lose_the_leader(cluster, "Delete", lambda: broker.delete_queue("orders"))
    assert "orders" not in cluster.names
    await error.retry()
    with pytest.raises(NotFound):
        await broker.delete_queue("orders")
    await broker.declare("orders")
    error = await lose_the_leader(cluster, "Delete", lambda: broker.delete_queue("orders"))
    cluster.add_queue("orders")  # declared anew meanwhile: it is another one
    await error.retry()
    assert "orders" in cluster.names
    await broker.delete_queue("orders")
    assert "orders" not in cluster.names


async def test_a_deletion_repeated_at_the_next_leader_is_done(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    await broker.declare("orders")
    cluster.after = lambda node, message: type(message).__name__ == "Delete" and node.number == 0
    with trio.fail_after(2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(broker.delete_queue, "orders")
            await trio.sleep(0.05)
            await cluster.elect(1)
    assert "orders" not in cluster.names


async def test_a_copy_of_a_deletion_that_comes_late_deletes_nothing_else(
    cluster: FakeCluster, broker: Broker
) -> None:
    """The first copy may hang in a broken connection: it names the incarnation that was meant."""
    await broker.declare("orders")
    await broker.delete_queue("orders")
    (late,) = [message for _node, message in cluster.seen if isinstance(message, wire.Delete)]
    await broker.declare("orders")
    await broker.publish("orders", b"x")
    with pytest.raises(NotFound):
        await broker.session.ask(METADATA_GROUP, late, mutates=True)
    assert (await broker.queue("orders").info()).ready == 1


async def test_what_was_known_by_a_name_is_not_all_that_is_deleted(
    cluster: FakeCluster, broker: Broker
) -> None:
    """Somebody else deleted it and made another: that one is meant."""
    await broker.declare("orders")
    cluster.add_queue("orders")
    await broker.delete_queue("orders")
    assert "orders" not in cluster.names


async def test_unknown_purges_are_repeated(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    fake = cluster.add_queue("orders")
    for _ in range(3):
        await broker.publish("orders", b"x")
    error = await lose_the_leader(cluster, "Purge", broker.queue("orders").purge)
    assert error.queue == "orders"
    await broker.publish("orders", b"y")
    assert await error.retry() == 1
    assert all(item.done for item in fake.messages)


async def test_what_was_refused_everywhere_is_no_unknown_outcome(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock
) -> None:
    await cluster.elect(-1, push=False)  # the nodes are asked, and say that they do not lead
    await refused_after_the_patience(lambda: broker.declare("orders"))
    assert any(type(message).__name__ == "Declare" for _node, message in cluster.seen)


@pytest.mark.parametrize("proxied", [False, True])
async def test_why_nobody_leads_is_told(
    cluster: FakeCluster, autojump_clock: MockClock, proxied: bool
) -> None:
    """By publishes, and by requests; while somebody leads again nothing of it is left."""
    cluster.add_queue("orders")
    async with open_session(cluster, fake_environment(), Options(proxy=proxied)) as broker:
        await broker.publish("orders", b"a")
        cluster.damage = "start node 2"
        await cluster.elect(-1)
        for call in (lambda: broker.publish("orders", b"b"), lambda: broker.queue("orders").info()):
            with trio.fail_after(4 * PATIENCE), pytest.raises(NoQuorum, match="start node 2") as caught:
                await call()
            assert caught.value.reason == "damaged"
        cluster.damage = ""
        await cluster.elect(1)
        await broker.publish("orders", b"b")
        await cluster.elect(-1)
        with pytest.raises(NoQuorum) as caught:
            await broker.queue("orders").info()
        assert caught.value.reason == "unreachable"


TWICE = {"publish": "Publish", "purge": "Purge", "poll": "Poll", "ack": "Settle", "extend": "Extend"}


@pytest.mark.parametrize("others", [True, False], ids=["answers others", "answers nobody"])
@pytest.mark.parametrize("name", TWICE)
async def test_a_second_election_begins_a_patience_of_its_own(
    cluster: FakeCluster, broker: Broker, autojump_clock: MockClock, name: str, others: bool
) -> None:
    """Two short elections, with a slow leader between them, are not a long one: the call goes on."""
    cluster.add_queue("orders")
    for _ in range(2):
        await broker.publish("orders", b"a")
    queue = broker.queue("orders")
    message = await queue.get()
    assert await queue.poll() is not None
    answered = ("Hello", "Ping", *(["Info", "Subscribe"] if others else []))

    def before(node: FakeNode, message: object) -> bool:
        kind = type(message).__name__
        return (node.number == 0 and kind == TWICE[name]) or (node.number == 1 and kind not in answered)

    cluster.before = before
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "publish": lambda: broker.publish("orders", b"b"),
        "purge": queue.purge,
        "poll": queue.poll,
        "ack": message.ack,
        "extend": lambda: message.extend(60.0),
    }
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calls[name])
        await trio.sleep(0.05)
        await cluster.elect(-1)
        await trio.sleep(0.5)
        await cluster.elect(1)
        for _ in range(3):
            await trio.sleep(PATIENCE / 2)
            if others:
                await queue.info()
        await cluster.elect(-1)
        await trio.sleep(0.5)
        with trio.fail_after(1):
            await cluster.elect(2)
            await queue.info()
            while nursery.child_tasks:  # noqa: ASYNC110  # ends with an error, which the nursery raises
                await trio.sleep(0.01)
