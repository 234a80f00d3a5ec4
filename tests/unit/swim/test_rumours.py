"""What is believed: merging, accusing, burying, refuting, forgetting."""

from dataclasses import replace

import pytest

from haqactor.swim.config import HOUR_NS, SECOND_NS, SwimConfig
from haqactor.swim.member import Member, Status, first_incarnation
from haqactor.swim.messages import Gossip, Pull, Rumour, Table
from tests.builders.swim_cluster import address_of, key_of, member
from tests.builders.swim_core import FIRST, ME, Solo

ALIVE, SUSPECT, DEAD, LEFT = Status


def say(solo: Solo, teller: int, *members: Member) -> None:
    solo.hear(teller, Gossip(), *[Rumour(said) for said in members])


def known(solo: Solo, number: int) -> bool:
    return any(seen.key == key_of(number) for seen in solo.core.members())


# -- of others


def test_news_is_believed_told_on_and_reported() -> None:
    solo = Solo()
    say(solo, 1, member(7, FIRST, meta=b"x"))
    assert solo.view(7).meta == b"x"
    assert [(change.member.node, change.was) for change in solo.changes] == [(7, None)]
    solo.run(0.3)
    told = [rumour.member.node for sent in solo.of(Gossip) for rumour in sent.packet.rumours]
    assert 7 in told


def test_stale_news_changes_nothing() -> None:
    solo = Solo()
    say(solo, 1, member(2, FIRST - 1, DEAD), member(2, FIRST - 1, meta=b"old"), member(2, FIRST))
    assert solo.changes == []


