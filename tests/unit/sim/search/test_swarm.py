"""A swarm: seeds in order, deaths and second runs told as failures, budgets kept, and what it sums up to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, cast

import pytest

from haqactor.sim.search import swarm as module
from haqactor.sim.search.pool import Done, Pool
from haqactor.sim.search.seedrun import CORES, NODES, Outcome
from haqactor.sim.search.settings import SettingError, Settings, read
from haqactor.sim.search.summary import Summary, expected
from haqactor.sim.search.swarm import Rules, swarm
from haqactor.sim.verdict import Verdict

EVERY = Rules(again_share=1.0)


class Workers:
    """Stands for a pool of two that is done with the youngest task first. ``die``: seeds that take their
    process with them; ``moody``: seeds that go another way each time."""

    def __init__(self, die: Sequence[int] = (), moody: Sequence[int] = (), break_at: int = -1) -> None:
        self.die, self.moody, self.break_at = die, moody, break_at
        self.tasks: list[tuple[tuple[int, bool], str]] = []
        self.dropped: list[Any] = []
        self.runs = 0

    @property
    def busy(self) -> list[Any]:
        return [key for key, _hash_seed in self.tasks]

    @property
    def free(self) -> bool:
        return len(self.tasks) < 2

    def submit(self, key: Any, *_given: Any, limit_s: float, unlike: str | None = None) -> bool:
        taken = [hash_seed for _key, hash_seed in self.tasks]
        for hash_seed in ("0", "1"):
            if hash_seed not in taken and hash_seed != unlike:
                self.tasks.append((key, hash_seed))
                return True
        return False

    def wait(self) -> list[Done]:
        self.runs += 1
        if self.runs == self.break_at:
            raise KeyboardInterrupt
        key, hash_seed = self.tasks.pop()
        seed, _again = key
        if seed in self.die:
            return [Done(key, None, "the process that ran it was killed by SIGKILL", True, 0.0, hash_seed)]
        digest = f"{seed} {self.runs if seed in self.moody else ''}"
        fired = {"crash": 2} if seed % 2 else {}
        outcome = Outcome(seed, Verdict.PASS, digest, confirmed=seed, simulated_ns=3_600 * 10**9, fired=fired)
        return [Done(key, outcome, "", False, 0.5, hash_seed)]

    def drop(self) -> None:
        self.dropped, self.tasks = self.busy, []


def run(workers: Workers, seeds: Iterator[int] | range, rules: Rules) -> tuple[Summary, list[Outcome]]:
    told: list[Outcome] = []
    found = swarm(seeds, on_result=told.append, rules=rules, pool=cast("Pool", workers))
    assert told == found.results
    return found, told


def test_results_come_in_the_order_of_seeds_and_sum_up() -> None:
    found, told = run(Workers(), range(7), Rules(again_share=0))
    assert [outcome.seed for outcome in told] == list(range(7))
    assert (found.verdict, found.verdicts, found.confirmed_median) == (Verdict.PASS, {"pass": 7}, 3)
    assert (found.fired, found.simulated_hours) == ({"crash": 6}, 7.0)
    assert (found.seeds_with, found.hours_ns["none"]) == ({"none": 4, "crash": 3}, 4 * 3_600 * 10**9)
    assert "crash" not in found.never_fired
    assert "isolate" in found.never_fired


def test_a_second_run_is_made_elsewhere_and_must_be_the_same() -> None:
    found, told = run(Workers(moody=(3,)), range(5), EVERY)
    assert [outcome.seed for outcome in told] == list(range(5))
    assert all(outcome.checked for outcome in told)
    (bad,) = found.failures
    assert (bad.seed, bad.verdict, bad.invariant) == (3, Verdict.NONDETERMINISM, "repeat")
    assert "hash seed" in bad.message
    assert found.broken == {"repeat": {"crash": 1}}


def test_a_death_is_a_failure_of_its_seed() -> None:
    found, told = run(Workers(die=(2,)), range(4), Rules(again_share=0))
    assert [outcome.verdict for outcome in told] == [Verdict.PASS, Verdict.PASS, Verdict.CRASH, Verdict.PASS]
    assert "SIGKILL" in found.failures[0].message
    assert found.verdict is Verdict.CRASH


def test_it_can_stop_at_the_first_failure_when_time_is_up_and_at_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers(die=(1,))
    found, _told = run(workers, count(), Rules(stop_early=True, again_share=0))
    assert [outcome.seed for outcome in found.failures] == [1]
    assert workers.dropped
    clock = count()
    monkeypatch.setattr(module, "wall_s", lambda: next(clock))
    found, told = run(Workers(), count(), Rules(budget_s=10, again_share=0))
    assert 2 < len(told) < 12
    found, told = run(Workers(break_at=4), count(), Rules(again_share=0))
    assert found.interrupted
    assert len(told) == 3


def test_nothing_run_is_no_pass() -> None:
    found, _told = run(Workers(), range(0), EVERY)
    assert found.verdict is Verdict.UNDETERMINED
    assert found.to_json()["seeds"] == 0


def test_real_workers_run_both_simulators() -> None:
    short = Settings(2_000_000_000, {"operations": 10, "nodes": 3, "core": ()})
    with Pool(2) as pool:
        found = swarm([7], "calm", settings=short, rules=EVERY, pool=pool)
        cores = swarm([1], "calm", simulator=CORES, rules=EVERY, pool=pool)
    assert (found.simulator, found.verdicts) == (NODES, {"pass": 1})
    assert all(outcome.checked and outcome.messages > 50 for outcome in found.results)
    assert cores.verdicts == {"pass": 1}
    row = cores.to_json()
    assert (row["run_twice"], row["first_seed"], row["last_seed"], row["unreached"]) == (1, 1, 1, [])


def test_settings_are_read_and_refused() -> None:
    found = read({"producers": "3", "pause_s": "0.5", "reset_share": "0.1", "core": "n0, n1"}).of(1, "swarm")
    assert (found.producers, found.pause_s, found.core) == (3, 0.5, ("n0", "n1"))
    assert found.chances["reset_share"] == 0.1
    assert read({"nodes": "1"}).of(1, "swarm").core == ()
    assert read({"steady": "yes"}).of(1, "swarm").steady
    plain = Settings().of(5, "swarm")
    assert read({}).of(5, "swarm") == plain
    assert replace(plain, producers=3) == read({"producers": "3"}).of(5, "swarm")
    for name, text in (("nodes", "0"), ("nodes", "x"), ("reset_share", "2"), ("steady", "?"), ("what", "1")):
        with pytest.raises(SettingError, match=name):
            read({name: text})
    assert expected("nothing") == ()
