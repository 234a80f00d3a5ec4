"""Membership between real processes: who is there, who is not, who moved, and who does not belong."""

import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

from haqactor.cli.health import cluster_health
from haqactor.cli.launcher import LocalCluster, free_base_port
from haqactor.runtime.remote import connect
from tests.builders.local_cluster import events, kill_all, log_rows, no_tracebacks, running, until

QUICK: dict[str, float | int] = {"probe_interval": 0.2, "rejoin_max": 1.0}
"""Probe and retry often, so that what takes seconds takes a part of one."""
POLL_S = 0.05


async def seen_by(node: str) -> dict[int, dict[str, Any]]:
    """What one node says of all members."""
    async with connect(f"haq://{node}") as broker:
        return {row["node"]: row for row in (await broker.status())["nodes"]}


async def until_seen(node: str, expected: dict[int, str], seconds: float = 15.0) -> dict[int, dict[str, Any]]:
    """Until that node believes so of those members; what it says then."""
    with trio.fail_after(seconds):
        while True:
            seen = await seen_by(node)
            if all(seen[number]["status"] == status for number, status in expected.items()):
                return seen
            await trio.sleep(POLL_S)


def rewrite(cluster: LocalCluster, number: int, **settings: str | None) -> None:
    """Other settings for a node's next start; None takes one away. Values are TOML's."""
    lines = cluster.node(number).config.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.partition(" = ")[0] not in settings]
    given = [f"{name} = {value}" for name, value in settings.items() if value is not None]
    cluster.node(number).config.write_text("\n".join([*given, *kept]) + "\n", encoding="utf-8")


def quoted(*addresses: str) -> str:
    return "[" + ", ".join(f'"{address}"' for address in addresses) + "]"


async def test_a_crash_is_seen_and_a_restart_too(tmp_path: Path) -> None:
    """Dead within a bound, alive again in a higher incarnation; the cluster's status tells both."""
    async with running(tmp_path, limits=QUICK) as cluster:
        first = cluster.nodes[0].listen
        before = await until_seen(first, {0: "alive", 1: "alive", 2: "alive"})
        cluster.kill(2)
        await until_seen(first, {1: "alive", 2: "dead"}, 10)
        health = await cluster_health(cluster)
        assert [node.member for node in health.nodes] == ["alive", "alive", "dead"]
        assert not health.healthy
        await cluster.restart(2)
        after = await until_seen(first, {2: "alive"}, 10)
        assert after[2]["incarnation"] > before[2]["incarnation"]
        assert after[2]["versions"]["machine"] == after[0]["versions"]["machine"]
        health = await cluster_health(cluster)
        assert health.nodes[2].incarnation >= after[2]["incarnation"]
        cluster.kill(1, signal.SIGTERM)
        await until_seen(first, {1: "left"}, 10)
        no_tracebacks(cluster)


async def test_who_stands_still_is_found_again(tmp_path: Path) -> None:
    """SIGSTOP is no crash: the ports are open, and nobody answers."""
    async with running(tmp_path, limits=QUICK) as cluster:
        first = cluster.nodes[0].listen
        await until_seen(first, {1: "alive", 2: "alive"})
        cluster.kill(2, signal.SIGSTOP)
        try:
            await until_seen(first, {1: "alive", 2: "dead"})
        finally:
            cluster.kill(2, signal.SIGCONT)
        await until_seen(first, {1: "alive", 2: "alive"})
        seen = await until_seen(cluster.nodes[2].listen, {0: "alive", 1: "alive"})
        assert seen[2]["incarnation"] & 0xFFFFF, "it has refuted"
        no_tracebacks(cluster)


async def test_garbage_changes_nothing(tmp_path: Path) -> None:
    """On the gossip port, as datagrams and as streams."""
    async with running(tmp_path, limits=QUICK) as cluster:
        first = cluster.nodes[0].listen
        before = await until_seen(first, {0: "alive", 1: "alive", 2: "alive"})
        host, port = first.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for size in range(200):
                sock.sendto(b"HAQG\x01" + bytes(size), (host, int(port) + 2))
        for request in (b"", b"\xff\xff\xff\xff" + bytes(100), b"\x05\0\0\0hello", b"GET / HTTP/1.1\r\n\r\n"):
            stream = await trio.open_tcp_stream(host, int(port) + 2)
            with trio.fail_after(10), suppress(trio.BrokenResourceError):
                async with stream:
                    await stream.send_all(request or b"\0")
                    await stream.send_eof()
                    assert await stream.receive_some() == b""
        after = await until_seen(first, {0: "alive", 1: "alive", 2: "alive"})
        assert {number: row["incarnation"] for number, row in after.items()} == {
            number: row["incarnation"] for number, row in before.items()
        }
        async with connect(f"haq://{first}") as broker:
            counted = (await broker.status())["gossip"]
        assert counted["gossip_bad"] >= 4
        assert counted["bad"] >= 2
        assert events(cluster, 0).count("bad gossip is ignored") == 1
        no_tracebacks(cluster)


