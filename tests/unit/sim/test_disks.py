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
    assert result.fired["read_error"] == 1
    assert (result.marks["journal.salvaged"] > 0, "stopped_loudly" in result.fired) == (True, False)
    assert result.confirmed == 30


def test_a_damaged_majority_is_refused() -> None:
    result = run(1, "beyond", drawn=replace(SMALL, plan=hurt("read_error", "n0", "n1")))
    assert (result.verdict, result.failures, result.violations) == (Verdict.UNRECOVERABLE, [], [])
    assert result.marks["journal.salvaged"] > 1
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


@pytest.mark.parametrize(
    ("aim", "at", "place", "bug", "invariant"),
    [
        ("tail", 125, 1, "journal.cut_without_suspicion", "S21"),
        ("recent", 108, 41, "journal.checksum_ignored", "S13"),
    ],
)
def test_what_rots_is_noticed(aim: str, at: int, place: int, bug: str, invariant: str) -> None:
    """In a block that is read again at once: clean code refuses or says that it is a suspect; these bugs do
    not."""
    args = {"for_ns": 1_000_000, "file": 0, "place": place, "bit": 1, "crash": True, aim: True}
    drawn = replace(SMALL, plan=Plan((Fault(at * NS // 100, "bit_rot", "n1", args),)))
    assert run(1, "disk", drawn=drawn).verdict is Verdict.PASS
    assert run(1, "disk", drawn=drawn, bugs=(bug,)).invariant == invariant


def test_what_the_power_tears_is_noticed() -> None:
    """A block of several sectors is torn, and its node is soon stopped again."""
    args = {"for_ns": 30_000_000, "operations": 1, "torn": True, "again": True, "again_ns": 5_000_000}
    plan = Plan((Fault(NS, "power_cut", "n1", args),))
    quick = {
        "probe_interval": 0.05
    }  # it says goodbye at once, and writes nothing over what was torn meanwhile
    drawn = replace(SMALL, producers=2, operations=60, work=("large",), plan=plan, limits=quick)
    clean = run(3, "crash", drawn=drawn)
    assert (clean.verdict, clean.fired["power_cut"], clean.fired["restart"]) == (Verdict.PASS, 1, 1)
    assert run(3, "crash", drawn=drawn, bugs=("journal.tail_not_erased",)).invariant == "S21"


def test_a_sync_that_failed_unheard_is_noticed() -> None:
    """Nothing has to be lost by it: the medium is asked."""
    drawn = replace(SMALL, plan=Plan((Fault(11 * NS // 10, "sync_error", "n1", {"for_ns": NS}),)))
    assert run(1, "disk", drawn=drawn).verdict is Verdict.PASS
    assert run(1, "disk", drawn=drawn, bugs=("journal.sync_error_ignored",)).invariant in ("S14", "S15")
