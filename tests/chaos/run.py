"""One run: found the cluster, let programs and faults loose, heal everything, drain, judge.

One rule: whatever happens in between, at the end the network is whole, all nodes run, and after that no
process is left.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

import haqactor
from haqactor.cli.health import wait_confirming
from haqactor.cli.launcher import PORT_STEP, LocalCluster, free_base_port
from haqactor.runtime.real import environment
from tests.chaos import checks, workload
from tests.chaos.history import History
from tests.chaos.hosts import Host, Observer
from tests.chaos.namespaces import NOTHING, Allowed, Disk
from tests.chaos.nemesis import Nemesis, Policy, Span
from tests.chaos.plan import KINDS, Fault, draw
from tests.chaos.processes import NodeProcess, lay_out
from tests.chaos.relay import Relay
from tests.chaos.routed_network import routed
from tests.chaos.topology import Topology, free_ports
from tests.chaos.topology import lay_out as topology_of

LIMITS: Final[dict[str, float | int]] = {
    "segment_bytes": 256 * 1024,
    "snapshot_entries": 200,
    "snapshot_bytes": 64 * 1024,
    "tail_cache_bytes": 64 * 1024,
    "message_bytes_max": 65_536,
    "reserve_messages": 64,
    "grace": 1.0,
}
GROUPS: Final = 3
START_S: Final = 60.0
DRAIN_S: Final = 60.0
DISK_BYTES: Final = 96 * 1024 * 1024
CALM_AFTER_S: Final = 6.0
"""How long after a fault nothing of it is felt any more: more than a lease."""
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """``kinds``: faults that may be drawn. ``plan``: instead of the seed's. ``bugs``: planted in every
    node, to show that they are found."""

    seed: int
    seconds: float
    nodes: int = 3
    kinds: tuple[str, ...] = KINDS
    policy: Policy = field(default_factory=Policy)
    plan: tuple[Fault, ...] | None = None
    bugs: tuple[str, ...] = ()
    allowed: Allowed = NOTHING

    def drawn(self) -> list[Fault]:
        """What is going to happen."""
        if self.plan is not None:
            return list(self.plan)
        names = [f"n{number}" for number in range(self.nodes)]
        return draw(self.seed, self.seconds, names, workload.HOSTS, self.kinds)


@dataclass(slots=True)
class Result:
    """``broken``: {promise: the sentences that tell of breaks}; empty lists where it held. ``spans``: what
    happened, for the timeline."""

    settings: Settings
    plan: list[Fault]
    history: History
    broken: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    spans: list[Span] = field(default_factory=list[Span])
    notes: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    fired: dict[str, int] = field(default_factory=dict[str, int])
    faults_until_s: float = 0.0
    drained_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Every promise held."""
        return not any(self.broken.values())


