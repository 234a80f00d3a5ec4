"""A cluster of real processes on loopback: start it, look at it, stop it, kill a node and bring it back.

One rule: nothing is assumed about a process; whether it lives, listens or confirms is found out by asking.

``DIR/cluster.json`` lists the nodes and their addresses; ``DIR/n0`` holds node 0's ``data``, ``log``,
``pid`` and ``node.toml``.
"""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import trio

from haqactor.cli.groups import leaves
from haqactor.cli.process import Process, resident_bytes, start_detached
from haqactor.env import NetworkError
from haqactor.errors import Conflict, Error, InvalidArgument, NotFound
from haqactor.runtime.real import RealNetwork

SCHEMA: Final = "haq.cluster/1"
PORT_STEP: Final = 10
_PORTS_EACH: Final = 4  # clients, peers, gossip, HTTP
_LOG_LINES: Final = 15
_NODES_MAX: Final = 99


class LaunchFailed(Error):
    """A node did not start, or the cluster came to no quorum in time. The text ends with the node's last log
    lines.
    """

    code = "launch_failed"


@dataclass(frozen=True, slots=True)
class LocalNode:
    """One node's place: its number, the address where it listens for clients, and its directory."""

    number: int
    listen: str
    directory: Path

    @property
    def log(self) -> Path:
        """Its log, of all its runs."""
        return self.directory / "log"

    @property
    def config(self) -> Path:
        """Its settings."""
        return self.directory / "node.toml"

    @property
    def data(self) -> Path:
        """Its journal and identity."""
        return self.directory / "data"

    def process(self) -> Process | None:
        """The process that runs it, if one does."""
        try:
            pid, started = (self.directory / "pid").read_text(encoding="ascii").split()
        except (FileNotFoundError, ValueError):
            return None
        found = Process(int(pid), int(started))
        return found if found.alive else None

    def spawn(self) -> Process:
        """Start it. Raises Conflict if it runs."""
        running = self.process()
        if running is not None:
            raise Conflict(f"node {self.number} runs already (pid {running.pid})")
        process = start_detached(["-m", "haqactor", "node", "run", "--config", str(self.config)], self.log)
        _write(self.directory / "pid", f"{process.pid} {process.started}\n")
        return process

    def last_log_lines(self) -> str:
        """The end of its log, for an error's text."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-_LOG_LINES:]) or "(the log is empty)"

    async def wait_listening(self, process: Process, seconds: float = 15.0) -> None:
        """Until its port accepts. Raises LaunchFailed if it ends before, or after ``seconds``."""
        network = RealNetwork()
        with trio.move_on_after(seconds):
            while process.alive:
                try:
                    stream = await network.dial(self.listen)
                except NetworkError:
                    await trio.sleep(0.01)
                    continue
                await stream.aclose()
                return
        process.wait(0)
        what = "does not listen" if process.alive else "ended at once"
        raise LaunchFailed(f"node {self.number} {what}; the end of {self.log}:\n{self.last_log_lines()}")


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """A cluster's directory and nodes."""

    directory: Path
    nodes: tuple[LocalNode, ...]

    @property
    def url(self) -> str:
        """For ``haqactor.connect``: every node."""
        return "haq://" + ",".join(node.listen for node in self.nodes)

    def node(self, number: int) -> LocalNode:
        """Node ``number``. Raises NotFound."""
        if not 0 <= number < len(self.nodes):
            raise NotFound(
                f"there is no node {number}: the cluster in {self.directory} has 0 to {len(self.nodes) - 1}"
            )
        return self.nodes[number]

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "LocalCluster":
        """The cluster of a directory. Raises NotFound."""
        place = Path(directory).resolve()
        file = place / "cluster.json"
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(
                f"no cluster in {place}: start one with haq cluster start --dir {directory}"
            ) from None
        if content.get("schema") != SCHEMA:
            raise Conflict(f"{file} is not a cluster file of this version ({SCHEMA})")
        return cls(
            place,
            tuple(
                LocalNode(row["node"], row["listen"], place / f"n{row['node']}") for row in content["nodes"]
            ),
        )

    @classmethod
    def found(
        cls,
        directory: str | os.PathLike[str],
        nodes: int = 3,
        base_port: int = 7420,
        settings: dict[str, Any] | None = None,
    ) -> "LocalCluster":
        """Lay out a new cluster (nothing is started). ``settings``: more of ``NodeConfig``, the same for
        each node.
        Raises Conflict if the directory holds one, InvalidArgument."""
        if not 1 <= nodes <= _NODES_MAX:
            raise InvalidArgument(f"a local cluster has 1 to {_NODES_MAX} nodes, not {nodes}")
        if not 1 <= base_port <= 65_535 - PORT_STEP * (nodes - 1) - _PORTS_EACH:
            raise InvalidArgument(
                f"base port {base_port} leaves no room for {nodes} nodes of {_PORTS_EACH} ports each"
            )
        place = Path(directory).resolve()
        if (place / "cluster.json").exists():
            raise Conflict(f"{place} holds a cluster already")
        made = tuple(
            LocalNode(number, f"127.0.0.1:{base_port + PORT_STEP * number}", place / f"n{number}")
            for number in range(nodes)
        )
        cluster = cls(place, made)
        for node in made:
            node.directory.mkdir(parents=True, exist_ok=True)
            _write(node.config, _toml(node, [each.listen for each in made], settings or {}))
        rows = [{"node": node.number, "listen": node.listen, "url": f"haq://{node.listen}"} for node in made]
        _write(
            place / "cluster.json",
            json.dumps({"schema": SCHEMA, "url": cluster.url, "nodes": rows}, indent=2) + "\n",
        )
        return cluster

    async def start(self, seconds: float = 30.0) -> list[int]:
        """Start every node that is down and wait until the cluster can confirm. Returns the numbers of those
        started.
        Raises LaunchFailed after ``seconds``; what this call started is then stopped again."""
        started: dict[int, Process] = {}
        try:
            for node in self.nodes:
                if node.process() is None:
                    started[node.number] = node.spawn()
            async with trio.open_nursery() as nursery:
                for number, process in started.items():
                    nursery.start_soon(self.nodes[number].wait_listening, process, seconds)
            await self.wait_ready(seconds)
        except BaseException as error:
            for process in started.values():
                process.send(signal.SIGKILL)
            for process in started.values():
                process.wait(5)
            failures = [each for each in leaves(error) if isinstance(each, LaunchFailed)]
            if failures:
                raise failures[0] from None
            raise
        return list(started)

    async def wait_ready(self, seconds: float = 30.0) -> None:
        """Until the cluster confirms: every group has a leader and group 0 answers a read that a majority
        covers.
        """
        from haqactor.cli.health import wait_confirming

        with trio.move_on_after(seconds) as scope:
            await wait_confirming(self.url)
        if scope.cancelled_caught:
            worst = next((node for node in self.nodes if node.process() is None), self.nodes[0])
            what = f"the cluster confirms nothing after {seconds:g} s"
            raise LaunchFailed(f"{what}; the end of {worst.log}:\n{worst.last_log_lines()}")

    def stop(self, seconds: float = 15.0) -> dict[int, str]:
        """SIGTERM to all, wait, SIGKILL what is left after ``seconds``. Returns how each that ran ended:
        ``stopped`` or ``killed``.
        """
        running = {node.number: process for node in self.nodes if (process := node.process()) is not None}
        for process in running.values():
            process.send(signal.SIGTERM)
        ended: dict[int, str] = {}
        for number, process in running.items():
            ended[number] = "stopped" if process.wait(seconds) else "killed"
        for number, process in running.items():
            if ended[number] == "killed":
                process.send(signal.SIGKILL)
                process.wait(5)
        return ended

    def kill(self, number: int, signal_number: int = signal.SIGKILL) -> int:
        """Signal one node; returns its pid. Waits for its end where the signal is SIGKILL. Raises Conflict
        if it is down.
        """
        process = self.node(number).process()
        if process is None or not process.send(signal_number):
            raise Conflict(f"node {number} does not run")
        if signal_number == signal.SIGKILL:
            process.wait(5)
        return process.pid

    async def restart(self, number: int, seconds: float = 15.0) -> Process:
        """Stop one node if it runs, start it, return once it listens."""
        node = self.node(number)
        running = node.process()
        if running is not None:
            running.send(signal.SIGTERM)
            if not await running.wait_ended(seconds):
                running.send(signal.SIGKILL)
                running.wait(5)
        process = node.spawn()
        await node.wait_listening(process, seconds)
        return process

    def resident_bytes(self) -> list[int]:
        """The memory of each node's process; 0 where it is down."""
        return [
            resident_bytes(process.pid) if (process := node.process()) is not None else 0
            for node in self.nodes
        ]


