"""Finding back: who is tried, how often, and for how long."""

from itertools import pairwise

from haqactor.swim.config import SECOND_NS
from haqactor.swim.member import Status
from haqactor.swim.messages import Gossip, Pull, Rumour, Table
from tests.builders.swim_cluster import address_of, member
from tests.builders.swim_core import FIRST, Solo


def tries(solo: Solo, address: str) -> list[int]:
    return [sent.at_ns for sent in solo.of(Pull) if sent.to == address and sent.stream]


def test_seeds_and_the_never_heard_are_tried_at_once() -> None:
    solo = Solo(2, heard=False, seeds=["seed:1"])
    solo.run(0.3)
    for address in (address_of(1), address_of(2), "seed:1"):
        assert tries(solo, address) == [0]


def test_less_and_less_often_and_for_ever() -> None:
    solo = Solo(0, seeds=["seed:1"])
    solo.run(4_000)
    times = tries(solo, "seed:1")
    gaps = [(later - sooner) / SECOND_NS for sooner, later in pairwise(times)]
    assert 1 <= gaps[0] <= 1.3
    assert all(gap <= 30.3 for gap in gaps)
    assert gaps[5] > 20
    assert times[-1] > 3_900 * SECOND_NS
    assert len(set(gaps[6:20])) > 5, "jitter"


def test_the_dead_are_tried_and_come_back() -> None:
    solo = Solo(2)
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, Status.DEAD)))
    solo.clear()
    solo.run(5)
    assert len(tries(solo, address_of(1))) >= 2
    solo.reply(1, Table(), Rumour(member(1, FIRST + 1)))
    assert solo.status(1) is Status.ALIVE
    assert solo.core.statistics().rejoins == 1
    assert "swim.rejoins" in solo.probe.marks
    solo.clear()
    solo.run(3)
    assert tries(solo, address_of(1)) == []


def test_planted_the_dead_are_never_tried() -> None:
    solo = Solo(2, bugs=["swim.never_rejoins"])
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, Status.DEAD)))
    solo.clear()
    solo.run(5)
    assert tries(solo, address_of(1)) == []


def test_those_who_left_are_not_missed() -> None:
    solo = Solo(2)
    solo.hear(2, Gossip(), Rumour(member(9, FIRST)))
    solo.hear(2, Gossip(), Rumour(member(9, FIRST, Status.LEFT)))
    solo.clear()
    solo.run(5)
    assert tries(solo, address_of(9)) == []


def test_members_for_good_are_missed_though_they_left() -> None:
    """Two that left and came back, each of which had heard of the other's leaving last, from a third that is
    gone: seed 851463 of the swarm profile."""
    solo = Solo(2, heard=False)
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, Status.LEFT)))
    solo.clear()
    solo.run(5)
    assert len(tries(solo, address_of(1))) >= 2
    solo.reply(1, Table(), Rumour(member(1, FIRST + 1)))
    assert solo.status(1) is Status.ALIVE


def test_a_seed_that_somebody_was_heard_at_is_not_tried() -> None:
    solo = Solo(1, seeds=[address_of(1), address_of(0)])
    solo.run(3)
    assert tries(solo, address_of(1)) == []
    assert tries(solo, address_of(0)) == []


def test_an_address_that_has_a_new_owner_is_not_tried_for_the_old_one() -> None:
    """S7."""
    solo = Solo(2)
    solo.hear(2, Gossip(), Rumour(member(1, FIRST, Status.DEAD)))
    owner = member(9, FIRST)
    moved = type(owner)(owner.key, owner.node, address_of(1), FIRST, Status.ALIVE, b"")
    solo.hear(2, Gossip(), Rumour(moved))
    solo.clear()
    solo.run(5)
    assert tries(solo, address_of(1)) == []


def test_many_are_not_tried_all_at_once() -> None:
    solo = Solo(40, heard=False)
    solo.run(2)
    moments = [sent.at_ns for sent in solo.of(Pull)]
    assert max(moments.count(moment) for moment in set(moments)) <= 4
    assert len({sent.to for sent in solo.of(Pull)}) >= 28
