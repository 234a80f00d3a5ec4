"""The check of determinism passes what is decided by its seed, and shows where something else is not."""

import os
import re

from haqactor.sim.search import selfcheck as module
from haqactor.sim.search.selfcheck import cores, digests, selfcheck
from haqactor.sim.trace import Event


def steady(seed: int, profile: str, recording: bool) -> tuple[str, str, list[Event]]:
    return f"{seed} {profile}", "S1" if seed == 3 else "", []


def moody(seed: int, profile: str, recording: bool) -> tuple[str, str, list[Event]]:
    """Seed 5 hangs on the order of a set of texts."""
    names = [f"name {number}" for number in range(50)]
    order = list(set(names)) if seed == 5 else names
    kinds = [f"kind {number}" for number in range(3)] + order
    shown = [Event(number, number, kind, "n0", (), -1) for number, kind in enumerate(kinds)]
    return " ".join(kinds), "", shown if recording else []


def fatal(seed: int, profile: str, recording: bool) -> tuple[str, str, list[Event]]:
    os._exit(3)


def test_what_its_seed_decides_passes() -> None:
    told: list[int] = []
    found = selfcheck(range(4), "calm", subject=steady, batch=3, progress=told.append)
    assert (found.ok, found.seeds, found.mismatches) == (True, 4, [])
    assert found.alarms == {3: "S1"}
    assert sorted(told) == [1, 1, 1, 3, 3, 3]


def test_a_difference_is_found_and_shown() -> None:
    found = selfcheck(range(4, 7), "calm", subject=moody)
    assert not found.ok
    (bad,) = found.mismatches
    assert bad.seed == 5
    assert len({*bad.hash_seeds}) == 3
    assert re.search(r"part at event [3-9]: they differ in kind", bad.where)  # two sets may begin alike
    assert "kind 2" in bad.where


def test_a_process_that_dies_is_no_pass() -> None:
    found = selfcheck([1], "calm", subject=fatal, processes=2)
    assert not found.ok
    assert "exit code 3" in found.errors[0]


def test_the_cores_go_one_way() -> None:
    assert selfcheck([3], "crash", subject=cores, processes=2, jobs=2).ok


def test_whole_nodes_go_one_way() -> None:
    found = selfcheck([1], "calm", processes=2, jobs=2)
    assert found.ok, found


def test_processes_run_their_seeds_in_different_orders() -> None:
    seeds = tuple(range(20))
    orders = [list(digests(steady, seeds, "calm", process)) for process in range(3)]
    assert orders[0] == list(seeds)
    assert sorted(orders[1]) == sorted(orders[2]) == list(seeds)
    assert orders[1] != orders[2]
    assert module.events(moody, (5, 6), "calm", 0, 6)
