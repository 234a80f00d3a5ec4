"""What seeds draw: every profile what it says, each kind often enough, and one seed in ten nothing."""

import pytest

from haqactor.sim.cluster import SimCluster
from haqactor.sim.nemesis import Nemesis
from haqactor.sim.network.links import LinkSettings
from haqactor.sim.profiles import DAMAGE, LIES, PROFILES, draw
from haqactor.sim.world import World


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_profiles_draw_what_they_say(name: str) -> None:
    drawn = dict.fromkeys(fault.kind for seed in range(200) for fault in draw(seed, name).plan)
    assert sorted(drawn) == sorted(PROFILES[name])


def test_there_is_no_other_profile() -> None:
    with pytest.raises(ValueError, match="no profile"):
        draw(1, "none")


def test_the_nemesis_knows_every_kind() -> None:
    with World(1) as world:
        known = Nemesis(SimCluster(world)).kinds
    for name, kinds in PROFILES.items():
        assert [kind for kind in kinds if kind not in known] == [], name


def test_only_the_liars_lie() -> None:
    for name, kinds in PROFILES.items():
        assert [kind for kind in kinds if kind in LIES] == (list(LIES) if name == "lying" else [])
        assert name != "calm" or not [kind for kind in kinds if kind in DAMAGE]


def test_every_kind_comes_often_enough_in_the_swarm() -> None:
    counts = dict.fromkeys(PROFILES["swarm"], 0)
    seeds = 1000
    quiet = 0
    for seed in range(seeds):
        drawn = draw(seed, "swarm")
        quiet += not drawn.plan.faults
        for fault in drawn.plan:
            counts[fault.kind] += 1
        assert drawn.plan.faults or not (drawn.chances or drawn.core)
    assert min(counts.values()) * 10 > 1.5 * seeds, counts
    assert 0.07 * seeds < quiet < 0.16 * seeds


def test_chances_are_shares_that_links_have() -> None:
    known = [*LinkSettings.__slots__, "buggify"]
    drawn = dict.fromkeys(name for seed in range(100) for name in draw(seed, "swarm").chances)
    assert len(drawn) == 12
    assert [name for name in drawn if name not in known] == []


def test_a_core_is_at_least_a_majority() -> None:
    sizes: dict[tuple[int, int], None] = {}
    for seed in range(200):
        drawn = draw(seed, "swarm")
        if drawn.core:
            assert len(drawn.core) > drawn.nodes // 2
            assert all(int(name[1:]) < drawn.nodes for name in drawn.core)
            sizes[drawn.nodes, len(drawn.core)] = None
    assert sorted(sizes) == [(3, 2), (3, 3), (5, 3), (5, 4), (5, 5)]


def test_taking_a_kind_away_leaves_the_others() -> None:
    plan = draw(3, "swarm").plan
    gone = plan.kinds()[0]
    rest = plan.where(lambda fault: fault.kind != gone)
    assert len(rest.kinds()) == len(plan.kinds()) - 1
    assert all(fault in plan.faults for fault in rest)
