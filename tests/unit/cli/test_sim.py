"""``haq sim``: what it prints, its exit codes, the files of a failure, and errors of its users."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from haqactor.cli import exits
from haqactor.cli.app import cli

SMALL = ("--for", "2s", "--nodes", "3", "--set", "operations=8", "--set", "work=", "--set", "buggify=0")
BUG = "raft.vote_before_durable"


def haq(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["sim", *arguments])


def row(found: Result) -> Any:
    return json.loads(found.stdout)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A run that fails, and its folder."""
    folder = tmp_path_factory.mktemp("failures")
    found = haq(
        *("run", "--seed", "1", "--profile", "calm", "--bug", BUG, "-o", "json", "--artefacts", str(folder)),
        *SMALL,
    )
    return found, folder / f"calm-{BUG}-1"


def test_a_run_that_passes(tmp_path: Path) -> None:
    trace, page = tmp_path / "t.jsonl.zst", tmp_path / "p.html"
    found = haq(
        *("run", "--seed", "2", "--profile", "calm", "-o", "json", "--trace", str(trace)),
        *("--html", str(page), *SMALL),
    )
    assert found.exit_code == 0, found.output
    told = row(found)
    assert (told["seed"], told["verdict"], told["faults"]) == (2, "pass", {})
    assert set(told) >= {"seed", "verdict", "trace_hash", "simulated_s", "cpu_s", "messages", "faults"}
    assert told["simulated_s"] > 2
    assert told["messages"] > 50
    assert "<script" in page.read_text()
    assert haq("diff", str(trace), str(trace)).stdout.endswith("are the same\n")


def test_a_failure_is_written_down_and_comes_back(failed: tuple[Result, Path]) -> None:
    found, folder = failed
    told = row(found)
    assert (found.exit_code, told["verdict"], told["invariant"]) == (1, "safety", "S14")
    assert [Path(name).name for name in told["artefacts"]] == ["fail.json", "fail.html", "fail.txt"]
    assert all(Path(name).is_file() for name in told["artefacts"])
    assert f"haq sim replay {folder}/fail.json" in found.stderr
    assert len(found.stderr.splitlines()) <= 25
    again = haq("replay", str(folder / "fail.json"), "-o", "json")
    assert again.exit_code == 1
    assert row(again)["same"]
    assert row(again)["trace_hash"] == told["trace_hash"]


def test_a_replay_that_goes_another_way_says_so(failed: tuple[Result, Path], tmp_path: Path) -> None:
    value = json.loads((failed[1] / "fail.json").read_text())
    value["seed"] = 2
    other = tmp_path / "fail.json"
    other.write_text(json.dumps(value))
    found = haq("replay", str(other))
    assert found.exit_code == 1
    assert "went another way" in found.stderr
    parted = haq("diff", str(other), str(failed[1] / "fail.json"))
    assert parted.exit_code == 1
    assert "part at event" in parted.stdout


def test_a_failure_is_shrunk(failed: tuple[Result, Path], tmp_path: Path) -> None:
    file = str(failed[1] / "fail.json")
    found = haq("shrink", file, "--runs", "2", "--artefacts", str(tmp_path), "-o", "json")
    assert found.exit_code == 0, found.output
    assert row(found)["invariant"] == "S14"
    assert (tmp_path / "fail.json").is_file()


def test_a_swarm_with_a_failure(tmp_path: Path) -> None:
    found = haq(
        *("swarm", "--seeds", "1-2", "--profile", "calm", "--bug", BUG, "-o", "json"),
        *("--artefacts", str(tmp_path), *SMALL),
    )
    told = row(found)
    assert (found.exit_code, told["seeds"], told["verdicts"]) == (1, 2, {"safety": 2})
    assert [Path(name).is_file() for each in told["failures"] for name in each["artefacts"]] == [True] * 6
    assert told["failures"][0]["again"].startswith(f"haq sim run --seed 1 --profile calm --bug {BUG} --set")
    assert "FAIL safety  S14" in found.stderr


def test_the_core_simulator_runs_by_the_same_commands() -> None:
    found = haq("run", "--core", "--seed", "1", "--profile", "calm", "-o", "json")
    assert (found.exit_code, row(found)["simulator"]) == (0, "cores")
    assert row(found)["messages"] > 100
    found = haq("swarm", "--core", "--seeds", "1", "--profile", "calm")
    assert found.exit_code == 0
    assert "1: 1 pass" in found.stdout


