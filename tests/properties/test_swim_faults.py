"""Whole memberships under faults from seeds: when the faults end, every view is the truth; and planted bugs
keep it from that."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import log2

import pytest

from haqactor.swim.config import MILLISECOND_NS, SECOND_NS, SwimConfig
from haqactor.swim.member import Status
from haqactor.swim.messages import Gossip, Packet, Rumour
from haqactor.swim.packet import encode
from haqactor.swim.statistics import SwimStatistics
from tests.builders.swim_cluster import CLUSTER, World, address_of, key_of, member

SLACK = 60
"""Protocol periods beside 10 log2 n: 30 for the longest wait between two attempts to rejoin, the rest for
periods that bad health has stretched."""
LIFEGUARD = SwimConfig()
PLAIN = SwimConfig(awareness_max=0, suspicion_max_mult=1)
MARKS = {
    *("swim.fallback_saved", "swim.indirect_saved", "swim.refutes", "swim.rejoins", "swim.stall_forgiven"),
    *("swim.suspicion_cut_short", "swim.tombstone_held"),
}


def bound(count: int) -> float:
    return 10 * log2(count) + SLACK


def hurt(world: World, chance: random.Random) -> None:
    """One fault, or the end of one."""
    numbers = list(world.hosts)
    chance.shuffle(numbers)
    first, second, where = numbers[0], numbers[1], chance.randrange(1, len(numbers))
    match chance.randrange(9):
        case 0:
            world.part(numbers[:where], numbers[where:])
        case 1:
            world.cut = {**world.cut, (first, second): True}
        case 2:
            world.loss, world.repeats = chance.choice((0.05, 0.2, 0.5)), 0.1
        case 3:
            world.crash(first)
        case 4 if world.hosts[first].core is None:
            world.start(first)
        case 5:
            world.stall(first, round(chance.uniform(0.2, 6) * SECOND_NS))
        case 6:
            world.heal()
        case 7:
            world.delay_ns = (MILLISECOND_NS, chance.choice((10, 300, 900)) * MILLISECOND_NS)
        case 8 if world.hosts[first].core is not None:
            world.update(first, b"%d" % chance.randrange(99))
        case _:
            pass


def faulty(seed: int, count: int, seconds: float, *, bugs: Sequence[str] = (), known: bool = True) -> World:
    """A world after so many seconds of faults; some that were down are started again."""
    world = World(count, seed, bugs=bugs, known=known, seeds=() if known else (0, 1))
    chance = random.Random(seed)
    while world.now_ns < seconds * SECOND_NS:
        hurt(world, chance)
        world.run(chance.uniform(0.5, 3))
    world.heal()
    for number, host in world.hosts.items():
        if host.core is None and chance.random() < 0.7:
            world.start(number)
    return world


@cache
def hundred() -> dict[str, int]:
    """100 seeds come to the truth in time; the marks that they took."""
    marks: dict[str, int] = {}
    for seed in range(100):
        count = (2, 3, 5, 7)[seed % 4]
        world = faulty(seed, count, 20, known=seed % 3 > 0)
        if seed % 3 == 0 and all(world.hosts[number].core is None for number in (0, 1)):
            world.start(0)  # where the seeds are all that is known, one is up
        world.settle(bound(count))
        for name, times in world.probe.marks.items():
            marks[name] = marks.get(name, 0) + times
    return marks


@pytest.mark.slow
def test_after_faults_every_view_is_the_truth() -> None:
    assert hundred()


@pytest.mark.slow
def test_every_mark_is_taken() -> None:
    assert set(hundred()) == MARKS


def test_a_cluster_finds_itself_by_one_seed() -> None:
    world = World(9, 1, known=False, seeds=[0])
    assert world.settle(10) < 10
    assert world.false_deaths == []


def test_a_large_one_agrees() -> None:
    world = World(40, 1, known=False, seeds=[0, 1])
    world.settle(20)
    world.crash(7)
    world.settle(bound(40))
    assert world.false_deaths == []
    assert world.core(3).statistics().bad == 0


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_crash_is_found_and_a_restart_is_believed(count: int) -> None:
    world = World(count, count)
    world.settle(5)
    world.crash(count - 1)
    assert 4 <= world.settle(bound(count)) < 20
    world.start(count - 1)
    world.settle(5)


def test_a_wiped_disk_is_another_member_at_the_old_address() -> None:
    """S7."""
    world = World(4, 1)
    world.settle(5)
    world.wipe(2)
    world.start(2)
    world.settle(bound(4))
    view = {seen.key: seen for seen in world.core(0).members()}
    assert view[key_of(2)].status is Status.DEAD
    assert view[key_of(1_002)].status is Status.ALIVE
    assert view[key_of(1_002)].address == view[key_of(2)].address == address_of(2)
    assert world.false_deaths == []


@pytest.mark.slow
def test_an_hour_of_isolation_heals() -> None:
    """S8. Two alone for an hour each, from 100 seeds."""
    for seed in range(100):
        world = World(2, seed)
        world.settle(5)
        world.part([0], [1])
        world.run(3_600)
        assert [seen.status for seen in world.core(0).members()] == [Status.ALIVE, Status.DEAD]
        world.heal()
        assert world.settle(bound(2)) <= 35


@pytest.mark.slow
def test_an_hour_of_partition_heals() -> None:
    world = World(5, 1)
    world.settle(5)
    world.part([0, 1], [2, 3, 4])
    world.run(3_600)
    world.heal()
    world.settle(bound(5))
    assert world.false_deaths == [], "those of the own side stay alive while the sides meet"


def test_one_way_cuts_kill_nobody_where_others_can_help() -> None:
    world = World(5, 1)
    world.settle(5)
    world.cut = {(0, 1): True}
    world.run(120)
    assert world.false_deaths == []
    assert world.agreed()


def false_positives(config: SwimConfig) -> tuple[int, list[SwimStatistics]]:
    """Healthy members that anybody held for dead, while two of eight stand still again and again and 30 % of
    all packets are lost (the setting of Lifeguard's section V)."""
    found = 0
    counted: list[SwimStatistics] = []
    for seed in range(5):
        world = World(8, seed, config=config)
        world.run(5)
        world.loss = 0.3
        chance = random.Random(seed)
        for _ in range(20):
            for slow in (6, 7):
                world.stall(slow, round(chance.uniform(1, 5) * SECOND_NS))
            world.run(5.5)
        found += sum(dead < 6 for _, dead in world.false_deaths)
        counted += [world.core(number).statistics() for number in world.hosts]
    return found, counted


@pytest.mark.slow
def test_slow_members_take_few_healthy_ones_for_dead() -> None:
    with_it, counted = false_positives(LIFEGUARD)
    without, _ = false_positives(PLAIN)
    assert without >= 5
    assert with_it * 5 <= without
    assert sum(one.stalls for one in counted) > 0


# -- S9: two clusters stay two


def two_clusters(bugs: Sequence[str] = ()) -> World:
    world = World(4, 1, bugs=bugs, known=False, seeds=[0, 1, 2, 3], start=False)
    for number, host in world.hosts.items():
        host.cluster = CLUSTER if number < 2 else bytes(16)
        world.start(number)
    world.run(20)
    return world


def test_two_clusters_never_become_one() -> None:
    world = two_clusters()
    for number in world.hosts:
        assert [seen.node for seen in world.core(number).members()] == ([0, 1] if number < 2 else [2, 3])
    assert world.core(0).statistics().foreign > 0


# -- the other planted bugs; their kin in ``tests/unit/swim`` show each on one core


def test_planted_foreign_packets_make_one_of_two() -> None:
    world = two_clusters(["swim.foreign_accepted"])
    assert len(world.core(0).members()) == 4


def test_planted_stale_refutation_leaves_a_living_one_dead() -> None:
    world = World(3, 1, bugs=["swim.stale_refutation"])
    world.settle(5)
    world.part([0], [1, 2])
    world.run(60)
    world.heal()
    with pytest.raises(AssertionError, match="believes"):
        world.settle(bound(3))


def test_planted_suspicion_that_is_never_cancelled_kills_the_living() -> None:
    def one_that_was_suspected(bugs: Sequence[str]) -> World:
        world = World(4, 1, bugs=bugs)
        world.settle(5)
        accused = replace(world.core(1).me, status=Status.SUSPECT)
        data = encode(Packet(key_of(3), address_of(3), Gossip(), (Rumour(accused, key_of(3)),)), CLUSTER)
        world.core(0).received(data, "socket", world.now_ns)
        world.run(60)
        return world

    assert one_that_was_suspected([]).false_deaths == []
    assert one_that_was_suspected(["swim.suspicion_never_cancelled"]).false_deaths


def test_planted_stale_news_raises_the_dead() -> None:
    def late_news(bugs: Sequence[str]) -> World:
        world = World(3, 1, bugs=bugs)
        world.settle(5)
        world.crash(2)
        world.settle(bound(3))
        late = Packet(key_of(1), address_of(1), Gossip(), (Rumour(member(2, 1 << 20)),))
        world.core(0).received(encode(late, CLUSTER), "socket", world.now_ns)
        world.run(1)
        return world

    assert late_news([]).agreed()
    with pytest.raises(AssertionError, match="became"):
        late_news(["swim.stale_resurrects"])


def test_planted_the_dead_are_never_tried_so_that_nothing_heals() -> None:
    world = World(2, 1, bugs=["swim.never_rejoins"])
    world.settle(5)
    world.part([0], [1])
    world.run(300)
    world.heal()
    with pytest.raises(AssertionError, match="believes"):
        world.settle(bound(2))


def test_planted_a_restart_speaks_as_before() -> None:
    world = World(2, 1, bugs=["swim.incarnation_restarts"])
    world.settle(5)
    world.crash(1)
    with pytest.raises(AssertionError, match="said before"):
        world.start(1)
