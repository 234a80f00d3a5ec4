"""Processes that outlive their starter are found again, and never mistaken."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from haqactor.cli.process import Process, resident_bytes, start_detached

SLEEPER = ["-c", "import signal; print('up', flush=True); signal.pause()"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = start_detached(SLEEPER, tmp_path / "log")
    yield process
    process.send(signal.SIGKILL)
    assert process.wait(10)


def test_runs_in_a_session_of_its_own(sleeper: Process) -> None:
    assert sleeper.alive
    assert os.getsid(sleeper.pid) == sleeper.pid
    assert resident_bytes(sleeper.pid) > 0


def test_ends_by_its_signal(sleeper: Process) -> None:
    assert not sleeper.wait(0)
    assert sleeper.send(signal.SIGKILL)
    assert sleeper.wait(10)
    assert not sleeper.alive
    assert not sleeper.send(signal.SIGKILL)
    assert resident_bytes(sleeper.pid) == 0


async def test_waiting_inside_trio(sleeper: Process) -> None:
    assert not await sleeper.wait_ended(0.01)
    sleeper.send(signal.SIGKILL)
    assert await sleeper.wait_ended(10)
    assert await sleeper.wait_ended(10)


def test_a_pid_that_came_back_is_somebody_else(sleeper: Process) -> None:
    stranger = Process(sleeper.pid, sleeper.started - 1)
    assert not stranger.alive
    assert not stranger.send(signal.SIGKILL)
    assert stranger.wait(0)
    assert sleeper.alive


def test_its_words_go_to_the_log_and_no_setting_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAQ_DATA_DIR", "/elsewhere")
    monkeypatch.setenv("KEPT", "yes")
    code = "import os, sys; print(sorted(os.environ)); print('bad', file=sys.stderr)"
    process = start_detached(["-c", code], tmp_path / "log")
    assert process.wait(10)
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert "bad" in text
    assert "KEPT" in text
    assert "HAQ_DATA_DIR" not in text
