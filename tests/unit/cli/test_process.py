"""Processes that outlive their starter are found again, and never mistaken."""

import os
import signal
import subprocess
import sys
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


_PARENT = """
import subprocess, sys, threading
held = "held = bytearray(b'x') * 30_000_000; print('up', flush=True); input()"

def start():
    child = subprocess.Popen([sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    print("up", flush=True)
    sys.stdin.readline()

threading.Thread(target=start).start()
"""


def test_children_count_whichever_thread_started_them() -> None:
    """And of them only what is their own: not the interpreter's files, which the parent maps as well."""
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        counted = resident_bytes(parent.pid)
        alone = int(Path(f"/proc/{parent.pid}/statm").read_text(encoding="ascii").split()[1])
        alone *= os.sysconf("SC_PAGE_SIZE")
        parent.communicate(b"\n")
    assert 30_000_000 < counted - alone < 36_000_000


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
