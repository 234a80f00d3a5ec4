"""Namespaces of our own, in a process of its own: nothing of them is seen outside."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.processes import ROOT

SCRIPT = """
import os, socket, sys, errno
from pathlib import Path
from tests.chaos.namespaces import Disk, enter, set_loopback
allowed = enter()
print(allowed.mounts, allowed.network)
if allowed.network:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 7420))
    sock.listen()
    socket.create_connection(("127.0.0.1", 7420)).close()
    set_loopback(up=False)
    try:
        socket.create_connection(("127.0.0.1", 7420), 1)
    except OSError:
        pass
    else:
        sys.exit("it still connects")
    set_loopback(up=True)
    socket.create_connection(("127.0.0.1", 7420)).close()
if allowed.mounts:
    disk = Disk.mount(Path(sys.argv[1]), 1 << 20)
    disk.fill(8192)
    try:
        (disk.path / "more").write_bytes(bytes(65536))
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    else:
        sys.exit("there is still room")
    disk.relieve()
    (disk.path / "more").write_bytes(bytes(65536))
"""


def test_a_loopback_and_a_small_disk_of_our_own(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(place)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if "True" not in done.stdout:
        pytest.skip("no namespaces are allowed here")
    assert not place.exists() or not list(place.iterdir())
