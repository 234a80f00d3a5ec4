"""SWIM (Das, Gupta, Motivala 2002) and Lifeguard (Dadgar, Phillips, Currey 2018), section by section; where
we leave them is in docs/divergence.md."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log10

import pytest

from haqactor.swim.config import MILLISECOND_NS, SECOND_NS, SwimConfig
from haqactor.swim.member import Status
from haqactor.swim.messages import Ack, Gossip, Nack, Ping, PingReq, Rumour
from haqactor.swim.suspicion import times
from tests.builders.swim_cluster import World, address_of, key_of, member
from tests.builders.swim_core import FIRST, ME, Sent, Solo

ALIVE, SUSPECT, DEAD, LEFT = Status


def rumours_of(number: int, sent: Sequence[Sent]) -> list[Rumour]:
    return [rumour for one in sent for rumour in one.packet.rumours if rumour.member.node == number]


def seq_of(sent: Sent) -> int:
    assert isinstance(sent.message, Ping | PingReq)
    return sent.message.seq


# -- SWIM 3.1 the failure detector


def test_swim_3_1_one_member_is_pinged_a_protocol_period() -> None:
    """3.1: every T' time units a member is selected and a ping is sent to it."""
    solo = Solo(4)
    moments: list[int] = []
    for _ in range(20):
        ping = solo.until_ping()
        solo.answer(ping)
        moments.append(ping.at_ns)
    gaps = {later - sooner for sooner, later in pairwise(moments)}
    assert gaps == {SECOND_NS}


def test_swim_3_1_without_an_ack_k_members_are_asked_to_ping() -> None:
    """3.1: it selects k members at random and sends each a ping-req; these ping the target and forward the
    ack."""
    solo = Solo(8)
    ping = solo.until_ping(of=1)
    solo.clear()
    solo.run(0.6)
    helpers = {sent.to for sent in solo.of(PingReq)}
    assert len(helpers) == SwimConfig().indirect_probes == 3
    assert address_of(1) not in helpers
    helper = next(number for number in range(2, 9) if address_of(number) in helpers)
    solo.hear(helper, Ack(seq_of(ping), key_of(1)))
    solo.run(0.6)
    assert solo.status(1) is ALIVE


def test_swim_3_1_a_helper_pings_the_target_and_forwards_its_ack() -> None:
    """3.1, the other side."""
    solo = Solo(3)
    solo.hear(1, PingReq(9, key_of(2), address_of(2), 500))
    (ping,) = [sent for sent in solo.of(Ping) if sent.to == address_of(2)]
    solo.hear(2, Ack(seq_of(ping), key_of(2)))
    assert [(sent.to, sent.message) for sent in solo.of(Ack)] == [(address_of(1), Ack(9, key_of(2)))]


def test_swim_3_1_an_ack_that_carries_another_number_is_no_answer() -> None:
    """3.1: each ping, ping-req and ack carries the sequence number of its period."""
    solo = Solo(3)
    ping = solo.until_ping(of=1)
    solo.hear(1, Ack(seq_of(ping) - 1, key_of(1)))
    solo.run(1.1)
    assert solo.status(1) is SUSPECT


# -- SWIM 4.1 dissemination by piggybacking


def test_swim_4_1_news_rides_on_pings_and_acks() -> None:
    """4.1: updates are piggybacked on the ping, ping-req and ack messages of the failure detector."""
    solo = Solo(5, config=SwimConfig(gossip_interval_ns=100 * SECOND_NS))
    solo.answer(solo.until_ping())
    solo.hear(1, Gossip(), Rumour(member(9, FIRST)))
    solo.clear()
    solo.hear(2, Ping(1, key_of(ME)))
    assert rumours_of(9, solo.of(Ack))
    solo.until_ping()
    assert rumours_of(9, solo.of(Ping))


def test_swim_4_1_each_member_tells_news_a_logarithmic_number_of_times() -> None:
    """4.1: lambda log n times. Ours: 4 ceil(log10(n + 1))."""
    solo = Solo(11)
    for _ in range(20):
        solo.answer(solo.until_ping())
    solo.clear()
    solo.hear(1, Gossip(), Rumour(member(12, FIRST)))
    for _ in range(20):
        solo.answer(solo.until_ping())
    told = rumours_of(12, [sent for sent in solo.sent if not sent.stream])
    assert len(told) == 4 * ceil(log10(13 + 1))


def test_swim_4_1_less_told_news_goes_first() -> None:
    """4.1: elements that were gossiped fewer times are preferred."""
    solo = Solo(11)
    for _ in range(20):
        solo.answer(solo.until_ping())
    big = bytes(250)
    solo.hear(1, Gossip(), *[Rumour(member(number, FIRST, meta=big)) for number in range(20, 23)])
    for _ in range(3):
        solo.hear(2, Ping(1, key_of(ME)))
    solo.hear(1, Gossip(), *[Rumour(member(number, FIRST, meta=big)) for number in range(30, 34)])
    solo.clear()
    solo.hear(2, Ping(1, key_of(ME)))
    (ack,) = solo.of(Ack)
    assert {rumour.member.node for rumour in ack.packet.rumours} <= {30, 31, 32, 33}
    assert len(ack.packet.rumours) == 4


