"""Clean code raises no alarm, and a seed is one history, whatever the hash seed of the process."""

import os
import subprocess
import sys

import pytest

from haqactor.errors import InvalidArgument
from haqactor.sim.cores.plan import PROFILES, draw
from haqactor.sim.cores.run import kill, run, run_plan

TELL = """
import sys
from haqactor.sim.cores.run import run
kept = [bytearray(size % 977) for size in range(int(sys.argv[1]))]
print([run(seed, "swarm").digest for seed in (7, 8)])
"""


@pytest.mark.parametrize("seed", range(20))
def test_clean_code_raises_no_alarm(seed: int) -> None:
    verdict = run(seed)
    assert verdict.ok, f"{verdict.invariant}: {verdict.text}"
    assert verdict.counts["confirmed"] > 0
    assert verdict.counts["messages"] > 500


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile(profile: str) -> None:
    verdict = run(105, profile)
    assert verdict.ok, f"{verdict.invariant}: {verdict.text}"


def test_faults_strike() -> None:
    verdicts = [run(seed) for seed in (3, 5)]
    assert sum(sum(verdict.faults.values()) for verdict in verdicts) > 5
    assert sum(verdict.counts["crashes"] for verdict in verdicts) > 0
    assert sum(verdict.marks.get("raft.leader", 0) for verdict in verdicts) > 2


def test_the_same_in_every_process() -> None:
    told: list[str] = []
    for number, hash_seed in enumerate(("0", "4711")):
        done = subprocess.run(
            [sys.executable, "-c", TELL, str(number * 5_000)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stdout)
    assert told[0] == told[1]
    assert str([run(seed).digest for seed in (7, 8)]) == told[0].strip()


def test_seeds_and_profiles_differ() -> None:
    assert (
        len({run_plan(draw(seed, profile)).digest for seed in (1, 2) for profile in ("calm", "crash")}) == 4
    )


def test_unknown_names() -> None:
    with pytest.raises(KeyError):
        run(0, "no such profile")
    with pytest.raises(InvalidArgument, match="planted bug"):
        run(0, "calm", ("raft.no_such_bug",))
    with pytest.raises(InvalidArgument, match="whole nodes"):
        kill("journal.done_before_sync", 1)


def test_a_snapshot_is_taken_between_two_turns() -> None:
    """It once went to the disk ahead of entries that the core had stored before (S14)."""
    verdict = run(12_249, "disk")
    assert verdict.ok, f"{verdict.invariant}: {verdict.text}"
    assert verdict.marks["raft.install_keeps_suffix"] > 0