def test_profiles_are_listed() -> None:
    listed = row(haq("profiles", "-o", "json"))
    assert {"simulator": "nodes", "profile": "calm", "faults": []} in listed
    assert {"nodes", "cores"} == {each["simulator"] for each in listed}
    assert "partition" in haq("profiles").stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["run"], "--seed"),
        (["run", "--seed", "-1"], "--seed"),
        (["run", "--seed", "1", "--profile", "none"], "no profile 'none'"),
        (["run", "--seed", "1", "--profile", "beyond", "--core"], "has no profile"),
        (["run", "--seed", "1", "--bug", "none"], "no planted bug"),
        (["run", "--seed", "1", "--set", "what=1"], "no setting 'what'"),
        (["run", "--seed", "1", "--set", "nodes"], "NAME=VALUE"),
        (["run", "--seed", "1", "--set", "reset_share=7"], "between 0 and 1"),
        (["run", "--seed", "1", "--for", "soon"], "no span of time"),
        (["run", "--seed", "1", "--for", "0s"], "no span of time"),
        (["run", "--seed", "1", "--core", "--nodes", "3"], "leave --set, --nodes and --for out"),
        (["run", "--seed", "1", "--core", "--trace", "x"], "--core keeps no trace"),
        (["swarm", "--seeds", "9-3"], "is empty"),
        (["swarm", "--seeds", "many"], "no range of seeds"),
        (["replay", "nothing.json"], "does not exist"),
        (["diff", __file__], "is a trace"),
        (["diff", __file__, __file__], "line 1 is not an event"),
        (["replay", __file__], "not JSON"),
        (["shrink", __file__], "not JSON"),
        (["selfcheck", "--seeds", "1", "--processes", "1"], "--processes"),
        (["mutants", "--bug", "none"], "no planted bug"),
        (["mutants", "--bug", "canary"], "is no planted bug"),
        (["sweep", "--host", "n9"], "n0 to n2"),
        (["guarantees"], "RESULTS"),
        (["guarantees", __file__], "not JSON"),
    ],
)
def test_errors_of_users_are_said_in_a_line(arguments: list[str], why: str) -> None:
    found = haq(*arguments)
    assert found.exit_code == exits.USAGE, found.output
    assert why in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr
    assert not found.stdout


def test_a_seed_goes_one_way() -> None:
    found = haq("selfcheck", "--core", "--seeds", "1", "--profile", "calm", "--processes", "2", "-o", "json")
    told = row(found)
    assert (found.exit_code, told["ok"], told["seeds"], told["processes"]) == (0, True, 1, 2)


def test_planted_bugs_are_listed_and_hunted() -> None:
    listed = row(haq("mutants", "--list", "-o", "json"))
    assert {"M01", "M03"} <= {each["id"] for each in listed}
    found = haq("mutants", "--bug", "M01", "--jobs", "1", "-o", "json")
    (told,) = row(found)
    assert (found.exit_code, told["id"], told["killed"], told["checker"]) == (0, "M01", True, "S13")
    assert set(told) >= {"id", "killed", "seeds", "checker", "fault"}


def test_a_crash_point_is_swept(tmp_path: Path) -> None:
    found = haq("sweep", "--every", "100000", "-o", "json", "--artefacts", str(tmp_path))
    told = row(found)
    assert (found.exit_code, told["verdict"], told["points"], told["crashed"]) == (0, "pass", 1, 1)


def test_figures_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from haqactor.sim.bench import figures as bench

    shown = [bench.Figure("messages", 12_345.6, "messages/CPU-s", 10_000), bench.Figure("plain", 0.5, "s")]

    def part(_size: bench.Size) -> list[bench.Figure]:
        return shown

    monkeypatch.setattr(bench, "PARTS", {"one": part})
    assert row(haq("bench", "--quick", "-o", "json"))[0]["met"]
    assert "at least 10,000" in haq("bench").stdout


def test_a_page_of_guarantees_is_written(tmp_path: Path) -> None:
    from haqactor.sim.search.guarantees import BEGIN, END

    result, page = tmp_path / "swarm.json", tmp_path / "page.md"
    result.write_text(haq("swarm", "--core", "--seeds", "1", "--profile", "calm", "-o", "json").stdout)
    page.write_text("# Promises\n")
    assert haq("guarantees", str(result), "--page", str(page)).exit_code == exits.USAGE
    page.write_text(f"# Promises\n\n{BEGIN}\n{END}\n")
    found = haq("guarantees", str(result), "--page", str(page))
    assert (found.exit_code, found.stderr) == (0, f"wrote {page}\n")
    assert "| pure cores | calm | 1 |" in page.read_text()
    assert "| pure cores | calm | 1 |" in haq("guarantees", str(result)).stdout
