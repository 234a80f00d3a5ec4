"""The calls: what is refused, what a stall does, what members say of themselves."""

from dataclasses import replace

import pytest

from haqactor.errors import InvalidArgument
from haqactor.swim.config import MILLISECOND_NS, SECOND_NS, SwimConfig
from haqactor.swim.core import SwimCore
from haqactor.swim.member import Member, Status
from haqactor.swim.messages import (
    Ack,
    Gossip,
    Message,
    Nack,
    Packet,
    Ping,
    PingReq,
    Pull,
    Rumour,
    SwimPacketError,
    Table,
)
from haqactor.swim.packet import encode
from tests.builders.swim_cluster import CLUSTER, Chance, Switches, address_of, key_of, member
from tests.builders.swim_core import FIRST, ME, Solo

FOREIGN = bytes(16)


def core(
    me: Member, known: tuple[Member, ...] = (), seeds: tuple[str, ...] = (), cluster: bytes = CLUSTER
) -> SwimCore:
    return SwimCore(SwimConfig(), cluster, me, known, seeds, random=Chance(0), probe=Switches(), now_ns=0)


def data(message: Message, *rumours: Rumour, cluster: bytes = CLUSTER) -> bytes:
    return encode(Packet(key_of(1), address_of(1), message, rumours), cluster)


# -- the beginning


def test_what_could_not_travel_is_refused() -> None:
    me = member(ME, FIRST)
    for wrong in (replace(me, incarnation=0), replace(me, key=b"x"), replace(me, meta=bytes(300))):
        with pytest.raises(InvalidArgument):
            core(wrong)
    with pytest.raises(InvalidArgument):
        core(me, cluster=b"short")
    with pytest.raises(InvalidArgument):
        core(me, seeds=("",))
    with pytest.raises(InvalidArgument):
        core(me, known=(replace(member(1), key=b""),))


def test_what_is_known_is_listed_by_key_and_not_told_as_news() -> None:
    found = core(member(ME, FIRST), known=(member(2), member(1), member(2, 5), member(ME, 3)))
    assert [(seen.node, seen.incarnation) for seen in found.members()] == [(0, FIRST), (1, 0), (2, 5)]
    assert found.take() == []
    assert found.statistics().members == 3


def test_what_the_disk_says_of_me_is_exceeded() -> None:
    assert core(member(ME, FIRST), known=(member(ME, FIRST + 9, Status.DEAD),)).me.incarnation == FIRST + 10


def test_a_known_suspect_is_judged_anew() -> None:
    found = core(member(ME, FIRST), known=(member(1, 5, Status.SUSPECT), member(2, 5, Status.DEAD)))
    assert [seen.status for seen in found.members()[1:]] == [Status.ALIVE, Status.DEAD]


def test_the_same_calls_give_the_same_effects() -> None:
    def effects() -> list[object]:
        solo = Solo(5)
        solo.hear(1, Gossip(), Rumour(member(9, FIRST, Status.SUSPECT)))
        solo.run(40)
        return [*solo.sent, *solo.changes]

    first = effects()
    assert first == effects()
    assert len(first) > 50


# -- packets


def test_bad_datagrams_are_counted_and_refused() -> None:
    solo = Solo()
    for wrong in (b"", b"x" * 100, data(Gossip())[:-1], data(Pull()), data(Table())):
        with pytest.raises(SwimPacketError):
            solo.core.received(wrong, "socket", solo.now_ns)
    assert solo.core.statistics().bad == 5
    assert solo.core.statistics().packets_in == 5 + 3


def test_bad_requests_are_counted_and_refused() -> None:
    solo = Solo()
    for wrong in (b"", data(Gossip()), data(Ack(1, key_of(1))), data(Table())):
        with pytest.raises(SwimPacketError):
            solo.core.asked(wrong, solo.now_ns)
    assert solo.core.statistics().bad == 4


