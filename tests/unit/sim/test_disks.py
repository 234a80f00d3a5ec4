"""Whole runs on disks that fail: survivable damage is survived, beyond it the cluster refuses, and a lie is
seen."""

from dataclasses import replace

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.run import run
from haqactor.sim.verdict import Verdict
from haqactor.sim.world import NS

SMALL = Drawn(nodes=3, groups=1, producers=1, consumers=1, operations=30, pause_s=0.02, safety_ns=2 * NS)


def hurt(kind: str, *names: str) -> Plan:
    args = {"for_ns": 50_000_000, "file": 7, "place": 3, "bit": 1, "crash": True}
    return Plan(tuple(Fault(3 * NS // 2, kind, name, args) for name in names))


def test_a_damaged_minority_is_survived() -> None:
    result = run(1, "disk", drawn=replace(SMALL, plan=hurt("read_error", "n0", "n1", "n2")))
    assert (result.verdict, result.failures, result.forgiven) == (Verdict.PASS, [], [])
    assert (result.fired["read_error"], result.fired["stopped_loudly"]) == (1, 1)
    assert result.confirmed == 30


def test_a_damaged_majority_is_refused() -> None:
    result = run(1, "beyond", drawn=replace(SMALL, plan=hurt("read_error", "n0", "n1")))
    assert (result.verdict, result.failures, result.violations) == (Verdict.UNRECOVERABLE, [], [])
    assert result.fired["stopped_loudly"] == 2
    assert "L3" in [violation.invariant for violation in result.forgiven]


@pytest.mark.parametrize("kind", ["sync_lie", "lost_write"])
def test_a_lie_is_seen_at_once(kind: str) -> None:
    """Without any crash: the medium is asked. Nothing is promised on such a disk."""
    lie = Plan((Fault(1_100_000_000, kind, "all", {"for_ns": NS}),))
    result = run(1, "lying", drawn=replace(SMALL, plan=lie))
    assert result.verdict is Verdict.UNRECOVERABLE
    assert result.forgiven[0].invariant in ("S14", "S15")
    assert result.violations == []


def test_a_core_is_all_that_has_to_work() -> None:
    """The third node stays dead, and is held to nothing."""
    crash = Plan((Fault(19 * NS // 10, "crash", "n2", {"for_ns": NS}),))
    result = run(1, "crash", drawn=replace(SMALL, plan=crash, core=("n0", "n1")))
    assert result.verdict is Verdict.PASS
    assert result.fired["crash"] == 1
