"""Whole runs of real clusters: clean seeds are clean, a seed is one history, and a planted bug is found."""

import subprocess
import sys
from dataclasses import replace

import pytest

from haqactor.sim.drawn import Drawn
from haqactor.sim.profiles import draw
from haqactor.sim.run import run
from haqactor.sim.verdict import Verdict

SAFETY_NS = 5_000_000_000

SCRIPT = """
from tests.unit.sim.test_run import SAFETY_NS, small
from haqactor.sim.run import run
print(run(4, drawn=small(4)).digest)
"""


def small(seed: int, profile: str = "swarm") -> Drawn:
    """The run of a seed, made short."""
    return replace(draw(seed, profile, SAFETY_NS), nodes=3, operations=60, consumers=1, producers=2, work=())


@pytest.mark.parametrize("seed", [1, 6])
def test_a_clean_seed_is_clean(seed: int) -> None:
    result = run(seed, drawn=small(seed))
    assert (result.verdict, result.violations, result.failures) == (Verdict.PASS, [], [])
    assert result.confirmed > 20
    assert result.delivered >= result.confirmed
    assert result.fired


def test_a_calm_run_has_no_faults() -> None:
    result = run(3, "calm", drawn=small(3, "calm"))
    assert (result.verdict, result.fired) == (Verdict.PASS, {})
    assert result.confirmed == 60


def test_what_a_hung_disk_outside_the_core_does_not_give_the_core_does() -> None:
    """A leader that is none of the core had to read what is parked, at 5 seconds an operation."""
    result = run(879584, drawn=draw(879584, "swarm"))
    assert (result.verdict, result.violations) == (Verdict.PASS, [])


def test_a_seed_is_one_history_in_every_process() -> None:
    digests = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("3", "random")
    ]
    assert len(digests[0]) == 32
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("bug", "invariant"),
    [
        ("raft.commit_alone", "S15"),
        ("raft.vote_before_durable", "S14"),
        ("raft.ack_before_durable", "S14"),
        ("journal.hard_state_late", "S14"),
        ("machine.snapshot_without_windows", "S12"),
    ],
)
def test_a_planted_bug_is_found(bug: str, invariant: str) -> None:
    result = run(1, drawn=small(1), bugs=(bug,))
    assert result.verdict is Verdict.SAFETY
    assert result.violations[0].invariant == invariant