def test_bad_replies_are_counted_and_do_no_harm() -> None:
    solo = Solo()
    for wrong in (b"", data(Pull()), data(Table(), cluster=FOREIGN)):
        solo.core.exchanged(address_of(1), wrong, solo.now_ns)
    solo.core.exchange_failed(address_of(1), solo.now_ns)
    counted = solo.core.statistics()
    assert (counted.bad, counted.foreign, counted.exchanges_failed) == (2, 1, 3)


def test_another_cluster_is_ignored_and_counted() -> None:
    """S9."""
    solo = Solo()
    stranger = Rumour(member(9, FIRST))
    solo.core.received(data(Ping(1, key_of(ME)), stranger, cluster=FOREIGN), "socket", solo.now_ns)
    with pytest.raises(SwimPacketError):
        solo.core.asked(data(Pull(), stranger, cluster=FOREIGN), solo.now_ns)
    solo.collect()
    assert (solo.sent, solo.changes) == ([], [])
    assert (solo.core.statistics().foreign, solo.core.statistics().bad) == (2, 0)


def test_planted_another_cluster_is_believed() -> None:
    solo = Solo(bugs=["swim.foreign_accepted"])
    solo.core.received(data(Gossip(), Rumour(member(9, FIRST)), cluster=FOREIGN), "socket", solo.now_ns)
    assert solo.view(9).node == 9


def test_a_ping_is_answered_to_the_address_that_it_states() -> None:
    solo = Solo()
    solo.hear(1, Ping(5, key_of(ME)))
    assert [(sent.to, sent.message) for sent in solo.sent] == [(address_of(1), Ack(5, key_of(ME)))]


def test_a_ping_for_another_disk_is_told_who_is_here() -> None:
    solo = Solo()
    solo.hear(1, Ping(5, key_of(77)))
    (ack,) = solo.of(Ack)
    assert ack.message == Ack(5, key_of(ME))
    assert ack.packet.rumours[0].member == solo.core.me


@pytest.mark.parametrize("status", [Status.SUSPECT, Status.DEAD, Status.LEFT])
def test_one_that_is_not_believed_alive_is_told_so_first(status: Status) -> None:
    solo = Solo()
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, status), key_of(2)))
    solo.clear()
    solo.hear(1, Ping(5, key_of(ME)))
    (ack,) = solo.of(Ack)
    assert ack.packet.rumours[0].member == member(1, FIRST, status)
    assert solo.ask(1, Ping(6, key_of(ME))).rumours[0].member == member(1, FIRST, status)


def test_a_ping_over_a_stream_is_answered_there() -> None:
    solo = Solo()
    assert solo.ask(1, Ping(5, key_of(ME))).message == Ack(5, key_of(ME))
    assert solo.sent == []


def test_a_table_is_answered_with_a_table() -> None:
    solo = Solo(2)
    reply = solo.ask(1, Pull(), Rumour(member(9, FIRST)))
    assert reply.message == Table()
    assert [rumour.member.node for rumour in reply.rumours] == [0, 1, 2, 9]


# -- of oneself


def test_an_update_is_a_new_incarnation_and_told() -> None:
    solo = Solo()
    solo.core.update(address="new:1", now_ns=solo.now_ns)
    solo.core.update(meta=b"load", now_ns=solo.now_ns)
    assert solo.core.me == replace(member(ME, FIRST + 2, meta=b"load"), address="new:1")
    solo.run(0.3)
    assert solo.core.me in [rumour.member for sent in solo.of(Gossip) for rumour in sent.packet.rumours]
    with pytest.raises(InvalidArgument):
        solo.core.update(meta=bytes(257), now_ns=solo.now_ns)
    assert solo.core.me.incarnation == FIRST + 2


def test_one_that_left_answers_still_but_accuses_nobody() -> None:
    solo = Solo()
    solo.core.leave(solo.now_ns)
    solo.hear(1, Gossip(), Rumour(member(ME, FIRST)))
    assert solo.core.me == member(ME, FIRST, Status.LEFT)
    solo.hear(1, Ping(5, key_of(ME)))
    assert solo.of(Ack)
    solo.run(100)
    assert solo.changes == []


