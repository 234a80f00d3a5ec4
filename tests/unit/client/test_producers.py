"""Producers at their bounds: fenced, forgotten, too many in flight, idle for long, a queue declared anew."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor.batch import COUNT_MAX, PACKED_BYTES_MAX, Content, head
from haqactor.client import producer as producers
from haqactor.client.broker import Broker
from haqactor.client.producer import Outgoing, split
from haqactor.client.producing import IN_FLIGHT_MAX
from haqactor.errors import Fenced, NotFound, SequenceExpired, TooLarge
from tests.builders.fake_node import FakeCluster


def kinds(cluster: FakeCluster, name: str) -> list[Any]:
    return [message for _node, message in cluster.seen if type(message).__name__ == name]


def on_publish(cluster: FakeCluster, judge: Callable[[Any, bytes], None]) -> None:
    """``judge`` sees every publish first, and may raise."""
    publish = cluster._on_publish  # pyright: ignore[reportPrivateUsage]  # the script stands before it

    def judged(connection: Any, message: Any, blob: bytes) -> Any:
        judge(message, blob)
        return publish(connection, message, blob)

    cluster._on_publish = judged  # type: ignore[method-assign,assignment]  # pyright: ignore[reportPrivateUsage]


def fence(cluster: FakeCluster) -> None:
    def judge(message: Any, _blob: bytes) -> None:
        epoch = cluster.queue(message.uid).epochs.get(message.producer, 0)
        if message.epoch < epoch:
            raise Fenced(f"epoch {message.epoch} is over", current_token=epoch)

    on_publish(cluster, judge)


async def test_the_older_of_two_producers_of_one_name_is_fenced(cluster: FakeCluster, broker: Broker) -> None:
    fence(cluster)
    fake = cluster.add_queue("orders")
    async with broker.producer("p") as old:
        await old.publish("orders", b"a")
        async with broker.producer("p") as new:
            assert await new.last_seq("orders") == 1
            for _ in range(2):  # it stays so
                with pytest.raises(Fenced) as caught:
                    await old.publish("orders", b"zombie")
                assert caught.value.current_token == 2
            with pytest.raises(Fenced):
                await old.publish_many("orders", [b"zombie"] * 600)
            assert (await new.publish("orders", b"b")).producer_seq == 2
    assert [item.body.body for item in fake.messages] == [b"a", b"b"]


async def test_what_a_named_producer_repeats_too_late_is_expired(
    cluster: FakeCluster, broker: Broker
) -> None:
    def judge(message: Any, _blob: bytes) -> None:
        if message.first == 1 and len(cluster.named("orders").messages) > 1:
            raise SequenceExpired("stored long ago; its receipt is no longer known")

    on_publish(cluster, judge)
    cluster.add_queue("orders")
    async with broker.producer("p") as producer:
        for _ in range(2):
            await producer.publish("orders", b"a")
        with pytest.raises(SequenceExpired):
            await producer.publish("orders", b"a", seq=1)
        assert (await producer.publish("orders", b"b")).producer_seq == 3
        assert producer.outstanding() == []


async def test_a_forgotten_anonymous_session_says_so_and_a_new_one_begins(
    cluster: FakeCluster, broker: Broker
) -> None:
    fake = cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    forgotten = kinds(cluster, "Publish")[0].began_ns
    expired: list[int] = []

    def judge(message: Any, _blob: bytes) -> None:
        if not expired:
            expired.append(message.began_ns)
            raise SequenceExpired("this session is not known any more")

    on_publish(cluster, judge)
    with pytest.raises(SequenceExpired):
        await broker.publish("orders", b"b")
    assert expired == [forgotten]
    assert (await broker.publish("orders", b"c")).seq == 2
    assert [item.body.body for item in fake.messages] == [b"a", b"c"]


async def test_what_was_refused_in_doubt_leaves_its_identity_behind(
    cluster: FakeCluster, broker: Broker
) -> None:
    """The first publish is stored, its answer is lost, and the next leader refuses the second copy. What is
    published then, from number 1 again, is not taken for a copy of it."""
    fake = cluster.add_queue("orders")
    cluster.add_queue("others")
    await broker.publish("others", b"a")
    cluster.after = lambda node, message: type(message).__name__ == "Publish" and node.number == 0
    refused: list[int] = []

    def judge(message: Any, _blob: bytes) -> None:
        if cluster.leader == 1 and not refused:
            refused.append(message.first)
            raise TooLarge("the limit was lowered", limit=1)

    on_publish(cluster, judge)
    async with trio.open_nursery() as nursery:

        async def publish() -> None:
            with pytest.raises(TooLarge):
                await broker.publish("orders", b"same")

        nursery.start_soon(publish)
        await trio.sleep(0.05)
        cluster.nodes[0].kill()
        await cluster.elect(1)
    assert refused == [1]
    for _ in range(2):
        assert not (await broker.publish("orders", b"same")).duplicate
    await broker.publish("others", b"b")
    assert [item.body.body for item in fake.messages] == [b"same"] * 3
    there = [message.producer for message in kinds(cluster, "Publish") if message.uid == fake.uid]
    assert there[0] == there[1] != there[2] == there[3]
    others = [message.producer for message in kinds(cluster, "Publish") if message.uid != fake.uid]
    assert others == [there[0]] * 2  # nothing was wrong with that one


async def test_at_most_256_batches_are_in_flight(cluster: FakeCluster, broker: Broker) -> None:
    fake = cluster.add_queue("orders")
    swallow = True
    cluster.before = lambda _node, message: swallow and type(message).__name__ == "Publish"
    async with broker.producer("p") as producer:
        async with trio.open_nursery() as nursery:
            for number in range(IN_FLIGHT_MAX + 50):
                nursery.start_soon(producer.publish_many, "orders", [b"%d" % number])
            with trio.fail_after(5):
                while len(kinds(cluster, "Publish")) < IN_FLIGHT_MAX:  # noqa: ASYNC110 - looks at the wire
                    await trio.sleep(0.01)
            await wait_all_tasks_blocked()
            assert len(kinds(cluster, "Publish")) == IN_FLIGHT_MAX
            assert sum(left.count for left in producer.outstanding()) == IN_FLIGHT_MAX
            swallow = False
            cluster.nodes[0].kill()
            await cluster.elect(1)
    assert [message.first for message in kinds(cluster, "Publish")][IN_FLIGHT_MAX:] == list(
        range(1, IN_FLIGHT_MAX + 51)
    )
    assert len(fake.messages) == IN_FLIGHT_MAX + 50


@pytest.fixture
def seconds_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of the servers ends after 10 minutes; this client begins a new one in time."""
    assert 5 * 60e9 < producers.IDLE_NS < 10 * 60e9
    monkeypatch.setattr(producers, "IDLE_NS", producers.IDLE_NS // 60)


async def test_an_idle_client_takes_a_new_anonymous_id(
    cluster: FakeCluster, broker: Broker, seconds_for_minutes: None, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await trio.sleep(5)
    await broker.publish("orders", b"b")
    await trio.sleep(10)
    await broker.publish("orders", b"c")
    first, second, third = (message.producer for message in kinds(cluster, "Publish"))
    assert first == second != third
    begun = [message.producer for message in kinds(cluster, "Begin")]
    assert begun == [first, third]
    assert kinds(cluster, "Publish")[2].first == 1


async def test_an_idle_named_producer_stays_who_it_is(
    cluster: FakeCluster, broker: Broker, seconds_for_minutes: None, autojump_clock: MockClock
) -> None:
    cluster.add_queue("orders")
    async with broker.producer("p") as producer:
        await producer.publish("orders", b"a")
        await trio.sleep(10)
        assert (await producer.publish("orders", b"b")).producer_seq == 2


async def test_publish_many_follows_a_queue_that_was_declared_anew(
    cluster: FakeCluster, broker: Broker
) -> None:
    cluster.add_queue("orders")
    async with broker.producer("p") as producer:
        await producer.publish_many("orders", [b"a"] * 3)
        del cluster.names["orders"]
        fake = cluster.add_queue("orders")
        receipts = await producer.publish_many("orders", [b"%d" % number for number in range(600)])
        assert [receipt.seq for receipt in receipts] == list(range(1, 601))
        assert [item.body.body for item in fake.messages] == [b"%d" % number for number in range(600)]
        del cluster.names["orders"]
        with pytest.raises(NotFound):
            await producer.publish_many("orders", [b"x"])
        fake = cluster.add_queue("orders")
        receipts = await producer.publish_many("orders", [b"%d" % number for number in range(600)], seq=1)
        assert [receipt.producer_seq for receipt in receipts] == list(range(1, 601))


async def test_who_deletes_and_declares_a_queue_publishes_to_the_new_one_at_once(
    cluster: FakeCluster, broker: Broker
) -> None:
    """Not to the former one first: where the answer to that was lost, nobody could tell the publisher that
    another queue has the name (seed 848449 of profile swarm)."""
    cluster.add_queue("orders")
    await broker.publish("orders", b"a")
    await broker.delete_queue("orders")
    await broker.declare("orders")
    await broker.publish("orders", b"b")
    first, second = kinds(cluster, "Publish")
    assert second.uid != first.uid


async def test_no_batch_unpacks_to_more_than_256_kib_unless_it_is_one_message(
    cluster: FakeCluster, broker: Broker
) -> None:
    sizes: list[tuple[int, int]] = []

    def judge(_message: Any, blob: bytes) -> None:
        at = head(blob)
        sizes.append((at.count, at.content_bytes))

    on_publish(cluster, judge)
    fake = cluster.add_queue("orders")
    headers: dict[str, Any] = {"note": "\N{SNOWMAN}" * 3000, "blob": bytes(2000)}
    heavy = [Outgoing(b"%d" % number, key="k", headers=headers) for number in range(300)]
    async with broker.producer("p") as producer:
        await producer.publish_many("orders", [*heavy, b"x" * 600_000, b"tail"])
        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(lambda: producer.publish("orders", b"single", headers=headers))
            nursery.start_soon(producer.publish, "orders", b"x" * 600_000)
    assert len(fake.messages) == 603
    assert max(count for count, _size in sizes) > 10
    assert all(size <= PACKED_BYTES_MAX or count == 1 for count, size in sizes)
    assert sum(size > PACKED_BYTES_MAX for _count, size in sizes) == 2


async def test_receipts_are_a_sequence_like_a_list(cluster: FakeCluster, broker: Broker) -> None:
    cluster.add_queue("orders")
    async with broker.producer("p") as producer:
        receipts = await producer.publish_many("orders", [b"%d" % number for number in range(600)])
        again = await producer.publish_many("orders", [b"%d" % number for number in range(600)], seq=1)
        one = await producer.publish("orders", b"x")
        none = await producer.publish_many("orders", [])
    assert len(receipts) == 600
    assert receipts == again
    assert receipts == list(again)
    assert receipts != again[1:]
    assert [receipts[at].seq for at in (0, 255, 256, -1)] == [1, 256, 257, 600]
    assert [receipt.seq for receipt in receipts[590:]] == list(range(591, 601))
    assert not any(receipt.duplicate for receipt in receipts)
    assert all(receipt.duplicate for receipt in again)
    assert [receipt.seq for receipt in [one] + receipts[:1]] == [601, 1]  # noqa: RUF005  # it must add up
    assert ([one] + receipts)[1:] == receipts  # noqa: RUF005  # it must add up
    assert (receipts + [one])[:-1] == receipts  # noqa: RUF005  # it must add up
    for wrong in (600, -601):
        with pytest.raises(IndexError):
            receipts[wrong]
    assert len(none) == 0
    assert list(none) == []


def test_batches_are_split_the_same_way_each_time() -> None:
    contents = [Content(bytes(length * 37 % 5000)) for length in range(2000)]
    batches = split(contents)
    assert batches == split(contents)
    assert [row for batch in batches for row in batch] == contents
    assert all(len(batch) <= COUNT_MAX for batch in batches)
    assert split([]) == []
    assert [len(batch) for batch in split([Content(bytes(PACKED_BYTES_MAX)), Content(b"x")])] == [1, 1]
