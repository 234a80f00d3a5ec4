"""What seeds draw of releases: apart from all other faults, and a bit of everything."""

from haqactor.sim.drawn import SAFETY_NS
from haqactor.sim.plan import NS, Fault
from haqactor.sim.profiles import PROFILES, draw
from haqactor.sim.rollouts import KINDS, rollout

SEEDS = 1000


def rollouts() -> list[tuple[Fault, ...]]:
    return [found for seed in range(SEEDS) if (found := rollout(seed, SAFETY_NS))]


def test_three_seeds_in_ten_have_one_and_it_begins_with_an_upgrade() -> None:
    found = rollouts()
    assert 0.25 * SEEDS < len(found) < 0.35 * SEEDS
    assert all(faults[0].kind == "upgrade" for faults in found)
    assert all(NS <= fault.at_ns < SAFETY_NS for faults in found for fault in faults)


def test_all_ways_come() -> None:
    """Of everybody or of some, in order or by a crash, with and without a way back, and forth again."""
    found = rollouts()
    firsts = [faults[0] for faults in found]
    assert sorted(dict.fromkeys(fault.target for fault in firsts)) == ["all", "n0", "n1", "n2"]
    assert sorted(dict.fromkeys(str(fault.args["crash"]) for fault in firsts)) == ["False", "True"]
    ways = dict.fromkeys(tuple(fault.kind for fault in faults) for faults in found)
    assert [way for way in ways if way[1:] == ("downgrade", "upgrade")]
    assert ("upgrade",) in ways
    assert ("upgrade", "upgrade") in ways


def test_a_short_run_has_what_fits_into_it() -> None:
    assert all(rollout(seed, NS) == () for seed in range(100))


def test_the_other_faults_of_a_seed_do_not_notice() -> None:
    """Nor does a seed without any."""
    for seed in range(40):
        drawn = draw(seed, "crash")
        others = drawn.plan.where(lambda fault: fault.kind not in KINDS)
        assert tuple(fault for fault in drawn.plan if fault.kind in KINDS) == (
            rollout(seed, SAFETY_NS) if others.faults else ()
        )


def test_profiles_of_processes_have_them() -> None:
    assert [name for name, kinds in PROFILES.items() if "upgrade" in kinds] == ["crash", "swarm"]