async def test_two_clusters_stay_two(tmp_path: Path) -> None:
    """Though each has the other's addresses as its seeds."""
    async with running(tmp_path / "a", 1, QUICK) as one, running(tmp_path / "b", 1, QUICK) as other:
        await one.restart(0)
        for mine, theirs in ((one, other), (other, one)):
            rewrite(mine, 0, seeds=quoted(theirs.nodes[0].listen))
            await mine.restart(0)
        await until(lambda: "packets of another cluster are ignored" in events(one, 0))
        for cluster in (one, other):
            seen = await seen_by(cluster.nodes[0].listen)
            assert list(seen) == [0]
            async with connect(cluster.url) as broker:
                counted = (await broker.status())["gossip"]
            assert counted["members"] == 1
            assert counted["foreign"] > 0
            no_tracebacks(cluster)


async def test_a_node_that_moved_is_found_by_peers_and_clients(tmp_path: Path) -> None:
    """Another port, and nothing but seeds: gossip tells the others, who tell the clients, and remember it."""
    async with running(tmp_path, limits=QUICK) as cluster:
        first, third = cluster.nodes[0].listen, cluster.nodes[2].listen
        await until_seen(first, {1: "alive", 2: "alive"})
        cluster.kill(2, signal.SIGTERM)
        process = cluster.node(2).process()
        assert process is None or process.wait(10)
        moved = f"127.0.0.1:{await free_base_port(4) + 20}"
        rewrite(cluster, 2, listen=f'"{moved}"', bootstrap=None, seeds=quoted(first))
        cluster.node(2).spawn()
        with trio.fail_after(15):
            while True:
                row = (await seen_by(first))[2]
                if row["address"] == moved and row["connected"] and row["status"] == "alive":
                    break
                await trio.sleep(POLL_S)
        async with connect(f"haq://{first}") as broker:
            await broker.declare("orders")
            for group in range(4):  # wherever it is led
                await broker.publish("orders", f"{group}".encode())
        assert third not in [row["address"] for row in (await seen_by(cluster.nodes[1].listen)).values()]
        # It is remembered: node 0 comes back with the founding list, in which the old address is.
        await cluster.restart(0)
        assert (await until_seen(first, {2: "alive"}))[2]["address"] == moved
        no_tracebacks(cluster)


async def test_seeds_are_enough_to_start(tmp_path: Path) -> None:
    """One has the founding list; the others know one address each, and one of them not even that one's. A
    wiped one is then refused in words, and the cluster runs on."""
    cluster = LocalCluster.found(tmp_path / "c", 3, await free_base_port(3), {"groups": 2, "limits": QUICK})
    first, second, _third = (node.listen for node in cluster.nodes)
    rewrite(cluster, 1, bootstrap=None, seeds=quoted(first))
    rewrite(cluster, 2, bootstrap=None, seeds=quoted(second))
    try:
        with trio.fail_after(30):
            await cluster.start()
            await until_seen(first, {0: "alive", 1: "alive", 2: "alive"})
            ids = {
                row["cluster"] for number in range(3) for row in log_rows(cluster, number) if "cluster" in row
            }
            assert len(ids) == 1
            cluster.kill(2)
            for file in sorted(cluster.node(2).data.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
            process = cluster.node(2).spawn()
            assert await process.wait_ended(15)
            assert "haq node replace" in cluster.node(2).last_log_lines()
            await until_seen(first, {1: "alive", 2: "dead"})
            async with connect(f"haq://{first}") as broker:
                await broker.declare("orders")
                await broker.publish("orders", b"still confirmed")
    finally:
        kill_all(cluster)


async def test_seeds_alone_found_nothing(tmp_path: Path) -> None:
    """Two that know only each other wait, and go on waiting."""
    cluster = LocalCluster.found(tmp_path / "c", 2, await free_base_port(2), {"groups": 2, "limits": QUICK})
    first, second = (node.listen for node in cluster.nodes)
    rewrite(cluster, 0, bootstrap=None, seeds=quoted(second))
    rewrite(cluster, 1, bootstrap=None, seeds=quoted(first))
    processes = [node.spawn() for node in cluster.nodes]
    try:
        await until(lambda: all("listens" in events(cluster, number) for number in range(2)))
        with trio.move_on_after(2):
            await processes[0].wait_ended(2)
        assert all(process.alive for process in processes)
        assert not any("founded" in events(cluster, number) for number in range(2))
    finally:
        kill_all(cluster)
