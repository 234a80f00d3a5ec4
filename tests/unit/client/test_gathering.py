"""What a consumer says at once fits into frames that every node takes, however much it settled, or holds."""

import pytest
import trio

from haqactor import wire
from haqactor.client.broker import Broker
from haqactor.client.message import Message
from haqactor.client.settling import Settlement
from haqactor.errors import NoQuorum
from tests.builders.fake_node import FakeCluster
from tests.builders.one_subscription import LEASE_NS, SIZE, Clock, Wire, deliver, subscribe, subscription

FRAME_BYTES = 512 * 1024
"""The smallest bound that a node may have for frames."""
MANY = 10_000
FAR = 1 << 40
"""So that numbers are long."""


def size_of(message: wire.Message) -> int:
    return len(wire.pack(message))


async def test_what_was_nacked_during_an_election_goes_in_several_frames(
    cluster: FakeCluster, broker: Broker
) -> None:
    """One frame for all was refused, and sent again, for ever."""
    fake = cluster.add_queue("orders")
    count = 1000
    async with broker.producer("p") as producer:
        await producer.publish_many("orders", [b"x"] * count)
    async with broker.queue("orders").consume(credit=count) as deliveries:
        messages = [await deliveries.receive() for _ in range(count)]
        await cluster.elect(-1)
        async with trio.open_nursery() as nursery:

            async def nack(message: Message) -> None:
                await message.nack(delay=60.0, reason="\N{SNOWMAN}" * 1024)

            for message in messages:
                nursery.start_soon(nack, message)
            await trio.sleep(0.05)
            await cluster.elect(1)
        sizes = [size_of(message) for _node, message in cluster.seen if isinstance(message, wire.Settle)]
        assert sum(sizes) > count * 3000
        assert max(sizes) < FRAME_BYTES / 2
        assert sorted(seq for seq, _delay_ns, _reason in fake.nacks) == list(range(1, count + 1))
        (consumer,) = cluster.consumers
        assert consumer.messages == count


def test_single_acknowledgements_and_what_is_in_hand_go_in_several_frames() -> None:
    one, first, second = subscription(2 * MANY), Wire(), Wire()
    subscribe(one, first)
    for seq in range(2 * MANY):
        deliver(one, first, FAR + seq, FAR + 2 * seq)
    taken = [one.take(0) for _ in range(2 * MANY)]
    one.detach()
    for row in taken[::2]:
        assert row is not None
        one.ack(*row)
    subscribe(one, second)
    second.has_room = False
    assert not one.fill(second.link)  # the rest when the transport has taken what is there
    assert len(second.sent) == 1
    second.has_room = True
    while len(one.unanswered) > 0:
        one.fill(second.link)
        second.answer([])
    settles = [message for message in second.sent if isinstance(message, wire.Settle)]
    assert [row[2] for message in settles for row in message.acks] == [FAR + 4 * n for n in range(MANY)]
    assert sum(message.credit_messages for message in settles) == MANY
    assert sum(message.credit_bytes for message in settles) == MANY * SIZE
    assert max(map(size_of, settles)) < FRAME_BYTES


def since_ever(_since_ns: int | None, _now_ns: int) -> int:
    return 0


def test_whoever_waits_for_one_of_several_hears_of_its_own() -> None:
    """Also where the patience is over."""
    one, first = subscription(2 * MANY), Wire()
    subscribe(one, first)
    for seq in range(MANY):
        deliver(one, first, seq, seq)
    one.detach()
    settlements: list[Settlement] = []
    for _ in range(MANY):
        taken = one.take(0)
        assert taken is not None
        settlements.append(one.settle(0, taken[0], taken[1], taken[1], [], loud=True))
    several = list(dict.fromkeys(settlements))
    assert len(several) > 2
    assert all(seq in settlement.loud for seq, settlement in enumerate(settlements))
    outcomes = [settlement.outcome for settlement in several]
    error = NoQuorum("nobody leads")
    assert not one.settlements.expire(since_ever, 1, 5, error)
    assert one.settlements.expire(since_ever, 5, 5, error)
    for outcome in outcomes:
        with pytest.raises(NoQuorum):
            outcome.get()


def test_a_buffer_that_cannot_be_claimed_goes_back() -> None:
    one, first, second = subscription(2 * MANY), Wire(), Wire()
    subscribe(one, first)
    for seq in range(MANY):
        deliver(one, first, FAR + seq, FAR + seq)
    taken = one.take(0)
    assert taken is not None
    one.detach()
    subscribe(one, second)
    (again,) = second.sent
    assert again.claims == [[1, FAR, FAR, FAR, True]]
    assert (again.credit_messages, one.holdings.held) == (2 * MANY - 1, 1)
    assert one.take(0) is None


def test_a_large_buffer_is_renewed_in_several_frames() -> None:
    clock = Clock()
    one, first = subscription(2 * MANY, clock), Wire()
    subscribe(one, first)
    for seq in range(MANY):
        deliver(one, first, FAR + seq, FAR + seq)
    deliver(one, first, 1, *range(100))
    clock.now_ns = LEASE_NS // 2
    one.renewals.tick(clock.now_ns)
    for _ in range(3):
        one.fill(first.link)
        first.answer([])
    one.fill(first.link)
    extends = [message for message in first.sent if isinstance(message, wire.Extend)]
    assert not first.waiting
    assert len(extends) == 3
    assert max(map(size_of, extends)) < FRAME_BYTES
    rows = [row for message in extends for row in message.leases]
    assert rows == [[1, FAR + n, FAR + n, FAR + n] for n in range(MANY)] + [[1, 1, 0, 99]]
    assert {part.deadline_ns for part in one.parts} == {clock.now_ns + LEASE_NS}
