"""The nodes' processes: started, signalled, waited for, and asked why they ended.

One rule: whoever ends a node says so before; any other end is kept as a failure with the log's last lines.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from haqactor.cli.launcher import LocalCluster, LocalNode
from haqactor.env import NetworkError
from haqactor.runtime.real import RealNetwork
from tests.chaos.namespaces import Disk
from tests.chaos.topology import Topology

ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 30.0
STOP_S: Final = 30.0
LISTEN_POLL_S: Final = 0.01
LOG_SPARE: Final = 16_384


class NodeProcess:
    """One node. ``state``: ``dead``, ``starting``, ``up``, ``paused``. ``excused``: an end now is no
    failure (its data is damaged, its disk full, it was told to stop)."""

    def __init__(self, place: LocalNode, told: Path, changed: Callable[["NodeProcess"], None]) -> None:
        self.place = place
        self.name = f"n{place.number}"
        self.log = place.log.resolve()
        self.disk: Disk | None = None
        self.state = "dead"
        self.excused = False
        self.failures: list[str] = []
        self.last_exit: int | None = None
        self.starts = 0
        self._told = told
        self._changed = changed
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = trio.Event()
        self._ended.set()

    @property
    def pid(self) -> int | None:
        """None where none runs."""
        return None if self._process is None else self._process.pid

    def _becomes(self, state: str) -> None:
        self.state = state
        self._changed(self)

    async def start(self, nursery: trio.Nursery, *, excused: bool = False) -> bool:
        """Start it, and return once it listens; False where it ended before or does not in ``START_S``."""
        if self._process is not None:
            raise RuntimeError(f"{self.name} runs already")
        self.excused, self.last_exit = excused, None
        self.starts += 1
        self._ended = trio.Event()
        variables = {name: value for name, value in os.environ.items() if not name.startswith("HAQ_")}
        command = [
            sys.executable,
            "-m",
            "tests.chaos.node_process",
            str(self._told),
            str(self.place.config),
        ]
        with self.log.open("ab") as log:
            # On this thread, which lives as long as the run: the kernel ends the node with its parent thread.
            process = self._process = subprocess.Popen(  # noqa: ASYNC220 - see above
                command,
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        nursery.start_soon(self._watch, process)
        self._becomes("starting")
        network = RealNetwork()
        with trio.move_on_after(START_S):
            while self._process is process:
                try:
                    stream = await network.dial(self.place.listen)
                except NetworkError:
                    await trio.sleep(LISTEN_POLL_S)
                    continue
                await stream.aclose()
                if self.state == "starting":
                    self._becomes("up")
                return True
        return False

    async def _watch(self, process: subprocess.Popen[bytes]) -> None:
        handle = os.pidfd_open(process.pid)
        try:
            await trio.lowlevel.wait_readable(handle)
        finally:  # also when all is cancelled: nothing may live on
            os.close(handle)
            process.kill()
            code = process.wait()
        self._process = None
        self.last_exit = code
        if not self.excused:
            self.failures.append(
                f"{self.name} ended by itself with {code}; its log ends:\n{self.place.last_log_lines()}"
            )
        self._becomes("dead")
        self._ended.set()

    def _send(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL, also to a paused one; returns once it is gone."""
        self.excused = True
        self._send(signal.SIGKILL)
        await self._ended.wait()

    async def stop(self) -> bool:
        """SIGTERM; False where it did not end in ``STOP_S`` and was killed."""
        self.excused = True
        self._send(signal.SIGTERM)
        with trio.move_on_after(STOP_S):
            await self._ended.wait()
            return True
        await self.kill()
        return False

    async def wait_ended(self, seconds: float) -> bool:
        """Has it ended by then?"""
        with trio.move_on_after(seconds):
            await self._ended.wait()
        return self._process is None

    def pause(self) -> None:
        """SIGSTOP."""
        self._send(signal.SIGSTOP)
        self._becomes("paused")

    def resume(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)
        if self.state == "paused":
            self._becomes("up")

    def fill_disk(self, spare_bytes: int) -> None:
        """Its disk has this room left. Without a disk of its own no file of it may be written beyond what its
        log has and ``LOG_SPARE`` bytes: writes to the journal fail as those to a full disk do."""
        if self.disk is not None:
            self.disk.fill(spare_bytes)
        else:
            self._limit_files(limited=True)

    def relieve_disk(self) -> None:
        """There is room again."""
        if self.disk is not None:
            self.disk.relieve()
        else:
            self._limit_files(limited=False)

    def _limit_files(self, *, limited: bool) -> None:
        if self._process is not None and self._process.poll() is None:
            hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)[1]
            soft = self.log.stat().st_size + LOG_SPARE if limited else hard
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def lay_out(
    cluster: LocalCluster, topology: Topology, bugs: Sequence[str], changed: Callable[[NodeProcess], None]
) -> dict[str, NodeProcess]:
    """``bugs``: planted in every node. Nothing is started."""
    found: dict[str, NodeProcess] = {}
    for place in cluster.nodes:
        told = {"routes": topology.routes(f"n{place.number}"), "bugs": list(bugs)}
        file = place.directory / "place.json"
        file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        node = NodeProcess(place, file, changed)
        found[node.name] = node
    return found