# -- SWIM 4.2 suspicion


def test_swim_4_2_a_member_that_does_not_answer_is_suspected_and_that_is_told() -> None:
    """4.2: it is not declared failed, but suspected, and a suspect message is disseminated."""
    solo = Solo(5)
    solo.until_ping(of=1)
    solo.run(0.99)
    solo.clear()
    solo.run(0.3)
    assert solo.status(1) is SUSPECT
    said = rumours_of(1, solo.of(Gossip))
    assert said
    assert {(rumour.member.status, rumour.by) for rumour in said} == {(SUSPECT, key_of(ME))}


def test_swim_4_2_a_suspect_is_still_pinged() -> None:
    """4.2: suspected members are treated as live in the selection of ping targets."""
    solo = Solo(3)
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, SUSPECT)))
    solo.until_ping(of=1)


def test_swim_4_2_a_suspect_that_times_out_is_faulty() -> None:
    """4.2: a suspected member is declared faulty after the time-out, and that is disseminated."""
    solo = Solo(2)
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, SUSPECT)))
    solo.run(6)
    assert solo.status(1) is DEAD
    assert DEAD in {rumour.member.status for rumour in rumours_of(1, solo.sent)}


def test_swim_4_2_only_the_suspect_itself_raises_its_incarnation() -> None:
    """4.2: M increments its incarnation when it hears that it is suspected in the current one."""
    solo = Solo(3)
    solo.hear(1, Gossip(), Rumour(member(ME, FIRST, SUSPECT)))
    assert solo.core.me.incarnation == FIRST + 1
    solo.hear(1, Gossip(), Rumour(member(ME, FIRST, SUSPECT)))
    assert solo.core.me.incarnation == FIRST + 1
    solo.hear(1, Gossip(), Rumour(member(2, FIRST, SUSPECT)))
    assert solo.view(2).incarnation == FIRST


@pytest.mark.parametrize(
    ("first", "then", "believed"),
    [
        ((SUSPECT, 1), (ALIVE, 1), (SUSPECT, 1)),
        ((SUSPECT, 1), (ALIVE, 2), (ALIVE, 2)),
        ((ALIVE, 1), (SUSPECT, 1), (SUSPECT, 1)),
        ((ALIVE, 2), (SUSPECT, 1), (ALIVE, 2)),
        ((SUSPECT, 2), (SUSPECT, 1), (SUSPECT, 2)),
        ((ALIVE, 1), (DEAD, 1), (DEAD, 1)),
        ((SUSPECT, 1), (DEAD, 1), (DEAD, 1)),
        ((DEAD, 1), (SUSPECT, 1), (DEAD, 1)),
        ((DEAD, 1), (ALIVE, 1), (DEAD, 1)),
    ],
)
def test_swim_4_2_the_order_of_preference(
    first: tuple[Status, int], then: tuple[Status, int], believed: tuple[Status, int]
) -> None:
    """4.2: which message overrides which."""
    solo = Solo(2)
    for status, number in (first, then):
        solo.hear(2, Gossip(), Rumour(member(1, FIRST + number, status), key_of(2)))
    seen = solo.view(1)
    assert (seen.status, seen.incarnation) == (believed[0], FIRST + believed[1])


# -- SWIM 4.3 round-robin