class Run:
    """``directory``: empty or not there yet; it gets the nodes' directories."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self.directory = directory
        self.began_s = 0.0
        self.history = History(self.now)
        self.result = Result(settings, settings.drawn(), self.history)
        self.nodes: dict[str, NodeProcess] = {}
        self.hosts: dict[str, Host] = {}
        self.failures: list[str] = []
        self.phase = "founding"
        self._states: dict[str, Span] = {}

    def now(self) -> float:
        """Seconds since the programs began."""
        return trio.current_time() - self.began_s

    def _changed(self, node: NodeProcess) -> None:
        """A node's state goes into the timeline, and the relay refuses for one that is not there."""
        known = self._states.pop(node.name, None)
        if known is not None:
            known.to_s = self.now()
        if node.state != "up":
            span = self._states[node.name] = Span(node.name, node.state, self.now(), self.now())
            self.result.spans.append(span)
        self.relay.node_is(node.name, up=node.state != "dead")

    async def run(self) -> Result:
        """All of it."""
        self.began_s = trio.current_time()
        number = self.settings.nodes
        base = await free_base_port(number)
        more = {"groups": GROUPS, "limits": LIMITS}
        disks = self._disks() if self.settings.allowed.mounts else {}
        cluster = LocalCluster.found(self.directory / "cluster", number, base, more)
        topology = self._topology(base)
        self.relay = Relay(topology)
        self.nodes = lay_out(cluster, topology, self.settings.bugs, self._changed)
        try:
            for name, disk in disks.items():
                self.nodes[name].disk = disk
            async with trio.open_nursery() as processes:
                await processes.start(self.relay.run)
                await self._work(cluster.url, processes)
                processes.cancel_scope.cancel()
        finally:
            for disk in disks.values():
                disk.unmount()
        self.result.broken["nothing fails on its own"] = self._own_failures()
        return self.result

    def _disks(self) -> dict[str, Disk]:
        """A small one for each node; its log lies beside it, so that a node can always say why it ends."""
        found: dict[str, Disk] = {}
        for number in range(self.settings.nodes):
            log = self.directory / f"n{number}.log"
            log.touch()
            disk = found[f"n{number}"] = Disk.mount(self.directory / "cluster" / f"n{number}", DISK_BYTES)
            (disk.path / "log").symlink_to(log)
        return found

    def _topology(self, base: int) -> Topology:
        names = {f"n{number}": base + PORT_STEP * number for number in range(self.settings.nodes)}
        taken = range(base, base + PORT_STEP * len(names))
        return topology_of(names, (*workload.HOSTS, workload.OBSERVER), free_ports(taken))

    async def _work(self, url: str, processes: trio.Nursery) -> None:
        with trio.fail_after(START_S):
            async with trio.open_nursery() as nursery:
                for node in self.nodes.values():
                    nursery.start_soon(node.start, processes)
            await wait_confirming(url)
        world = routed(environment(sync="thread"), self.relay.topology.routes(workload.OBSERVER))
        async with haqactor.connect(url, environment=world) as broker:
            for queue in workload.QUEUES:
                await broker.declare(queue, lease=workload.LEASE_S, backoff=workload.BACKOFF_S)
            observer = Observer(broker, workload.QUEUES)
            self.hosts = workload.hosts(self.history, url, self.relay, self.settings.seed)
            self.began_s = trio.current_time()
            self.result.spans.clear()
            async with trio.open_nursery() as clients:
                for host in self.hosts.values():
                    clients.start_soon(host.run)
                await self._disturb(observer, processes)
                drained = await self._drain(observer)
                for host in self.hosts.values():
                    host.stop()
            stored = await self._stored(observer) if drained else {}
        self.result.broken.update(
            checks.judge(
                self.history.records,
                drained=drained,
                stored=stored,
                alone=workload.ALONE,
                calm=self._calm(),
            )
        )
        await self._stop_nodes()

    async def _disturb(self, observer: Observer, processes: trio.Nursery) -> None:
        self.phase = "faults"
        nemesis = Nemesis(
            self.nodes,
            self.relay,
            self.now,
            observer.leader,
            self._crash_host,
            self.settings.policy,
            self.settings.allowed,
        )
        self.result.spans, shared = nemesis.spans, self.result.spans
        nemesis.spans.extend(shared)
        self.result.notes, self.result.fired = nemesis.notes, nemesis.fired
        try:
            await nemesis.follow(self.result.plan, processes)
            await trio.sleep(max(0.0, self.settings.seconds - self.now()))
        finally:
            self.failures.extend(nemesis.failures)
        self.result.faults_until_s = self.now()
        self.phase = "healing"
        await nemesis.heal()

    async def _crash_host(self, name: str, back: trio.Event) -> None:
        await self.hosts[name].lose_power(back)

    async def _drain(self, observer: Observer) -> bool:
        """Producers come to an end and queues get empty, or that is a failure."""
        self.phase = "draining"
        for host in self.hosts.values():
            host.settle()
        told: object = "nobody looked"
        with trio.move_on_after(DRAIN_S):
            while True:
                producing = [host.name for host in self.hosts.values() if host.producing]
                try:
                    told = producing or await observer.left()
                except haqactor.Error as error:
                    told = repr(error)
                if not told:
                    self.result.drained_s = self.now()
                    await trio.sleep(workload.LEASE_S + 1.0)  # what was acknowledged would come again by now
                    return True
                await trio.sleep(_POLL_S)
        what = "producers do not come to an end on" if isinstance(told, list) else "not drained:"
        self.failures.append(f"{DRAIN_S:g} s after the last fault: {what} {told}")
        for record in self.history.records:
            if record.ended_s is None:
                self.failures.append(f"hangs: {record}")
        return False

    async def _stored(self, observer: Observer) -> dict[str, int]:
        with trio.move_on_after(DRAIN_S):
            try:
                return await observer.stored()
            except haqactor.Error as error:
                self.failures.append(f"the queues cannot be looked at: {error!r}")
        return {}

    async def _stop_nodes(self) -> None:
        self.phase = "stopping"

        async def stop(node: NodeProcess) -> None:
            if not await node.stop():
                self.failures.append(f"{node.name} did not stop in order")
            elif node.last_exit != 0:
                self.failures.append(f"{node.name} stopped with {node.last_exit}")

        async with trio.open_nursery() as nursery:
            for node in self.nodes.values():
                nursery.start_soon(stop, node)

    def _calm(self) -> list[tuple[float, float]]:
        """From when to when nothing failed, and nothing had failed shortly before."""
        return calm_windows(self.result.spans, self.now())

    def _own_failures(self) -> list[str]:
        """Of nodes and of the run."""
        found = list(self.failures)
        for node in self.nodes.values():
            found.extend(node.failures)
            text = node.log.read_text(encoding="utf-8", errors="replace")
            for word in ("Traceback", "invariant_violation", "InvariantViolation"):
                if word in text:
                    at = text.index(word)
                    found.append(f"{node.name} logged: {text[max(0, at - 1000) : at + 3000]}")
                    break
        return found


def calm_windows(spans: Iterable[Span], until_s: float) -> list[tuple[float, float]]:
    """The gaps between spans, each from ``CALM_AFTER_S`` behind the end of the one before it."""
    found: list[tuple[float, float]] = []
    start = 0.0
    for span in sorted(spans, key=lambda span: span.from_s):
        if span.from_s > start:
            found.append((start, span.from_s))
        start = max(start, span.to_s + CALM_AFTER_S)
    if until_s > start:
        found.append((start, until_s))
    return found


Watching = Callable[[Run], None]


async def watched(run: Run, look: Watching, every_s: float = 0.2) -> Result:
    """The run, while ``look`` is called now and then."""
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            while True:
                look(run)
                await trio.sleep(every_s)

        nursery.start_soon(watch)
        result = await run.run()
        nursery.cancel_scope.cancel()
    return result
