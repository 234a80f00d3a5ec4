"""The peers' servers as processes: started in sessions of their own, measured, and ended.

One rule: a process is ended through the handle of the one that started it, with all that it started itself;
no name is ever looked for.
"""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.procfs import cpu_seconds, descendants
from haqactor.cli.process import resident_bytes

_LOG_LINES: Final = 15
_END_S: Final = 60.0
_LOOK_S: Final = 0.01
_FIRST_PORT: Final = 10_000
_LAST_PORT: Final = 30_000  # below those that outgoing connections use


@dataclass(slots=True)
class Server:
    """One node of a peer. ``directory``: its data, settings and log; it is made, and deleted by its cluster.
    ``port``: where clients connect. ``environment``: all that it gets, beside the path."""

    number: int
    port: int
    directory: Path
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    _process: "subprocess.Popen[bytes] | None" = None
    _spent_s: float = 0.0

    @property
    def log(self) -> Path:
        """Its outputs, of all its runs."""
        return self.directory / "log"

    @property
    def alive(self) -> bool:
        """Whether its process runs. One that ended is let go only by ``kill``; nobody else gets its
        number until then."""
        if self._process is None:
            return False
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def start(self) -> None:
        """Start it; it must not run."""
        assert not self.alive
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **self.environment}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.arguments,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> int:
        """SIGKILL to it and whatever it started. Returns when that was, in nanoseconds of the clock that all
        processes share."""
        if self._process is None:
            return time.monotonic_ns()
        self._spent_s += cpu_seconds(self._process.pid)
        own = self._process.pid  # a group of its own, as it was started; a child may have made another one
        others = {group for child in descendants(own) if (group := _group(child)) not in (None, own)}
        os.killpg(own, signal.SIGKILL)
        killed = time.monotonic_ns()
        for group in others:
            _kill_group(group)
        self._process.wait()
        self._process = None
        return killed

    def pause(self) -> int:
        """SIGSTOP to its group: it does nothing, and no connection breaks. Returns when that was, as
        ``kill``."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        return time.monotonic_ns()

    def go_on(self) -> None:
        """SIGCONT after ``pause``."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def ask_to_end(self) -> None:
        """SIGTERM; ``await_end`` waits for what comes of it."""
        if self._process is not None:
            self._process.terminate()

    def await_end(self) -> bool:
        """Whether it ended by itself within a minute; it is killed if not, and what it left is in either
        case."""
        ended = True
        if self._process is not None:
            try:
                deadline = time.monotonic() + _END_S
                while self.alive and time.monotonic() < deadline:
                    time.sleep(_LOOK_S)
                ended = not self.alive
            finally:
                self.kill()
        return ended

    def cpu_s(self) -> float:
        """User and system time so far, of all its runs, children included."""
        return self._spent_s + (cpu_seconds(self._process.pid) if self._process is not None else 0.0)

    def resident_mb(self) -> float:
        """Resident memory, children included."""
        return resident_bytes(self._process.pid) / 1e6 if self._process is not None else 0.0

    def last_log_lines(self) -> str:
        """The end of its log, for an error's text."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-_LOG_LINES:]) or "(the log is empty)"


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _kill_group(group: int | None) -> None:
    try:
        if group is not None:
            os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended with its parent


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    found: list[int] = []
    span = _LAST_PORT - _FIRST_PORT
    for attempt in range(span):
        port = _FIRST_PORT + (os.getpid() * 64 + attempt) % span
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports")