def _toml(node: LocalNode, bootstrap: list[str], settings: dict[str, Any]) -> str:
    """A node's settings file; JSON's strings, numbers, lists and booleans are TOML's as well."""
    values: dict[str, Any] = {
        "data_dir": str(node.data),
        "listen": node.listen,
        "bootstrap": bootstrap,
        **settings,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    for name, value in values.items():
        if isinstance(value, dict):
            table = cast("dict[str, Any]", value)
            lines += ["", f"[{name}]", *(f"{key} = {json.dumps(setting)}" for key, setting in table.items())]
    return f"# Node {node.number}, written by haq cluster start.\n" + "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


async def free_base_port(nodes: int) -> int:
    """A base port whose nodes' ports are all free now, below the range that outgoing connections use."""
    step = PORT_STEP * nodes
    slots = (30_000 - 10_000) // step
    for attempt in range(slots):
        base = 10_000 + (os.getpid() + attempt) % slots * step
        if await _all_free(base, nodes):
            return base
    raise LaunchFailed(f"no {nodes} x {_PORTS_EACH} free ports between 10000 and 30000")


async def _all_free(base: int, nodes: int) -> bool:
    network = RealNetwork()
    for port in [base + PORT_STEP * node + offset for node in range(nodes) for offset in range(_PORTS_EACH)]:
        try:
            listener = await network.listen(f"127.0.0.1:{port}")
        except NetworkError:
            return False
        await listener.aclose()
    return True
