"""Every example runs, and says what its text promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from examples.departments.events import BadEvent, parse, read, write
from examples.departments.generate import generate
from examples.departments.state import Department, expected
from haqactor.cli.launcher import LocalCluster, free_base_port

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
SECONDS_MAX = 90


def run(*arguments: str) -> str:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = [path.name for path in EXAMPLES.glob("*.py") if path.name != "__init__.py"]
    assert names
    for name in names:
        assert f'"{name}"' in text


@pytest.mark.integration
def test_hello_queue(tmp_path: Path) -> None:
    out = run(str(EXAMPLES / "hello_queue.py"), str(tmp_path / "data"))
    assert "stored at place 3" in out
    assert "received 'hello Radia'" in out


@pytest.mark.integration
def test_embedded_node(tmp_path: Path) -> None:
    port = trio.run(free_base_port, 3)
    out = run(str(EXAMPLES / "embedded_node.py"), str(tmp_path), str(port))
    assert "read through node 2: 'written through node 0'" in out


@pytest.mark.integration
def test_work_pool(tmp_path: Path) -> None:
    async def start() -> LocalCluster:
        cluster = LocalCluster.found(tmp_path / "c", 3, await free_base_port(3))
        await cluster.start()
        return cluster

    cluster = trio.run(start)
    try:
        out = run(str(EXAMPLES / "work_pool.py"), cluster.url)
    finally:
        cluster.stop()
    assert "done: 39 of 40 jobs" in out
    assert "put aside after 3 tries: job 13" in out


def pytest_of_scenarios(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", str(EXAMPLES / "scenarios"), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_scenarios_hold_for_the_sound_programs() -> None:
    code, out = pytest_of_scenarios("-k", "careful or with_a_key", "--sim-seeds", "1")
    assert code == 0, out
    assert "2 passed" in out


@pytest.mark.slow
def test_scenarios_find_the_bugs_of_the_others() -> None:
    """They crash their program themselves, so that nothing else need go wrong."""
    code, out = pytest_of_scenarios("-k", "hasty or without_a_key", "--runxfail", "--sim-profile", "calm")
    assert code == 1, out
    assert "assert not [order for order in orders if order not in warehouse.shipped]" in out
    assert "AssertionError: assert {'customer " in out
    assert "2 failed" in out
    assert out.count("--sim-seed ") == 2


@pytest.mark.integration
@pytest.mark.slow
def test_departments() -> None:
    out = run(str(EXAMPLES / "departments" / "main.py"), "--events", "6000", "--rate", "2000")
    assert "killed with -9" in out
    assert "All right" in out


@pytest.mark.integration
def test_departments_refuse_a_file_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"event": 1}\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "departments" / "main.py"), "--file", str(file)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 2
    assert "events.jsonl:1" in done.stderr.replace("\n", "")


def test_the_events_are_the_same_everywhere(tmp_path: Path) -> None:
    events = generate(2_000)
    assert events == generate(2_000)
    assert len({event.event for event in events}) == 2_000
    write(events, tmp_path / "events.jsonl")
    assert read(tmp_path / "events.jsonl") == events


def test_a_history_makes_sense() -> None:
    present: dict[str, int] = {}
    for event in generate(5_000):
        assert (event.kind == "hired") == (event.employee not in present)
        assert event.version == present.get(event.employee, 0) + 1
        present[event.employee] = event.version
        if event.kind == "left":
            present[event.employee] = -1


def test_the_state_bears_repetition_and_any_order() -> None:
    events = generate(3_000)
    straight = expected(events)
    crooked = {name: Department() for name in straight}
    for event in [*reversed(events), *events]:
        crooked[event.department].apply(event)
    for name, department in straight.items():
        assert crooked[name].same_as(department)
        assert department.headcount > 0
    missing = expected(events[:-1])
    assert not all(missing[name].same_as(straight[name]) for name in straight)


@pytest.mark.parametrize("line", ["", "{", "[]", '{"event": "e1"}', '"text"'])
def test_a_line_that_is_no_event(line: str) -> None:
    with pytest.raises(BadEvent):
        parse(line)
