"""What happens between processes: locks, and the sync helper's life and death."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from haqactor.env import LockHeld
from haqactor.runtime.real import RealDisk
from haqactor.runtime.real.sync_process import ProcessSyncer

HOLD = """
import sys, trio
from haqactor.runtime.real import RealDisk
async def main():
    release = await RealDisk().lock(sys.argv[1])
    print("held", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""

WRITE = """
import sys, trio
from haqactor.runtime.real import RealDisk
async def main():
    disk = RealDisk(sync="process")
    file = await disk.allocate(sys.argv[1], 4096)
    await file.write_durable(0, [b"x"])
    print(disk._pool._free[0].pid, flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


def start(program: str, path: Path) -> tuple[subprocess.Popen[str], str]:
    """A process, and the first line that it prints."""
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


async def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process, line = await trio.to_thread.run_sync(start, HOLD, path)
    try:
        assert line == "held"
        with pytest.raises(LockHeld, match=f"process {process.pid}:"):
            await RealDisk().lock(str(path))
    finally:
        await trio.to_thread.run_sync(kill, process)
    (await RealDisk().lock(str(path)))()


async def test_a_lock_file_says_only_who_holds_it_now(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("99999999999999\n")
    release = await RealDisk().lock(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    release()


async def test_the_helper_syncs_the_file_that_is_meant(tmp_path: Path) -> None:
    """A device that cannot sync, and after it a file that can: neither gets the other's answer."""
    syncer = await trio.to_thread.run_sync(ProcessSyncer.start)
    fds = [os.open("/dev/null", os.O_RDWR), os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)]
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            await syncer.write_and_sync(fds[0], 0, [b"x"])
        await syncer.write_and_sync(fds[1], 0, [b"x"])
    assert os.getsid(syncer.pid) == os.getsid(0), "a session of its own is a scheduling group of its own"
    assert os.getpgid(syncer.pid) != os.getpgid(0)
    syncer.close()
    for fd in fds:
        os.close(fd)


def alive(pid: int) -> bool:
    """Whether that process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> None:
    """Until there is no such process, or only its remains."""
    with trio.fail_after(10):
        while alive(pid):  # noqa: ASYNC110 - another process has no trio.Event
            await trio.sleep(0.002)


async def test_the_helper_dies_with_a_killed_parent(tmp_path: Path) -> None:
    process, line = await trio.to_thread.run_sync(start, WRITE, tmp_path / "segment")
    helper = int(line)
    assert alive(helper)
    await trio.to_thread.run_sync(kill, process)
    await gone(helper)


async def test_the_helper_outlives_the_signals_that_stop_a_node(tmp_path: Path) -> None:
    """They often reach the whole process group; the node still has a last block to sync."""
    syncer = await trio.to_thread.run_sync(ProcessSyncer.start)
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    await syncer.write_and_sync(fd, 0, [b"before"])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(syncer.pid, number)
    await syncer.write_and_sync(fd, 0, [b"after"])
    syncer.release(fd)
    await syncer.write_and_sync(fd, 5, [b"again"])
    os.close(fd)
    syncer.close()
    await gone(syncer.pid)
    assert (tmp_path / "file").read_bytes() == b"afteragain"