def test_swim_4_3_all_members_are_pinged_in_a_round() -> None:
    """4.3: the list is traversed in order; after it is shuffled anew: detection within 2n - 1 periods."""
    solo = Solo(6)
    pinged: list[str] = []
    for _ in range(30):
        ping = solo.until_ping()
        solo.answer(ping)
        pinged.append(ping.to)
    rounds = [pinged[begin : begin + 6] for begin in range(0, 30, 6)]
    assert all(len(set(one)) == 6 for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1, "shuffled"


def test_swim_4_3_a_new_member_is_put_in_at_a_random_place() -> None:
    """4.3: not at the end, so that it is not always the last."""
    waits: list[int] = []
    for seed in range(20):
        solo = Solo(6, seed=seed)
        solo.answer(solo.until_ping())
        solo.hear(1, Gossip(), Rumour(member(9, FIRST)))
        for count in range(8):
            ping = solo.until_ping()
            solo.answer(ping)
            if ping.to == address_of(9):
                waits.append(count)
                break
    assert len(waits) == 20, "within the round"
    assert len(set(waits)) > 3


# -- Lifeguard IV-A local health aware probe


def test_lifeguard_iv_a_the_score_and_what_it_stretches() -> None:
    """IV-A: interval and time-out are multiplied with one plus the score, which has a bound."""
    solo = Solo(3)
    for count in range(20):
        solo.hear(1, Gossip(), Rumour(member(ME, FIRST + 2 * count, SUSPECT)))
    assert solo.core.health == SwimConfig().awareness_max == 8
    solo.answer(solo.until_ping())
    ping = solo.until_ping(of=1)
    health = solo.core.health
    solo.clear()
    solo.run((1 + health) * 0.5 + 0.01)
    assert {sent.at_ns for sent in solo.of(PingReq)} == {ping.at_ns + (1 + health) * 500 * MILLISECOND_NS}


def test_lifeguard_iv_a_an_answer_improves_health() -> None:
    """IV-A: a successful probe takes one off."""
    solo = Solo(3)
    for number in (0, 2):
        solo.hear(1, Gossip(), Rumour(member(ME, FIRST + number, SUSPECT)))
    assert solo.core.health == 2
    solo.answer(solo.until_ping())
    assert solo.core.health == 1


def test_lifeguard_iv_a_a_refutation_worsens_health() -> None:
    """IV-A: to be suspected is evidence against oneself."""
    solo = Solo(3)
    solo.hear(1, Gossip(), Rumour(member(ME, FIRST, SUSPECT)))
    assert solo.core.health == 1


def test_lifeguard_iv_a_missing_nacks_worsen_health() -> None:
    """IV-A: who asked k helpers and hears from none of them is probably itself the problem."""
    silent, told = Solo(4), Solo(4)
    for solo in (silent, told):
        ping = solo.until_ping(of=1)
        solo.run(0.6)
        if solo is told:
            for number in (2, 3, 4):
                solo.hear(number, Nack(seq_of(ping)))
        solo.run(0.4)
    assert (silent.core.health, told.core.health) == (3, 0)


def test_lifeguard_iv_a_a_helper_sends_a_nack_at_four_fifths() -> None:
    """IV-A: a nack is sent at 80 % of the time that the prober has."""
    solo = Solo(3)
    begin_ns = solo.now_ns
    solo.hear(1, PingReq(9, key_of(2), address_of(2), 500))
    solo.run(0.5)
    assert [sent.at_ns - begin_ns for sent in solo.of(Nack)] == [400 * MILLISECOND_NS]


# -- Lifeguard IV-B local health aware suspicion


def test_lifeguard_iv_b_the_wait_begins_long_and_shrinks_with_confirmations() -> None:
    """IV-B: max(Min, Max - (Max - Min) log(C + 1) / log(K + 1)), with Min = a log10(n) T, Max = b Min."""
    waits: list[float] = []
    for accusers in (1, 2, 3):
        solo = Solo(20)
        for number in range(2, 2 + accusers):
            solo.hear(number, Gossip(), Rumour(member(1, FIRST, SUSPECT), key_of(number)))
        begin_ns = solo.now_ns
        while solo.status(1) is SUSPECT:
            ping = solo.until_ping()
            if ping.to != address_of(1):
                solo.answer(ping)
            else:  # in health, and without a confirmation of its own
                solo.hear(2, Ack(seq_of(ping), key_of(1)))
        waits.append((solo.now_ns - begin_ns) / SECOND_NS)
    of = times(SwimConfig(), 21)
    assert waits[0] == pytest.approx(of.longest_ns / SECOND_NS, abs=1.1)
    assert of.shortest_ns / SECOND_NS < waits[1] < waits[0]
    assert waits[2] == pytest.approx(of.shortest_ns / SECOND_NS, abs=1.1)


def test_lifeguard_iv_b_the_first_k_independent_suspicions_are_told_on() -> None:
    """IV-B: so that the confirmations reach everybody."""
    solo = Solo(20)
    for _ in range(10):
        solo.answer(solo.until_ping())
    solo.clear()
    for number in (2, 3, 4, 5):
        solo.hear(number, Gossip(), Rumour(member(1, FIRST, SUSPECT), key_of(number)))
        solo.hear(6, Ping(1, key_of(ME)))
    said = [rumour.by for rumour in rumours_of(1, solo.of(Ack))]
    assert said == [key_of(2), key_of(3), key_of(4), key_of(4)]


# -- Lifeguard IV-C the buddy system


def test_lifeguard_iv_c_a_suspect_is_told_in_the_ping_to_it() -> None:
    """IV-C: it learns of the suspicion at the first opportunity, whatever else there is to tell."""
    solo = Solo(3)
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, SUSPECT), key_of(2)))
    solo.hear(2, Gossip(), *[Rumour(member(number, FIRST, meta=bytes(250))) for number in range(20, 30)])
    ping = solo.until_ping(of=1)
    assert ping.packet.rumours[0] == Rumour(member(1, FIRST, SUSPECT), key_of(2))


# -- SWIM 5, Lifeguard V: what comes of it


def test_swim_5_a_crash_is_known_everywhere_in_time() -> None:
    """5: detection takes a period or two, dissemination a logarithmic time behind the suspicion."""
    world = World(16, 3)
    world.settle(5)
    world.crash(5)
    assert world.settle(60) < 15
    assert world.false_deaths == []


def test_lifeguard_v_a_slow_member_accuses_nobody_who_is_well() -> None:
    """V: false positives about healthy members come from members that process their messages late."""
    world = World(8, 3)
    world.settle(5)
    for _ in range(10):
        world.stall(7, 3 * SECOND_NS)
        world.run(4)
    assert world.false_deaths == []
    assert sum(world.core(number).statistics().deaths for number in world.hosts) == 0
