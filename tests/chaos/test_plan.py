"""A plan is data that its seed decides, and bears what a cluster bears."""

import pytest

from tests.chaos.plan import ALONE, KINDS, WEIGHTS, draw, from_json, to_json

NODES, HOSTS = ["n0", "n1", "n2"], ["c0", "c1"]


def test_the_seed_decides_everything() -> None:
    assert draw(7, 60, NODES, HOSTS) == draw(7, 60, NODES, HOSTS)
    assert draw(7, 60, NODES, HOSTS) != draw(8, 60, NODES, HOSTS)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [3, 5])
def test_all_is_over_in_time_and_dangerous_faults_come_alone(seed: int, count: int) -> None:
    nodes = [f"n{number}" for number in range(count)]
    plan = draw(seed, 120, nodes, HOSTS)
    assert len(plan) > 10
    assert all(0 < fault.at_s < fault.until_s <= 120 for fault in plan)
    assert [fault.at_s for fault in plan] == sorted(fault.at_s for fault in plan)
    for fault in plan:
        assert dict.fromkeys(fault.victims).keys() <= {*nodes, *HOSTS, "leader"}
        if fault.kind in ALONE:
            others = [each for each in plan if each is not fault]
            assert not any(each.at_s < fault.until_s and fault.at_s < each.until_s for each in others)


def test_every_kind_comes() -> None:
    plan = draw(1, 5000, NODES, HOSTS)
    assert {fault.kind for fault in plan} == {*KINDS} == {*WEIGHTS}


def test_only_the_kinds_that_are_wanted_come() -> None:
    assert {fault.kind for fault in draw(1, 500, NODES, HOSTS, ["kill", "cut"])} == {"kill", "cut"}
    assert draw(1, 500, NODES, HOSTS, []) == []
    with pytest.raises(KeyError):
        draw(1, 5, NODES, HOSTS, ["flood"])


def test_a_plan_is_kept_and_read_back() -> None:
    plan = draw(3, 60, NODES, HOSTS)
    assert from_json(to_json(3, plan)) == (3, plan)
