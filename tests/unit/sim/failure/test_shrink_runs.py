"""Failures of whole clusters become small, and stay the same failures."""

from dataclasses import replace

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.replay import of, replay
from haqactor.sim.failure.shrink import NotReproduced, Step
from haqactor.sim.failure.shrink_runs import kind, shrink_failure
from haqactor.sim.plan import NS, Fault, Plan
from haqactor.sim.run import Result, run
from haqactor.sim.verdict import Verdict

LARGE = Drawn(
    nodes=5,
    groups=2,
    producers=2,
    consumers=2,
    plan=Plan((Fault(NS, "crash", "n1", {"for_ns": NS}), Fault(2 * NS, "pause", "n2", {"for_ns": NS}))),
    chances={"reset_share": 0.001},
)


def test_it_becomes_small_and_stays_the_same() -> None:
    failed = of(run(1, drawn=LARGE, bugs=("raft.ack_before_durable",)), commit="abc")
    steps: list[Step] = []
    small, result = shrink_failure(failed, progress=steps.append)
    least = small.run
    assert (small.invariant, result.invariant, small.bugs) == ("S14", "S14", failed.bugs)
    assert (len(least.plan), dict(least.chances)) == (0, {})
    assert (least.nodes, least.groups, least.producers, least.consumers) == (3, 1, 0, 0)
    assert (least.operations, least.steady, least.oldest_first) == (0, True, True)
    assert least.until_ns == small.at_ns == result.simulated_ns
    assert (small.planned, small.shrink_runs, small.commit) == (2, len(steps), "abc")
    assert small.records[0].event is not None
    again = replay(small)
    assert (again.digest, again.note) == (small.digest, "")


def test_the_budget_of_time_holds() -> None:
    failed = of(run(1, drawn=LARGE, bugs=("raft.ack_before_durable",)))
    times = iter(range(1000))
    small, _result = shrink_failure(failed, cpu_s=lambda: float(next(times)), budget_s=4.0)
    assert small.shrink_runs == 4
    assert small.invariant == "S14"


def test_what_passes_is_not_shrunk() -> None:
    failed = of(run(1, drawn=LARGE, bugs=("raft.ack_before_durable",)))
    with pytest.raises(NotReproduced):
        shrink_failure(replace(failed, bugs=(), run=replace(LARGE, until_ns=NS // 10)))


def test_crashes_differ_by_their_errors() -> None:
    def crashed(said: str) -> Result:
        return Result(1, "calm", Verdict.CRASH, "", failures=[said])

    first = kind(crashed("n1: InvariantViolation('entry 17 is gone')"))
    assert first == kind(crashed("n0: InvariantViolation('entry 4 is gone')"))
    assert first != kind(crashed("n1: KeyError(17)"))
    assert kind(Result(1, "calm", Verdict.PASS, "")) == ""
