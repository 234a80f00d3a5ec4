"""NATS JetStream: three servers, every stream with three replicas in files.

One rule: synced as it comes (every two minutes) or always; nothing else differs between the two.
"""

import json
import socket
from pathlib import Path
from typing import Any, Final

import trio

from benchmarks.peers import places
from benchmarks.peers.cluster import NODES, ports_from, wait_until
from benchmarks.peers.processes import Server, free_ports
from benchmarks.result import BenchmarkWrong

_START_S: Final = 60.0
_CREDIT: Final = 10_000
_INBOX: Final = "_I.asked"


def settings(number: int, port: int, routes: list[int], store: Path, *, always: bool) -> str:
    """A server's configuration file."""
    urls = ", ".join(f"nats-route://127.0.0.1:{route}" for route in routes)
    sync = "  sync_interval: always\n" if always else ""
    return (
        f"server_name: n{number}\n"
        f"listen: 127.0.0.1:{port}\n"
        f'jetstream {{\n  store_dir: "{store}"\n  max_file_store: 64GB\n{sync}}}\n'
        f"cluster {{\n  name: peers\n  listen: 127.0.0.1:{routes[number]}\n  routes: [{urls}]\n}}\n"
    )


class Nats:
    """A cluster. ``always``: fsync before each confirm."""

    def __init__(self, directory: Path, *, always: bool) -> None:
        ports = free_ports(2 * NODES)
        self.servers: list[Server] = []
        self.helpers: list[Server] = []
        for number in range(NODES):
            place = directory / f"n{number}"
            place.mkdir()
            file = place / "nats.conf"
            file.write_text(settings(number, ports[number], ports[NODES:], place / "data", always=always))
            arguments = [str(places.nats_server()), "-c", str(file)]
            self.servers.append(Server(number, ports[number], place, arguments))

    def command(self, mode: str, first: int = 0) -> list[str]:
        """Ours, in C."""
        ports = ports_from(self.servers, first)
        return [str(places.client("nats")), mode, f"ports={ports}", f"credit={_CREDIT}"]

    async def wait_ready(self) -> None:
        """Each accepts connections; that streams can be made is known once one is."""
        await wait_until(
            self.servers,
            "NATS does not serve",
            _START_S,
            lambda: all(_listens(server.port) for server in self.servers),
        )

    async def leader(self, queue: str) -> Server:
        """As one that is alive knows it."""
        name = (await self._cluster(queue)).get("leader")
        for server in self.servers:
            if name == f"n{server.number}":
                return server
        raise BenchmarkWrong(f"NATS knows no leader of {queue}")

    async def wait_whole(self, queue: str) -> None:
        """Every replica is there and current."""
        with trio.move_on_after(_START_S):
            while True:
                replicas: list[dict[str, Any]] = (await self._cluster(queue)).get("replicas") or []
                if len(replicas) == NODES - 1 and all(
                    each.get("current") and not each.get("offline") for each in replicas
                ):
                    return
                await trio.sleep(0.05)
        raise BenchmarkWrong(f"the replicas of {queue} are not current after {_START_S:g} s")

    async def _cluster(self, queue: str) -> dict[str, Any]:
        asked = next(server for server in self.servers if server.alive)
        found = await trio.to_thread.run_sync(_ask, asked.port, f"$JS.API.STREAM.INFO.{queue}")
        return found.get("cluster") or {}


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
            return link.recv(5, socket.MSG_WAITALL) == b"INFO "
    except OSError:
        return False


def _ask(port: int, subject: str) -> dict[str, Any]:
    """The answer to an empty request; empty where none comes."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=3) as link, link.makefile("rb") as lines:
            link.sendall(
                f'CONNECT {{"verbose":false}}\r\nSUB {_INBOX} 1\r\nPUB {subject} {_INBOX} 0\r\n\r\n'.encode()
            )
            for line in lines:
                if line.startswith(b"MSG "):
                    answer: dict[str, Any] = json.loads(lines.read(int(line.split()[-1])))
                    return answer
    except OSError:
        pass
    return {}
