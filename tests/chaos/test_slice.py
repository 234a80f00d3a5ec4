"""A short slice of chaos: kills, stops and cuts of three real nodes, a fixed seed, and every promise held."""

import json
from pathlib import Path

import pytest
import trio

from tests.chaos.__main__ import carry_out, seconds_of
from tests.chaos.checks import duplicated
from tests.chaos.history import read
from tests.chaos.plan import Fault, from_json
from tests.chaos.run import Run, Settings, watched

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KEPT = ["clients.log", "result.json", "timeline.svg"]
MORE = ["history.jsonl", "n0.log", "n1.log", "n2.log", "plan.json"]
SLICE = Settings(seed=528, seconds=7.0, kinds=("kill", "pause", "cut", "cut_one_way", "isolate", "silence"))


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.timeout(180)
def test_every_promise_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {fault.kind for fault in SLICE.drawn()}
    assert {"kill", "pause"} < kinds
    assert kinds & {"cut", "cut_one_way", "isolate", "silence"}
    assert carry_out(SLICE, tmp_path / "out", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "pass"
    assert sum(told["faults"].values()) >= 3
    assert told["figures"]["confirmed"] > 100
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == KEPT


@pytest.mark.timeout(120)
def test_a_planted_bug_is_found_and_all_of_it_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resets of connections make clients ask again; nodes that know no retries store it twice. There are
    many of them: one has to come between a publish and its answer."""
    resets = tuple(Fault(0.5 + number / 10, 0.05, "reset", (f"n{number % 3}",)) for number in range(45))
    settings = Settings(1, 5.5, plan=resets, bugs=("machine.no_dedup",))
    assert carry_out(settings, tmp_path / "out", "table") == 1
    assert "nothing stored twice" in capsys.readouterr().out
    kept = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert kept == sorted([*KEPT, *MORE])
    records = read(tmp_path / "out" / "history.jsonl")
    assert duplicated(records)
    assert from_json((tmp_path / "out" / "plan.json").read_text(encoding="utf-8")) == (1, list(resets))


@pytest.mark.timeout(60)
async def test_no_process_is_left_when_a_run_is_cancelled(tmp_path: Path) -> None:
    run = Run(Settings(1, 60.0, plan=(Fault(0.1, 50.0, "pause", ("n1",)),)), tmp_path)
    pids: dict[str, int] = {}
    with trio.CancelScope() as scope:

        def look(run: Run) -> None:
            if any(node.state == "paused" for node in run.nodes.values()):
                pids.update({node.name: node.pid for node in run.nodes.values() if node.pid is not None})
                scope.cancel()

        await watched(run, look, 0.05)
    assert len(pids) == 3
    assert not [pid for pid in pids.values() if lives(pid)]


def test_times_are_read() -> None:
    assert [seconds_of(text) for text in ("90", "1.5s", "2m", "1h")] == [90, 1.5, 120, 3600]
