"""Probing: who is pinged, what counts as an answer, and when somebody is accused."""

from dataclasses import replace

from haqactor.swim.config import MILLISECOND_NS, SECOND_NS, SwimConfig
from haqactor.swim.member import Status
from haqactor.swim.messages import Ack, Nack, Ping, PingReq, Rumour
from tests.builders.swim_cluster import address_of, key_of, member
from tests.builders.swim_core import FIRST, Sent, Solo


def seq_of(sent: Sent) -> int:
    assert isinstance(sent.message, Ping | PingReq)
    return sent.message.seq


def test_an_answer_ends_the_probe() -> None:
    solo = Solo()
    ping = solo.until_ping()
    solo.answer(ping)
    solo.clear()
    solo.run(0.9)
    assert solo.of(PingReq) == []
    assert solo.core.statistics().probes_failed == 0


def test_silence_asks_others_and_a_stream_and_then_accuses() -> None:
    solo = Solo(5)
    ping = solo.until_ping(of=1)
    solo.clear()
    solo.run(0.5)
    asked = solo.of(PingReq)
    assert len({sent.to for sent in asked}) == 3
    assert address_of(1) not in {sent.to for sent in asked}
    for sent in asked:
        assert isinstance(sent.message, PingReq)
        assert sent.message == PingReq(seq_of(ping), key_of(1), address_of(1), 500)
        assert sent.at_ns == ping.at_ns + 500 * MILLISECOND_NS
    streams = [sent for sent in solo.of(Ping) if sent.stream]
    assert [(sent.to, seq_of(sent)) for sent in streams] == [(address_of(1), seq_of(ping))]
    assert solo.status(1) is Status.ALIVE
    solo.run(0.5)
    assert solo.status(1) is Status.SUSPECT
    assert [change.member.node for change in solo.changes] == [1]
    assert (solo.core.statistics().suspicions, solo.core.statistics().probes_failed) == (1, 1)


def test_an_ack_by_way_of_another_counts() -> None:
    solo = Solo(5)
    ping = solo.until_ping(of=1)
    solo.run(0.6)
    solo.hear(2, Ack(seq_of(ping), key_of(1)))
    solo.run(0.6)
    assert solo.status(1) is Status.ALIVE
    assert "swim.indirect_saved" in solo.probe.marks


def test_an_ack_over_a_stream_counts() -> None:
    solo = Solo(5)
    ping = solo.until_ping(of=1)
    solo.run(0.6)
    solo.reply(1, Ack(seq_of(ping), key_of(1)))
    solo.run(0.6)
    assert solo.status(1) is Status.ALIVE
    assert "swim.fallback_saved" in solo.probe.marks


def test_another_disk_at_the_address_is_no_answer_but_news() -> None:
    """S7: a wiped disk was started there."""
    solo = Solo(3)
    ping = solo.until_ping(of=1)
    wiped = replace(member(9, FIRST), address=address_of(1))
    solo.hear(9, Ack(seq_of(ping), key_of(9)), Rumour(wiped))
    assert solo.view(9) == wiped
    solo.run(1.1)
    assert solo.status(1) is Status.SUSPECT


def test_an_ack_of_another_ping_is_none() -> None:
    solo = Solo(3)
    ping = solo.until_ping(of=1)
    solo.hear(1, Ack(seq_of(ping) + 1, key_of(1)))
    solo.hear(1, Ack(seq_of(ping), key_of(2)))
    solo.run(1.1)
    assert solo.status(1) is Status.SUSPECT


def test_one_that_spoke_with_a_new_incarnation_meanwhile_is_not_accused() -> None:
    solo = Solo(3)
    solo.until_ping(of=1)
    solo.hear(2, Nack(1), Rumour(member(1, FIRST + 1)))
    solo.run(1.1)
    assert solo.status(1) is Status.ALIVE


def test_who_asked_in_vain_and_says_so_does_not_count_against_me() -> None:
    solo = Solo(5)
    ping = solo.until_ping(of=1)
    solo.run(0.6)
    helpers = [number for number in range(2, 6) if address_of(number) in {sent.to for sent in requests(solo)}]
    for helper in helpers[:2]:
        solo.hear(helper, Nack(seq_of(ping)))
    solo.hear(helpers[0], Nack(seq_of(ping)))
    solo.run(0.4)
    assert solo.core.health == 1


def requests(solo: Solo) -> list[Sent]:
    return [sent for sent in solo.sent if isinstance(sent.packet.message, PingReq)]


def test_bad_health_lengthens_period_and_timeout() -> None:
    solo = Solo(3)
    solo.core.stalled(SECOND_NS, 0)
    solo.run(1.1)  # the deadlines of the stall itself are over
    ping = solo.until_ping(of=1)
    solo.clear()
    health = solo.core.health
    assert health > 0
    solo.run((1 + health) * 1.0 - 0.01)
    assert requests(solo)[0].at_ns - ping.at_ns == (1 + health) * 500 * MILLISECOND_NS
    assert solo.status(1) is Status.ALIVE
    solo.run(0.02)
    assert solo.status(1) is Status.SUSPECT


def test_without_helpers_a_failure_counts_against_me_once() -> None:
    solo = Solo(1)
    solo.until_ping()
    solo.run(1.0)
    assert solo.core.health == 1


def test_the_dead_are_not_pinged() -> None:
    solo = Solo(3)
    solo.hear(2, Nack(0), Rumour(member(1, FIRST, Status.DEAD)))
    solo.clear()
    for _ in range(20):
        solo.answer(solo.until_ping())
    assert address_of(1) not in {sent.to for sent in solo.of(Ping)}


def test_indirect_probes_may_be_switched_off() -> None:
    solo = Solo(5, config=SwimConfig(indirect_probes=0))
    solo.until_ping()
    solo.run(0.6)
    assert solo.of(PingReq) == []
    assert any(sent.stream for sent in solo.of(Ping))