def test_a_suspect_is_dead_when_its_time_is_over() -> None:
    solo = Solo(2)
    say(solo, 1, member(2, FIRST, SUSPECT))
    solo.core.stalled(0, 0)
    begin_ns = solo.now_ns
    while solo.status(2) is SUSPECT:
        solo.run(0.1)
    assert solo.status(2) is DEAD
    assert solo.now_ns - begin_ns == pytest.approx(4 * SECOND_NS, abs=SECOND_NS // 4)
    assert solo.core.statistics().deaths >= 1


def test_a_refutation_ends_the_suspicion() -> None:
    solo = Solo(2)
    say(solo, 1, member(2, FIRST, SUSPECT))
    say(solo, 1, member(2, FIRST + 1))
    for _ in range(8):
        solo.answer(solo.until_ping())
    assert solo.status(2) is ALIVE


def test_planted_the_suspicion_is_never_cancelled() -> None:
    solo = Solo(2, bugs=["swim.suspicion_never_cancelled"])
    say(solo, 1, member(2, FIRST, SUSPECT))
    say(solo, 1, member(2, FIRST + 1))
    for _ in range(8):
        solo.answer(solo.until_ping())
    assert solo.status(2) is DEAD


def test_independent_accusers_cut_it_short() -> None:
    """Four and more members: k = 2."""
    alone, together = Solo(6), Solo(6)
    for solo, accusers in ((alone, (1, 1, 1)), (together, (1, 3, 4))):
        for accuser in accusers:
            solo.hear(accuser, Gossip(), Rumour(member(2, FIRST, SUSPECT), key_of(accuser)))
        for _ in range(8):
            ping = solo.until_ping()
            if ping.to != address_of(2):
                solo.answer(ping)
    assert alone.status(2) is SUSPECT
    assert together.status(2) is DEAD
    assert "swim.suspicion_cut_short" in together.probe.marks


def test_the_accuser_is_told_on_with_the_suspicion() -> None:
    solo = Solo(6)
    solo.hear(1, Gossip(), Rumour(member(2, FIRST, SUSPECT), key_of(5)))
    solo.run(0.3)
    by = [rumour.by for sent in solo.of(Gossip) for rumour in sent.packet.rumours if rumour.member.node == 2]
    assert by
    assert set(by) == {key_of(5)}


def test_late_news_does_not_raise_the_dead() -> None:
    solo = Solo()
    say(solo, 1, member(2, FIRST, DEAD))
    say(solo, 3, member(2, FIRST), member(2, FIRST - 5), member(2, FIRST, SUSPECT))
    assert solo.status(2) is DEAD
    assert solo.probe.marks["swim.tombstone_held"] == 3
    say(solo, 3, member(2, FIRST + 1))
    assert solo.status(2) is ALIVE


def test_planted_late_news_raises_the_dead() -> None:
    solo = Solo(bugs=["swim.stale_resurrects"])
    say(solo, 1, member(2, FIRST, DEAD))
    say(solo, 3, member(2, FIRST - 5))
    assert solo.status(2) is ALIVE


def test_a_death_in_anothers_table_is_only_a_suspicion_of_the_living() -> None:
    solo = Solo()
    solo.ask(1, Pull(), Rumour(member(2, FIRST, DEAD)))
    assert solo.status(2) is SUSPECT
    solo.reply(1, Table(), Rumour(member(9, FIRST, DEAD)))
    assert solo.status(9) is DEAD  # of him nothing better is known


def test_the_table_has_a_bound() -> None:
    solo = Solo(3, config=SwimConfig(members_max=5))
    say(solo, 1, *[member(number, FIRST) for number in range(10, 16)])
    assert len(solo.core.members()) == 6
    assert solo.core.statistics().refused == 4


# -- forgetting


FORGETFUL = SwimConfig(forget_ns=HOUR_NS)


def test_the_dead_are_forgotten_in_time_and_the_known_never() -> None:
    solo = Solo(1, config=FORGETFUL)
    say(solo, 1, member(8, FIRST), member(9, FIRST))
    say(solo, 1, member(1, FIRST, DEAD), member(8, FIRST, DEAD), member(9, FIRST, LEFT))
    solo.run(3_500)
    assert known(solo, 8)
    assert known(solo, 9)
    solo.run(200)
    assert not known(solo, 8)
    assert not known(solo, 9)
    assert known(solo, 1)


def test_a_tombstone_that_others_still_have_does_not_begin_anew() -> None:
    """S10: each hears for how long it has been so."""
    solo = Solo(1, config=FORGETFUL)
    solo.hear(1, Gossip(), Rumour(member(8, FIRST, DEAD), b"", HOUR_NS))
    assert not known(solo, 8)
    solo.hear(1, Gossip(), Rumour(member(9, FIRST, DEAD), b"", HOUR_NS - 100 * SECOND_NS))
    assert known(solo, 9)
    solo.run(140)
    assert not known(solo, 9)


def test_the_age_travels() -> None:
    solo = Solo(1, config=FORGETFUL)
    solo.hear(1, Gossip(), Rumour(member(9, FIRST, DEAD), b"", 1_000 * SECOND_NS))
    solo.run(10)
    reply = solo.ask(1, Pull())
    (age_ns,) = [rumour.age_ns for rumour in reply.rumours if rumour.member.node == 9]
    assert age_ns == 1_010 * SECOND_NS


# -- of me


@pytest.mark.parametrize("status", [SUSPECT, DEAD, LEFT])
@pytest.mark.parametrize("above", [0, 5, 7 << 20])
def test_i_refute_above_the_accusation(status: Status, above: int) -> None:
    solo = Solo()
    say(solo, 1, member(ME, FIRST + above, status))
    assert solo.core.me == member(ME, FIRST + above + 1)
    assert solo.core.health == 1
    assert solo.core.statistics().refutations == 1
    solo.run(0.3)
    told = [rumour.member for sent in solo.of(Gossip) for rumour in sent.packet.rumours]
    assert solo.core.me in told


def test_planted_a_refutation_that_says_nothing_new() -> None:
    solo = Solo(bugs=["swim.stale_refutation"])
    say(solo, 1, member(ME, FIRST, SUSPECT))
    assert solo.core.me.incarnation == FIRST


@pytest.mark.parametrize("said", [member(ME, FIRST), member(ME, FIRST - 1, DEAD)])
def test_what_agrees_or_is_stale_needs_no_answer(said: Member) -> None:
    solo = Solo()
    say(solo, 1, said)
    assert solo.core.me == member(ME, FIRST)
    assert solo.core.statistics().refutations == 0


@pytest.mark.parametrize("wrong", [{"meta": b"zz"}, {"meta": b"", "address": "0:1"}, {"node": 5}])
def test_other_facts_under_my_incarnation_are_refuted(wrong: dict[str, object]) -> None:
    """S2: a restart whose boot epoch was lost, or a copied disk."""
    solo = Solo()
    say(solo, 1, replace(member(ME, FIRST), **wrong))  # type: ignore[arg-type]  # fields of a member
    assert solo.core.me == member(ME, FIRST + 1)
    assert solo.core.health == 0


def test_what_the_disk_says_of_me_is_refuted_at_the_start() -> None:
    solo = Solo(me=member(ME, first_incarnation(2, Solo().probe)))
    assert solo.core.me.incarnation == 2 << 20
    say(solo, 1, member(ME, 3 << 20, LEFT))
    assert solo.core.me == member(ME, (3 << 20) + 1)
