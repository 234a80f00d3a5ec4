"""RabbitMQ with quorum queues: three nodes, every queue with three members, fsync as it comes.

One rule: nothing of the settings is tuned for or against it, but that everything stays on loopback; plugins
that nobody needs here are off.
"""

import secrets
import shutil
import socket
import struct
from pathlib import Path
from typing import Final

import trio

from benchmarks.peers import places
from benchmarks.peers.cluster import NODES, ports_from, wait_until
from benchmarks.peers.processes import Server, free_ports
from benchmarks.result import BenchmarkWrong

_START_S: Final = 180.0
_GREETING: Final = b"AMQP\0\0\x09\x01"
_CREDIT: Final = 2_000  # the most that its documentation lets a quorum queue's consumer have


def settings(port: int) -> str:
    """``rabbitmq.conf`` of a node that listens on ``port``."""
    nodes = "".join(
        f"cluster_formation.classic_config.nodes.{number + 1} = {node_name(number)}\n"
        for number in range(NODES)
    )
    return (
        f"listeners.tcp.1 = 127.0.0.1:{port}\n"
        "cluster_formation.peer_discovery_backend = classic_config\n"
        f"{nodes}"
        "log.file.level = warning\n"
        "log.console = false\n"
    )


def node_name(number: int) -> str:
    """Its name among the three."""
    return f"rabbit{number}@localhost"


class RabbitMQ:
    """A cluster and the port mapper that its nodes find each other by."""

    def __init__(self, directory: Path) -> None:
        sbin = places.rabbitmq_sbin()
        epmd = shutil.which("epmd")
        assert sbin is not None
        assert epmd is not None
        self._sbin = sbin
        mapper, *ports = free_ports(1 + 2 * NODES)
        cookie = secrets.token_hex(16)
        self.servers: list[Server] = []
        for number in range(NODES):
            port, distribution = ports[2 * number], ports[2 * number + 1]
            place = directory / f"n{number}"
            environment = _lay_out(place, number, port, cookie, distribution, mapper)
            self.servers.append(
                Server(number, port, place, [str(sbin / "rabbitmq-server"), "-noinput"], environment)
            )
        place = directory / "epmd"
        place.mkdir()
        self.helpers = [Server(0, mapper, place, [epmd, "-port", str(mapper), "-address", "127.0.0.1"])]

    def command(self, mode: str, first: int = 0) -> list[str]:
        """Ours, in C. A queue is led by the node where it was declared."""
        ports = ports_from(self.servers, first)
        return [str(places.client("rabbitmq")), mode, f"ports={ports}", f"credit={_CREDIT}"]

    async def wait_ready(self) -> None:
        """A node greets only once it has joined the others."""
        await wait_until(
            self.servers,
            "RabbitMQ does not serve",
            _START_S,
            lambda: all(_greets(server.port) for server in self.servers),
        )

    async def wait_whole(self, queue: str) -> None:
        """A node that serves has its members of the queues; how far they are it does not tell."""
        await self.wait_ready()

    async def leader(self, queue: str) -> Server:
        """Asked with its own tool: seconds, but before a kill, not after."""
        for name, leader, members in await self._rows("name", "leader", "members"):
            if name == queue:
                if members.count("rabbit") != NODES:
                    raise BenchmarkWrong(f"{queue} has not {NODES} members: {members}")
                return next(server for server in self.servers if node_name(server.number) == leader)
        raise BenchmarkWrong(f"RabbitMQ knows no leader of {queue}")

    async def _rows(self, *columns: str) -> list[tuple[str, ...]]:
        asked = next(server for server in self.servers if server.alive)
        command = [str(self._sbin / "rabbitmqctl"), "--quiet", "list_queues", "--no-table-headers", *columns]
        done = await trio.run_process(
            command, env=asked.environment, capture_stdout=True, capture_stderr=True, check=False
        )
        if done.returncode != 0:
            raise BenchmarkWrong(f"rabbitmqctl: {(done.stderr or done.stdout).decode()}")
        return [tuple(line.split("\t")) for line in done.stdout.decode().splitlines()]


def _lay_out(
    place: Path, number: int, port: int, cookie: str, distribution: int, mapper: int
) -> dict[str, str]:
    """Writes a node's settings; returns its environment, and that of its tools."""
    place.mkdir()
    (place / "rabbitmq.conf").write_text(settings(port))
    (place / "env.conf").write_text("")  # instead of the machine's own
    (place / "plugins").write_text("[].\n")
    secret = place / ".erlang.cookie"
    secret.write_text(cookie)
    secret.chmod(0o400)
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(place),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": node_name(number),
        "RABBITMQ_CONF_ENV_FILE": str(place / "env.conf"),
        "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(place / "data"),
        "RABBITMQ_LOG_BASE": str(place / "logs"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(place / "config"),
        "RABBITMQ_ALLOW_INPUT": "1",  # the script becomes the server, instead of waiting for it
        "RABBITMQ_PID_FILE": str(place / "pid"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
        ),
    }


def _greets(port: int) -> bool:
    """Whether a node answers the protocol's first bytes with its ``connection.start``."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
            link.sendall(_GREETING)
            answer = link.recv(11, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 11 and struct.unpack(">BHIHH", answer)[3:] == (10, 10)
