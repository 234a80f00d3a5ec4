"""PySyncObj: three nodes of its ReplQueue, with its journal and its dump file; it has no fsync.

One rule: its defaults, but for one: where single commands are timed, entries do not wait for the next of its
periodic messages.
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
_PROGRAMS: Final = "benchmarks.peers.programs"


class PySyncObj:
    """A cluster. ``batched``: its own default."""

    def __init__(self, directory: Path, *, batched: bool) -> None:
        ports = free_ports(2 * NODES)
        addresses = [f"127.0.0.1:{port}" for port in ports[NODES:]]
        self.servers: list[Server] = []
        self.helpers: list[Server] = []
        for number in range(NODES):
            place = directory / f"n{number}"
            place.mkdir()
            others = ",".join(address for address in addresses if address != addresses[number])
            arguments = [
                *(str(places.python()), "-m", f"{_PROGRAMS}.pysyncobj_node"),
                *(addresses[number], others, str(ports[number]), str(place)),
                "batched" if batched else "single",
            ]
            environment = {"PYTHONPATH": str(places.ROOT)}
            self.servers.append(Server(number, ports[number], place, arguments, environment))
        self._addresses = addresses

    def command(self, mode: str, first: int = 0) -> list[str]:
        """What brings a job to a node."""
        ports = ports_from(self.servers, first)
        return [str(places.python()), "-m", f"{_PROGRAMS}.pysyncobj_client", mode, f"ports={ports}"]

    async def wait_ready(self) -> None:
        """Each knows a leader and both others."""
        await wait_until(self.servers, "PySyncObj does not serve", _START_S, self._whole)

    async def leader(self, queue: str) -> Server:
        """As one that is alive knows it."""
        asked = next(server for server in self.servers if server.alive)
        found = await trio.to_thread.run_sync(_status, asked.port)
        for server, address in zip(self.servers, self._addresses, strict=True):
            if found.get("leader") == address:
                return server
        raise BenchmarkWrong("PySyncObj knows no leader")

    async def wait_whole(self, queue: str) -> None:
        """Each has applied as much as the others had a moment ago."""
        await self.wait_ready()
        goal = max(_status(server.port).get("applied", 0) for server in self.servers)
        await wait_until(
            self.servers,
            "a node does not catch up",
            _START_S,
            lambda: all(_status(server.port).get("applied", 0) >= goal for server in self.servers),
        )

    def _whole(self) -> bool:
        known = [_status(server.port) for server in self.servers]
        return all(
            each.get("ready") and each.get("leader") and each.get("connected") == NODES - 1 for each in known
        )


def _status(port: int) -> dict[str, Any]:
    """What a node knows; empty where it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.sendall(b'["status"]\n')
            found: dict[str, Any] = json.loads(link.makefile("rb").readline() or b"{}")
    except (OSError, ValueError):
        return {}
    return found
