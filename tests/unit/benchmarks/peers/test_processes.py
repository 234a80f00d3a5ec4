"""Servers as processes: whatever they started ends with them, and what they used is known."""

import socket
from pathlib import Path

import pytest
import trio

from benchmarks.peers.cluster import laid_out, wait_until
from benchmarks.peers.processes import Server, free_ports
from benchmarks.procfs import descendants, stat_fields
from benchmarks.result import BenchmarkWrong

_FAMILY = "setsid sleep 60 & echo $! > child; while :; do :; done"


def shell(directory: Path, script: str) -> Server:
    return Server(0, 0, directory, ["/bin/sh", "-c", script])


async def wait_for(path: Path) -> int:
    """The number that a process writes into a file."""
    file = trio.Path(path)
    with trio.fail_after(20):
        while not await file.exists() or not await file.read_text():  # noqa: ASYNC110 - a process writes it
            await trio.sleep(0.01)
    return int(await file.read_text())


async def test_a_kill_takes_the_whole_family(tmp_path: Path) -> None:
    server = shell(tmp_path, _FAMILY)
    server.start()
    child = await wait_for(tmp_path / "child")
    assert child in descendants(int(stat_fields(child)[1]))
    server.kill()
    assert not server.alive
    with trio.fail_after(20):
        while stat_fields(child)[:1] not in ([], ["Z"]):  # noqa: ASYNC110 - the kernel ends it
            await trio.sleep(0.01)


async def test_what_was_spent_outlives_the_process(tmp_path: Path) -> None:
    server = shell(tmp_path, _FAMILY)
    server.start()
    with trio.fail_after(20):
        while server.cpu_s() < 0.05:  # noqa: ASYNC110 - the kernel counts
            await trio.sleep(0.01)
    assert server.resident_mb() > 0.1
    server.kill()
    spent = server.cpu_s()
    assert spent >= 0.05
    server.start()
    assert server.cpu_s() >= spent
    server.kill()


async def test_one_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    server = shell(tmp_path, "echo no such option >&2; exit 1")
    server.start()
    with pytest.raises(BenchmarkWrong, match=r"(?s)node 0 ended.*no such option"):
        await wait_until([server], "it does not serve", 20, lambda: False)
    server.kill()


async def test_a_cluster_leaves_nothing_behind() -> None:
    places: list[Path] = []

    class One:
        def __init__(self, directory: Path) -> None:
            places.append(directory)
            self.servers = [shell(directory, "sleep 60")]
            self.helpers: list[Server] = []

        def command(self, mode: str, first: int = 0) -> list[str]:
            return []

        async def wait_ready(self) -> None: ...

        async def leader(self, queue: str) -> Server:
            return self.servers[0]

        async def wait_whole(self, queue: str) -> None: ...

    async with laid_out(One) as cluster:
        (server,) = cluster.servers
        server.start()
        assert places[0].is_dir()
    assert not server.alive
    assert not places[0].exists()


def test_ports_are_free_and_differ() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        assert ports[0] not in free_ports(5)
    assert all(port < 32_768 for port in ports)
