"""A crash at every so many operations of a disk: a sound node gets over each, a planted bug does not."""

from dataclasses import replace

import pytest

from haqactor.sim.plan import Fault, Plan
from haqactor.sim.run import run
from haqactor.sim.search.sweep import PROFILE, SUBJECT, Step, point, sweep
from haqactor.sim.verdict import Verdict
from haqactor.sim.world import NS

SLICE = 90


def test_a_sound_node_gets_over_every_crash() -> None:
    steps: list[Step] = []
    swept = sweep(first=13, step=SLICE, progress=steps.append)
    assert swept.failures == []
    assert swept.operations > 400
    assert swept.tried == list(range(13, swept.operations + 1, SLICE))
    assert swept.crashed >= len(swept.tried) - 1
    assert [(step.done, step.operation) for step in steps] == list(enumerate(swept.tried, 1))
    assert {step.points for step in steps} == {len(swept.tried)}


@pytest.mark.parametrize(
    ("bug", "after", "found"),
    [("journal.done_before_sync", "fsync", "S14"), ("journal.unlink_first", "unlink", "S21")],
)
def test_a_planted_bug_is_found(bug: str, after: str, found: str) -> None:
    swept = sweep(after=after, first=22, bugs=(bug,))
    assert [result.invariant for result in swept.failures] == [found]


def test_there_is_no_other_kind_of_operation() -> None:
    with pytest.raises(ValueError, match="no operation 'flush'"):
        sweep(drawn=replace(SUBJECT, operations=1), after="flush")


def test_a_rotten_tail_that_nobody_suspects_is_found() -> None:
    """The journal cannot tell a torn block from a rotten one, and the latter may have been acknowledged."""
    rot = Fault(
        3 * NS // 2, "bit_rot", "n1", {"for_ns": 1_000_000, "place": 5, "bit": 3, "tail": True, "crash": True}
    )
    drawn = replace(SUBJECT, plan=Plan((rot,)), safety_ns=2 * NS)
    assert run(1, PROFILE, drawn=drawn).verdict is Verdict.PASS
    result = run(1, PROFILE, drawn=drawn, bugs=("journal.cut_without_suspicion",))
    assert (result.verdict, result.invariant) == (Verdict.SAFETY, "S21")


def test_a_point_is_a_run_as_any_other() -> None:
    drawn = point(SUBJECT, "n1", 100)
    result = run(1, PROFILE, drawn=drawn)
    assert (result.verdict, result.fired["power_cut"]) == (Verdict.PASS, 1)
    assert result.drawn == drawn
    assert drawn.from_json(drawn.to_json()) == drawn
