"""Pings for others: acks are passed on, nacks come in time, and there are not too many."""

import pytest

from haqactor.swim.config import MILLISECOND_NS
from haqactor.swim.messages import Ack, Nack, Ping, PingReq
from haqactor.swim.relays import RELAYS_MAX
from tests.builders.swim_cluster import address_of, key_of
from tests.builders.swim_core import Sent, Solo


@pytest.fixture
def solo() -> Solo:
    found = Solo(3)
    found.answer(found.until_ping())
    found.clear()
    return found


def request(solo: Solo, seq: int = 77) -> Ping:
    solo.hear(1, PingReq(seq, key_of(9), address_of(9), 500))
    sent = [sent for sent in solo.of(Ping) if sent.to == address_of(9)][-1]
    assert isinstance(sent.message, Ping)
    assert sent.message.target == key_of(9)
    return sent.message


def answers(solo: Solo) -> list[Sent]:
    return [sent for sent in solo.sent if sent.to == address_of(1) and isinstance(sent.message, Ack | Nack)]


def test_an_ack_is_passed_on_with_the_number_of_the_request(solo: Solo) -> None:
    ping = request(solo)
    solo.hear(9, Ack(ping.seq, key_of(9)))
    assert [sent.message for sent in answers(solo)] == [Ack(77, key_of(9))]
    solo.hear(9, Ack(ping.seq, key_of(9)))
    solo.run(0.6)
    assert len(answers(solo)) == 1


def test_silence_is_told_at_four_fifths_of_the_wait(solo: Solo) -> None:
    begin_ns = solo.now_ns
    request(solo)
    solo.run(0.41)
    assert [sent.message for sent in answers(solo)] == [Nack(77)]
    assert answers(solo)[0].at_ns == begin_ns + 400 * MILLISECOND_NS


def test_an_ack_after_the_nack_is_still_passed_on_while_it_is_waited_for(solo: Solo) -> None:
    ping = request(solo)
    solo.run(0.45)
    solo.hear(9, Ack(ping.seq, key_of(9)))
    assert [sent.message for sent in answers(solo)] == [Nack(77), Ack(77, key_of(9))]
    late = request(solo, 78)
    solo.run(0.6)
    solo.hear(9, Ack(late.seq, key_of(9)))
    assert [sent.message for sent in answers(solo)][2:] == [Nack(78)]


def test_another_disk_at_the_address_is_no_answer(solo: Solo) -> None:
    ping = request(solo)
    solo.hear(8, Ack(ping.seq, key_of(8)))
    assert answers(solo) == []


def test_there_are_not_too_many(solo: Solo) -> None:
    for seq in range(RELAYS_MAX + 10):
        solo.hear(1, PingReq(seq, key_of(9), address_of(9), 500))
    assert len([sent for sent in solo.of(Ping) if sent.to == address_of(9)]) == RELAYS_MAX
    solo.run(0.6)
    request(solo)  # there is room again


def test_an_ack_that_waited_through_a_stall_is_passed_on(solo: Solo) -> None:
    ping = request(solo)
    solo.now_ns += 3_000 * MILLISECOND_NS
    solo.core.tick(solo.now_ns)
    solo.collect()
    solo.hear(9, Ack(ping.seq, key_of(9)))
    assert answers(solo)[-1].message == Ack(77, key_of(9))
