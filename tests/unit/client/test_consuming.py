"""A subscription by itself: what it writes to which connection, and what it makes of the answers."""

import pytest

from haqactor import wire
from haqactor.client.consuming import Subscription
from tests.builders.one_subscription import LEASE_NS, SIZE, Wire, deliver, subscribe, subscription


def settling(credit: int) -> tuple[Subscription, Wire]:
    """One message was acknowledged, and its Settle is on its way."""
    one, first = subscription(credit), Wire()
    subscribe(one, first)
    deliver(one, first, 1, 7)
    taken = one.take(0)
    assert taken is not None
    one.ack(*taken)
    one.fill(first.link)
    settle = first.sent[-1]
    assert isinstance(settle, wire.Settle)
    assert (settle.credit_messages, settle.credit_bytes) == (1, SIZE)
    return one, first


def test_what_was_settled_while_subscribing_gives_its_credit_back() -> None:
    """The new subscription counted it as held, and its Settle is not sent again: a consumer with a credit of
    one stood still for ever. Seed 11694 of profile swarm."""
    one, first = settling(1)
    second = Wire()
    one.detach()
    one.fill(second.link)
    assert (second.sent[-1].credit_messages, second.sent[-1].credit_bytes) == (0, 0)
    first.answer([])
    second.answer({"lease_ns": LEASE_NS, "lost": []})
    one.fill(second.link)
    assert second.sent[1:] == [wire.Credit(1, 1, 1, SIZE)]


def test_what_is_settled_again_gives_it_back_once() -> None:
    """The answer to the first sending comes behind the second one."""
    one, first = settling(2)
    second = Wire()
    one.detach()
    one.fill(second.link)
    assert second.sent[-1].credit_messages == 1
    first.waiting[0].lost(first.link)
    second.answer({"lease_ns": LEASE_NS, "lost": []})
    one.fill(second.link)
    (settle,) = second.sent[1:]
    assert settle.credit_messages == 1
    first.answer([])
    one.fill(second.link)
    assert second.sent[2:] == []


@pytest.mark.parametrize("late", ["failed", "lost"])
@pytest.mark.parametrize("back", [False, True], ids=["at another", "at the same again"])
def test_what_becomes_of_an_older_sending_says_nothing_of_the_newer(late: str, back: bool) -> None:
    """It was sent a second time for it: its credit was given twice, and a nack was refused the second
    time."""
    one, first = settling(2)
    (older,) = first.waiting
    newer = Wire()
    for at in [newer, first] if back else [newer]:
        newer = at
        one.detach()
        subscribe(one, newer)
        one.fill(newer.link)
    before = list(newer.sent)
    assert isinstance(before[-1], wire.Settle)
    if late == "failed":
        older.failed(first.link, wire.Failed(older.rid, "not_leader", "it moved", {}))
    else:
        older.lost(first.link)
    one.fill(newer.link)
    assert newer.sent == before
    newer.waiting.pop().replied(newer.link, [], b"")
    assert not one.unanswered


@pytest.mark.parametrize("late", [False, True], ids=["refused again", "accepted late"])
def test_what_an_older_sending_was_refused_the_newer_may_be_granted(late: bool) -> None:
    """The message was leased anew over a connection that was left, so that the first acknowledgement was
    refused; then that lease went back, and the second was good. Whoever had been told that it was not would
    have waited for the message for ever: seed 850948 of the swarm profile."""
    one, first = settling(2)
    (older,) = first.waiting
    (settlement,) = one.unanswered
    newer = Wire()
    one.detach()
    subscribe(one, newer)
    one.fill(newer.link)
    older.replied(first.link, [[1, 1]], b"")
    assert not settlement.outcome.done
    newer.waiting.pop().replied(newer.link, [] if late else [[1, 1]], b"")
    assert list(settlement.outcome.get()) == ([] if late else [1])
    assert not one.unanswered


def test_a_refusal_is_final_where_nothing_was_sent_since() -> None:
    """The way has changed, but the leader's verdict is there already."""
    one, first = settling(2)
    (settlement,) = one.unanswered
    one.detach()
    first.answer([[1, 1]])
    assert list(settlement.outcome.get()) == [1]
    subscribe(one, newer := Wire())
    one.fill(newer.link)
    assert not [message for message in newer.sent if isinstance(message, wire.Settle)]


def test_settled_at_the_same_leader_it_is_given_with_the_settlement() -> None:
    one, first = settling(1)
    first.answer([])
    one.fill(first.link)
    assert [message for message in first.sent if isinstance(message, wire.Credit)] == []