# -- stalls


def test_a_stall_accuses_nobody() -> None:
    """S6: tick notices by itself."""
    solo = Solo()
    solo.until_ping(of=1)
    solo.now_ns += 20 * SECOND_NS
    solo.core.tick(solo.now_ns)
    solo.collect()
    assert solo.changes == []
    assert solo.core.health == 8
    assert solo.core.statistics().stalls == 1
    assert solo.probe.marks["swim.stall_forgiven"] == 1


def test_an_answer_that_waited_through_the_stall_counts() -> None:
    solo = Solo()
    ping = solo.until_ping(of=1)
    solo.now_ns += 20 * SECOND_NS
    solo.core.tick(solo.now_ns)
    assert solo.core.health == 8
    solo.answer(ping)
    assert solo.core.health == 7


@pytest.mark.parametrize("early_ns", [0, 1, 100 * MILLISECOND_NS])
def test_a_deadline_that_the_stall_hid_is_not_the_end(early_ns: int) -> None:
    """The loop stood still from just before a probe's end: its answer may wait unread."""
    solo = Solo()
    ping = solo.until_ping(of=1)
    solo.run(0.95)
    solo.now_ns = solo.core.next_ns() - early_ns
    solo.now_ns += 5 * SECOND_NS
    solo.core.tick(solo.now_ns)
    solo.answer(ping)
    solo.run(0.3)
    assert solo.status(1) is Status.ALIVE
    assert solo.changes == []


def test_one_that_is_always_late_still_finds_the_dead() -> None:
    solo = Solo(2)
    for _ in range(400):
        solo.now_ns = solo.core.next_ns() + 200 * MILLISECOND_NS
        solo.core.tick(solo.now_ns)
        solo.collect()
    assert [solo.status(number) for number in (1, 2)] == [Status.DEAD, Status.DEAD]


def test_a_suspect_gets_the_time_that_was_lost() -> None:
    solo = Solo(2)
    solo.hear(1, Gossip(), Rumour(member(2, FIRST, Status.SUSPECT)))
    solo.run(1)
    solo.now_ns += 10 * SECOND_NS
    solo.core.tick(solo.now_ns)
    solo.run(1)
    assert solo.status(2) is Status.SUSPECT
    solo.run(5)
    assert solo.status(2) is Status.DEAD


def test_a_stall_is_counted_once_whoever_notices_it() -> None:
    solo = Solo()
    solo.until_ping()
    solo.now_ns += 2 * SECOND_NS
    solo.hear(1, Nack(1))
    health = solo.core.health
    solo.core.stalled(2 * SECOND_NS, solo.now_ns)
    solo.core.tick(solo.now_ns)
    assert (solo.core.health, solo.core.statistics().stalls) == (health, 1)


def test_the_caller_may_say_first() -> None:
    solo = Solo()
    solo.until_ping()
    solo.now_ns += 90 * MILLISECOND_NS
    solo.core.stalled(80 * MILLISECOND_NS, solo.now_ns)
    assert (solo.core.health, solo.core.statistics().stalls) == (1, 1)


def test_a_tick_in_time_is_no_stall() -> None:
    solo = Solo()
    solo.run(0.5)
    solo.now_ns = solo.core.next_ns() + 100 * MILLISECOND_NS
    solo.core.tick(solo.now_ns)
    assert solo.core.statistics().stalls == 0


def test_before_the_first_tick_nothing_is_late() -> None:
    solo = Solo()
    assert solo.core.next_ns() == 0
    solo.core.tick(5 * SECOND_NS)
    assert solo.core.statistics().stalls == 0
    assert solo.core.next_ns() >= 5 * SECOND_NS


def test_a_relayed_ping_is_asked_for() -> None:
    solo = Solo()
    solo.hear(1, PingReq(4, key_of(2), address_of(2), 400))
    assert [(sent.to, type(sent.message)) for sent in solo.sent] == [(address_of(2), Ping)]
