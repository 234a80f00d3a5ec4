"""A node that cannot run says why in one line, and its exit code says whose fault it is."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from haqactor.cli import exits
from haqactor.cli.launcher import LocalCluster, free_base_port

SECONDS_MAX = 20


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``haq node run``, which must end by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HAQ_")}
    done = subprocess.run(
        [sys.executable, "-m", "haqactor", "node", "run", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env=environment,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert not done.stdout
    return done


def settings(place: Path, text: str) -> str:
    file = place / "node.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("data_dri = 'x'", "did you mean data_dir?"),
        ("listen = '127.0.0.1:1'", "data_dir is missing"),
        ("data_dir = 7", "must be a path"),
        ("data_dir = 'x'\ngroups = 0", "groups is 0"),
        ("data_dir = 'x'\nlisten = 'nowhere'", "'host:port'"),
        ("data_dir = 'x'\nlisten = '0.0.0.0:7420'", "insecure = true"),
        ("data_dir = 'x'\nlisten = '127.0.0.1:1'\nbootstrap = ['127.0.0.1:2']", "must hold this node's own"),
        ("data_dir = 'x'\n[limits]\nheartbeats = 1", "did you mean limits.heartbeat?"),
        ("data_dir = 'x'\n[limits]\nheartbeat = -1", "must be a number above 0"),
        ("data_dir = 'x'\n[limits]\nheartbeat = 5", "election_min"),
        ("data_dir = 'x'\nlog_level = 'loud'", "log_level"),
        ("data_dir = 'x'\nsync = 'never'", "sync"),
        ("data_dir = ", "not a TOML file"),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, text: str, why: str) -> None:
    done = run("--config", settings(tmp_path, text))
    assert done.returncode == exits.USAGE
    assert why in done.stderr
    assert "node.toml" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_configuration() -> None:
    done = run()
    assert done.returncode == exits.USAGE
    assert "--config" in done.stderr


def test_a_file_that_is_not_there() -> None:
    done = run("--config", "/nowhere/node.toml")
    assert done.returncode == exits.USAGE
    assert "/nowhere/node.toml" in done.stderr


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = settings(tmp_path, f"data_dir = '{tmp_path}/d'\nlisten = '127.0.0.1:1'\ngroups = 4")
    done = run("--config", file, "--listen", "nowhere")
    assert done.returncode == exits.USAGE
    assert "'nowhere'" in done.stderr


def test_a_second_process_on_one_directory(single: LocalCluster) -> None:
    node = single.nodes[0]
    port = trio.run(free_base_port, 1)
    address = f"127.0.0.1:{port}"
    done = run("--data-dir", str(node.data), "--listen", address, "--bootstrap", address)
    assert done.returncode == exits.FAILED
    assert str(node.data) in done.stderr
    assert node.process() is not None


def test_the_directory_of_another_cluster(tmp_path: Path) -> None:
    async def once() -> tuple[LocalCluster, str]:
        cluster = LocalCluster.found(tmp_path / "c", 1, await free_base_port(1))
        await cluster.start()
        other = f"127.0.0.1:{await free_base_port(1)}"  # not the one that is about to be free
        cluster.stop()
        return cluster, other

    cluster, other = trio.run(once)
    done = run("--data-dir", str(cluster.nodes[0].data), "--listen", other, "--bootstrap", other)
    assert done.returncode in {exits.USAGE, exits.CONFLICT}
    assert "belongs to" in done.stderr


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_in_use(tmp_path: Path, offset: int) -> None:
    port = trio.run(free_base_port, 1)
    with socket.create_server(("127.0.0.1", port + offset)):
        address = f"127.0.0.1:{port}"
        done = run("--data-dir", str(tmp_path / "d"), "--listen", address, "--bootstrap", address)
    assert done.returncode in {exits.FAILED, exits.CONFLICT}
    assert str(port + offset) in done.stderr


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    done = run("--data-dir", str(tmp_path / "file" / "d"))
    assert done.returncode != exits.OK
    assert "file" in done.stderr


@pytest.mark.slow
async def test_a_node_waits_for_the_other_founders(tmp_path: Path) -> None:
    """However late they come: nothing about being first is an error."""
    cluster = LocalCluster.found(tmp_path / "c", 3, await free_base_port(3))
    try:
        first = cluster.nodes[0].spawn()
        await cluster.nodes[0].wait_listening(first)
        assert not await first.wait_ended(8)
        await cluster.start()
        assert cluster.nodes[0].process() == first
    finally:
        cluster.stop()


@pytest.mark.slow
def test_a_cluster_one_of_whose_disks_is_new(tmp_path: Path) -> None:
    """The others confirm; who did not join them is named, with its log's end, and the exit code says so."""

    async def once() -> LocalCluster:
        cluster = LocalCluster.found(tmp_path / "c", 3, await free_base_port(3), {"groups": 4})
        await cluster.start()
        cluster.stop()
        return cluster

    cluster = trio.run(once)
    shutil.rmtree(cluster.nodes[2].data)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "haqactor", "cluster", "start", "--dir", str(cluster.directory)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == exits.UNHEALTHY
        assert done.stdout == f"{cluster.url}\n"
        lines = done.stderr.splitlines()
        assert lines[0] == "2 of 3 nodes confirm; started: 0, 1, 2"
        assert lines[1].startswith("node 2 ended; the end of ")
        assert "haq node replace" in lines[-1]
    finally:
        assert cluster.stop() == {0: "stopped", 1: "stopped"}
