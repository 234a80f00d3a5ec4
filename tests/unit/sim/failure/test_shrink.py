"""Shrinking finds the smallest failure, keeps to its budget and to the invariant."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.shrink import Moment, NotReproduced, Shrunk, Step, ddmin, same_invariant, shrink
from haqactor.sim.plan import NS, Fault, Plan

KINDS = ("crash", "isolate", "heal", "pause", "bitflip")
FAULTS = tuple(Fault(123_456_789 * number, KINDS[number % 5], f"n{number % 3}") for number in range(1, 41))
START = Drawn(
    plan=Plan(FAULTS),
    chances={"loss": 0.1, "duplication": 0.2, "reorder": 0.3},
    operations=300,
    until_ns=10 * NS,
)


def test_ddmin_finds_the_minimal_set() -> None:
    for wanted in ((), (0,), (7,), (3, 30), (0, 1, 63), (5, 6, 7, 8), tuple(range(64))):
        assert ddmin(range(64), set(wanted).issubset) == wanted


def test_ddmin_leaves_nothing_that_can_be_taken_away() -> None:
    def fails(items: tuple[int, ...]) -> bool:
        return sum(items) % 7 == 3 and len(items) > 2

    start = tuple(number for number in range(40) if number != 7)
    start = (
        start
        if fails(start)
        else tuple(range(1, 40 + next(n for n in range(9) if fails(tuple(range(1, 40 + n))))))
    )
    found = ddmin(start, fails)
    assert fails(found)
    assert not any(fails(found[:place] + found[place + 1 :]) for place in range(len(found)))


def needs(*kinds: str, operations: int = 0, until_ns: int = 0, loss: bool = False) -> Callable[[Drawn], bool]:
    def fails(candidate: Drawn) -> bool:
        found = iter(fault.kind for fault in candidate.plan)
        in_order = all(kind in found for kind in kinds)
        enough = candidate.operations >= operations and candidate.until_ns >= until_ns
        return in_order and enough and (not loss or "loss" in candidate.chances)

    return fails


def test_everything_that_is_not_needed_goes() -> None:
    fails = needs("crash", "isolate", operations=40, until_ns=3 * NS, loss=True)
    shrunk = shrink(START, fails)
    best = shrunk.candidate
    assert shrunk.complete
    assert fails(best)
    assert [fault.kind for fault in best.plan] == ["crash", "isolate"]
    assert dict(best.chances) == {"loss": 0.1}
    assert 40 <= best.operations <= 45
    assert 3 * NS <= best.until_ns <= 5 * NS
    assert best.steady
    assert best.oldest_first
    assert all(fault.at_ns % (NS // 10) == 0 for fault in best.plan)
    assert shrunk.runs <= 120


def test_times_are_rounded_only_as_far_as_it_still_fails() -> None:
    def fails(candidate: Drawn) -> bool:
        times = [fault.at_ns for fault in candidate.plan if fault.kind == "bitflip"]
        return any(490_000_000 <= at_ns <= 494_000_000 for at_ns in times)

    (fault,) = shrink(START, fails).candidate.plan
    assert fault.at_ns == 490_000_000


def test_a_schedule_that_is_needed_stays() -> None:
    shrunk = shrink(START, lambda candidate: not candidate.oldest_first)
    assert shrunk.candidate.steady
    assert not shrunk.candidate.oldest_first
    assert len(shrunk.candidate.plan) == shrunk.candidate.operations == 0


@pytest.mark.parametrize("budget", [1, 2, 7, 30])
def test_budget(budget: int) -> None:
    calls: list[Drawn] = []

    def fails(candidate: Drawn) -> bool:
        calls.append(candidate)
        return needs("crash", "pause", "heal", operations=100)(candidate)

    steps: list[Step] = []
    shrunk = shrink(START, fails, budget=budget, progress=steps.append)
    assert shrunk.runs == len(calls) == len(steps) == budget
    assert not shrunk.complete
    assert needs("crash", "pause", "heal", operations=100)(shrunk.candidate)
    assert shrunk.candidate in calls
    assert [step.runs for step in steps] == list(range(1, budget + 1))
    assert steps[-1].best == shrunk.candidate


def test_stop() -> None:
    steps: list[Step] = []
    shrunk = shrink(START, lambda _candidate: True, progress=steps.append, stop=lambda: len(steps) == 5)
    assert (shrunk.runs, shrunk.complete) == (5, False)


def test_nothing_is_run_twice() -> None:
    keys: list[str] = []

    def fails(candidate: Drawn) -> bool:
        keys.append(candidate.key())
        return needs("heal", "heal")(candidate)

    shrink(START, fails)
    assert len(keys) == len(set(keys))


def test_the_invariant_stays_the_same() -> None:
    """A smaller failure of another kind lies on the way, and is passed by."""

    def run(candidate: Drawn) -> str | None:
        if needs("bitflip", "bitflip")(candidate):
            return "S1"
        return "L2" if needs("pause")(candidate) else None

    slipped = shrink(START, lambda candidate: run(candidate) is not None)
    assert run(slipped.candidate) == "L2"
    kept = shrink(START, same_invariant(run, "S1"))
    assert run(kept.candidate) == "S1"
    assert [fault.kind for fault in kept.candidate.plan] == ["bitflip", "bitflip"]


def test_what_does_not_fail_again_is_refused() -> None:
    with pytest.raises(NotReproduced):
        shrink(START, lambda _candidate: False)


def test_same_search_every_time() -> None:
    def all_steps() -> tuple[list[Step], Shrunk]:
        steps: list[Step] = []
        return steps, shrink(START, needs("crash", "heal", operations=17), progress=steps.append)

    assert all_steps() == all_steps()


def test_progress_never_grows() -> None:
    steps: list[Step] = []
    shrink(START, needs("crash", "heal"), progress=steps.append)
    for earlier, later in pairwise(steps):
        assert len(later.best.plan) <= len(earlier.best.plan)
        assert later.best.operations <= earlier.best.operations
        assert later.best.until_ns <= earlier.best.until_ns
    assert {step.phase for step in steps} >= {"first run", "fault classes", "plan", "operations", "time"}


def test_faults_after_the_end_fall_away() -> None:
    start = replace(START, chances={})
    shrunk = shrink(start, lambda candidate: candidate.until_ns >= 2 * NS)
    assert shrunk.candidate.until_ns < 2.3 * NS
    assert all(fault.at_ns <= shrunk.candidate.until_ns for fault in shrunk.candidate.plan)


def test_what_comes_after_the_violation_goes_first() -> None:
    steps: list[Step] = []
    fails = needs("crash", "isolate", until_ns=2 * NS)
    shrunk = shrink(START, fails, at_ns=2 * NS, progress=steps.append)
    assert steps[1].phase == "after the violation"
    assert steps[1].best.until_ns == 3 * NS
    assert all(fault.at_ns <= 3 * NS for fault in steps[1].best.plan)
    assert len(shrunk.candidate.plan) == 2


def test_a_wrong_moment_does_no_harm() -> None:
    fails = needs("crash", "isolate", until_ns=5 * NS)
    assert fails(shrink(START, fails, at_ns=NS).candidate)


def test_few_runs_for_what_came_last() -> None:
    """A run that passes costs most: the usual case, one late fault of many, takes few of them."""
    last = START.plan.faults[-2]
    steps: list[Step] = []
    shrink(START, lambda candidate: last in candidate.plan.faults, progress=steps.append)
    enough = next(step for step in steps if len(step.best.plan) == 1)
    assert enough.runs <= 20


def test_what_only_the_end_shows_has_its_faults_come_to_an_end_sooner() -> None:
    """Nothing is cut off before its end, and the time of faults becomes short early."""
    steps: list[Step] = []
    start = replace(START, until_ns=0, safety_ns=20 * NS)
    candidates: list[Drawn] = []

    def fails(candidate: Drawn) -> bool:
        candidates.append(candidate)
        return FAULTS[3] in candidate.plan.faults

    def when() -> Moment:
        return Moment(candidates[-1].safety_ns + 4 * NS, at_end=True)

    shrunk = shrink(start, fails, when=when, progress=steps.append)
    assert shrunk.candidate.plan.faults == (FAULTS[3],)
    assert shrunk.moment is not None
    assert shrunk.moment.at_end
    assert FAULTS[3].at_ns <= shrunk.candidate.safety_ns < 2 * NS
    assert all(each.until_ns == 0 or each.until_ns > each.safety_ns for each in candidates)
    assert (shrunk.candidate.producers, shrunk.candidate.consumers) == (1, 1)
    sooner = next(step for step in steps if step.best.safety_ns < 10 * NS)
    assert sooner.runs <= 4
