"""Redis streams: a master and two replicas, the append-only file synced always or every second; three
sentinels where a failover is wanted.

One rule: a client's WAIT 1 is what makes a write replicated; the servers' settings only say when it is on a
disk.
"""

import socket
from pathlib import Path
from typing import Final, Literal

import trio

from benchmarks.peers import places
from benchmarks.peers.cluster import NODES, ports_from, wait_until
from benchmarks.peers.processes import Server, free_ports
from benchmarks.result import BenchmarkWrong

_START_S: Final = 30.0
_CREDIT: Final = 1_000
_MASTER: Final = "peers"
_DOWN_MS: Final = 1_000
_FAILOVER_MS: Final = 5_000

Fsync = Literal["always", "everysec"]


def settings(port: int, master: int | None, fsync: Fsync) -> str:
    """``redis.conf`` of the master (``master`` is None) or a replica; the first full copy does not wait for
    other replicas to ask for it as well."""
    follow = "" if master is None else f"replicaof 127.0.0.1 {master}\n"
    return (
        f"bind 127.0.0.1\nport {port}\ndaemonize no\n"
        f'save ""\nappendonly yes\nappendfsync {fsync}\nrepl-diskless-sync-delay 0\n{follow}'
    )


def sentinel_settings(port: int, master: int) -> str:
    """``sentinel.conf``: the master is down after a second without an answer, and two have to agree."""
    return (
        f"bind 127.0.0.1\nport {port}\ndaemonize no\n"
        f"sentinel monitor {_MASTER} 127.0.0.1 {master} 2\n"
        f"sentinel down-after-milliseconds {_MASTER} {_DOWN_MS}\n"
        f"sentinel failover-timeout {_MASTER} {_FAILOVER_MS}\n"
        f"sentinel parallel-syncs {_MASTER} 2\n"
    )


class Redis:
    """A cluster. ``watched``: with sentinels, so that there is a failover."""

    def __init__(self, directory: Path, fsync: Fsync, *, watched: bool) -> None:
        binary = places.redis_server()
        assert binary is not None
        ports = free_ports(2 * NODES)
        self.servers: list[Server] = []
        self.helpers: list[Server] = []
        self._sentinels: list[Server] = []
        for number in range(NODES):
            place = directory / f"n{number}"
            place.mkdir()
            file = place / "redis.conf"
            file.write_text(settings(ports[number], ports[0] if number else None, fsync))
            self.servers.append(Server(number, ports[number], place, [str(binary), str(file)]))
        for number in range(NODES if watched else 0):
            place = directory / f"s{number}"
            place.mkdir()
            file = place / "sentinel.conf"
            port = ports[NODES + number]
            file.write_text(sentinel_settings(port, ports[0]))
            self.helpers.append(Server(number, port, place, [str(binary), str(file), "--sentinel"]))

    def command(self, mode: str, first: int = 0) -> list[str]:
        """Ours, in C."""
        ports = ports_from(self.servers, first)
        watched = [f"sentinels={','.join(str(each.port) for each in self.helpers)}"] if self.helpers else []
        return [str(places.client("redis")), mode, f"ports={ports}", f"credit={_CREDIT}", *watched]

    async def wait_ready(self) -> None:
        """The master has two replicas in step, and each sentinel knows of both and of the others."""
        everyone = [*self.servers, *self.helpers]
        await wait_until(everyone, "Redis does not serve", _START_S, self._ready)

    async def leader(self, queue: str) -> Server:
        """The master, as a sentinel knows it; without them it never changes."""
        if not self.helpers:
            return self.servers[0]
        found = await trio.to_thread.run_sync(self._known_master)
        if found is None:
            raise BenchmarkWrong("no sentinel knows a master")
        return found

    async def wait_whole(self, queue: str) -> None:
        """As ``wait_ready``: one that was master comes back as such until a sentinel tells it otherwise."""
        await self.wait_ready()

    def _ready(self) -> bool:
        master = self._known_master() if self.helpers else self.servers[0]
        if master is None:
            return False
        info = fields(ask(master.port, "INFO", "replication"))
        replicas = [value for name, value in info.items() if name.startswith("slave") and "state=" in value]
        if info.get("role") != "master" or len(replicas) != NODES - 1:
            return False
        if not all("state=online" in each for each in replicas):
            return False
        return all(self._sees_all(sentinel) for sentinel in self.helpers)

    def _sees_all(self, sentinel: Server) -> bool:
        info = fields(ask(sentinel.port, "INFO", "sentinel")).get("master0", "")
        return "status=ok" in info and f"slaves={NODES - 1}" in info and f"sentinels={NODES}" in info

    def _known_master(self) -> Server | None:
        for sentinel in self.helpers:
            words = ask(sentinel.port, "SENTINEL", "get-master-addr-by-name", _MASTER).split("\r\n")
            for server in self.servers:
                if str(server.port) in words:
                    return server
        return None


def fields(info: str) -> dict[str, str]:
    """The ``name:value`` lines of an INFO answer."""
    parts = (line.partition(":") for line in info.splitlines())
    return {name: value for name, colon, value in parts if colon}


def ask(port: int, *words: str) -> str:
    """An answer as it comes on the wire, short ones only; empty where there is none."""
    text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
            link.sendall(text.encode())
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65_536), b"")).decode()
    except OSError:
        return ""
