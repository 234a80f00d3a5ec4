"""Processes that outlive the command that started them: started detached, found again, signalled, waited for.

One rule: a process is a pid *and* its start time; a pid alone may long belong to somebody else, and is never
signalled.
"""

import os
import select
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import trio


@dataclass(frozen=True, slots=True)
class Process:
    """``started``: field 22 of ``/proc/PID/stat``, clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        found = _stat(self.pid)
        return found is not None and found == (self.started, True)

    def send(self, number: int) -> bool:
        """Signal it; False if it is gone already."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive:  # read while the handle pins the pid
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False if it still runs after ``seconds``."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if self.alive:
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                poll.poll(round(seconds * 1000))
            ended = not self.alive
        finally:
            os.close(handle)
        if ended:
            self._reap()
        return ended

    async def wait_ended(self, seconds: float) -> bool:
        """``wait`` inside trio."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if self.alive:
                with trio.move_on_after(seconds):
                    await trio.lowlevel.wait_readable(handle)
        finally:
            os.close(handle)
        return self.wait(0)

    def _reap(self) -> None:
        """Where it is our own child, let it go; else its real parent does."""
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pass


def _stat(pid: int) -> tuple[int, bool] | None:
    """Start time, and whether it runs; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return int(fields[19]), fields[0] not in ("Z", "X")


def start_detached(arguments: list[str], log: Path) -> Process:
    """Run ``python arguments...`` in a session of its own, both outputs appended to ``log``. None of our
    ``HAQ_`` variables reach it:
    its settings are those of its file."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HAQ_")}
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    found = _stat(pid)
    return Process(pid, found[0] if found is not None else 0)


def resident_bytes(pid: int) -> int:
    """The resident memory of it and its children, which do its work as well; 0 if it is gone. Of a child only
    what is its own counts: the files that it maps (the interpreter) are those of its parent."""
    resident, _shared = _pages(pid)
    return (resident + sum(_own_pages(child) for child in children(pid))) * os.sysconf("SC_PAGE_SIZE")


def _own_pages(pid: int) -> int:
    resident, shared = _pages(pid)
    return resident - shared + sum(_own_pages(child) for child in children(pid))


def _pages(pid: int) -> tuple[int, int]:
    """Resident, and those of them that are of files; zeros if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return int(fields[1]), int(fields[2])


def children(pid: int) -> list[int]:
    """Those of all its threads: a child belongs to the thread that started it, until that ends."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return found
    for task in tasks:
        try:
            found += map(int, (task / "children").read_text(encoding="ascii").split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # that thread ended meanwhile; the others' children are there
    return found
