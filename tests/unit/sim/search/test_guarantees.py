"""The page of guarantees holds what swarms said, and refuses what they did not say."""

import json
from typing import Any

import pytest

from haqactor.sim.checkers.registry import checkers
from haqactor.sim.profiles import PROFILES
from haqactor.sim.search.families import CLOCKS, DISKS, NETWORK, NO_FAULT, PROCESSES, families, family
from haqactor.sim.search.guarantees import BEGIN, END, GuaranteesError, filled, section
from haqactor.sim.search.seedrun import CORES, Outcome
from haqactor.sim.search.summary import Summary
from haqactor.sim.verdict import Verdict

HOUR_NS = 3_600 * 10**9


def result(profile: str = "swarm", *, broken: bool = False, **more: Any) -> dict[str, Any]:
    summary = Summary(profile=profile, **more)
    summary.add(Outcome(1, Verdict.PASS, simulated_ns=HOUR_NS))
    verdict = Verdict.SAFETY if broken else Verdict.PASS
    fired = {"crash": 3, "drift": 1, "isolate": 2}
    summary.add(Outcome(2, verdict, invariant="S1" if broken else "", simulated_ns=2 * HOUR_NS, fired=fired))
    made: dict[str, Any] = json.loads(json.dumps(summary.to_json()))
    return made


def test_every_kind_has_a_family() -> None:
    kinds = [kind for kinds in PROFILES.values() for kind in kinds]
    assert {family(kind) for kind in kinds} == {PROCESSES, NETWORK, CLOCKS, DISKS}
    assert [family(kind) for kind in ("crash_reset", "unsynced_write", "cut")] == [PROCESSES, DISKS, NETWORK]
    assert families(()) == (NO_FAULT,)
    assert families(("drift", "crash", "restart")) == (PROCESSES, CLOCKS)
    assert families(("upgrade", "release_too_old")) == (PROCESSES,)


def test_hours_are_added_by_family_and_by_kind() -> None:
    part = section([result(), result("crash"), result(simulator=CORES), result("beyond")])
    lines = part.splitlines()
    assert (lines[0], lines[-1]) == (BEGIN, END)
    assert "| whole nodes | swarm | 2 | 3.00 | 0 |" in lines
    assert "| pure cores | swarm | 2 | 3.00 | 0 |" in lines
    assert "| whole nodes | beyond | 2 | 3.00 | 0 |" in lines
    promised = [line for line in lines if line.startswith("| S1 ")]
    assert len(promised) == 1
    assert promised[0].endswith("| 2.00 | 4.00 | 4.00 | 4.00 | 0.00 |")
    assert "| `crash` | processes | 6 | 2 | 4.00 |" in lines
    assert all(any(line.startswith(f"| {each.invariant} ") for line in lines) for each in checkers())


def test_what_was_broken_is_said() -> None:
    part = section([result(broken=True)])
    assert "| 1.00 | 2.00, **broken 1 times** |" in part
    assert "| whole nodes | swarm | 2 | 3.00 | 1 |" in part


def test_a_page_is_filled_between_its_marks() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nmore\n"
    part = section([result()])
    assert filled(page, part) == f"# Title\n\n{part}\n\nmore\n"
    assert filled(filled(page, part), part) == filled(page, part)


@pytest.mark.parametrize("wrong", [{}, {"families": {}}, {"families": {}, "bugs": ["raft.vote_twice"]}])
def test_other_results_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(GuaranteesError):
        section([wrong])
    with pytest.raises(GuaranteesError):
        filled("# Title\n", "")
