"""A whole cluster on simulated hosts: the real node program and the real client, nothing of them replaced but
the Environment.

One rule: what a node is told at its start is all that differs from production; it knows nothing of the world.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from structlog.typing import FilteringBoundLogger

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from haqactor.client.transport import NetworkTransport
from haqactor.config import Limits, NodeConfig
from haqactor.env import Environment
from haqactor.errors import NoQuorum
from haqactor.machine.versions import Versions
from haqactor.nodes.node import Node
from haqactor.sim.disk.disk import SimDisk
from haqactor.sim.disk.fates import Fate, Survival
from haqactor.sim.disk.latency import Latency
from haqactor.sim.disk.medium import Medium
from haqactor.sim.environment import Marks, SimProbe, environment
from haqactor.sim.host import Host
from haqactor.sim.network.fabric import Fabric
from haqactor.sim.network.links import LinkSettings
from haqactor.sim.network.network import SimNetwork
from haqactor.sim.releases import OLDER
from haqactor.sim.world import NS, World

PORT: Final = 7420
DIRECTORY: Final = "/data"
BEGAN_NS: Final = 1_750_000_000 * NS
"""What every wall clock shows when a world begins, give or take its own error."""

TINY: Final = Limits(
    message_bytes_max=64 * 1024,
    segment_bytes=4096,
    compress_bytes_min=256,
    snapshot_entries=20,
    snapshot_bytes=256 * 1024,
    tail_cache_bytes=64 * 1024,
    reserve_messages=32,
    producer_sessions_max=1000,
    uncommitted_bytes_max=4096,
    catch_up_bytes_s=1024 * 1024,
    mailbox_batches_max=32,
    connection_buffer_bytes=256,
    grace=1.0,
    disk_slow=0.3,
    actor_stall=3.0,
)
"""Small bounds by which rare branches become common ones."""

Body = Callable[[Broker], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a cluster is made. ``bugs``: planted ones that are switched on; ``buggify``: see ``SimProbe``."""

    nodes: int = 3
    groups: int = 4
    limits: Limits = TINY
    latency: Latency = field(default_factory=Latency)
    links: LinkSettings = field(default_factory=LinkSettings)
    bugs: tuple[str, ...] = ()
    buggify: float = 0.0


class NodeLog:
    """A node's log: lines go into the trace, where ``replay`` shows them."""

    __slots__ = ("_bound", "_host")

    def __init__(self, host: Host, bound: dict[str, Any] | None = None) -> None:
        self._host = host
        self._bound = bound or {}

    def bind(self, **more: Any) -> "NodeLog":
        """The same log with more on every line."""
        return NodeLog(self._host, {**self._bound, **more})

    def _line(self, level: str, event: str, more: dict[str, Any]) -> None:
        text = " ".join(f"{name}={value!r:.200}" for name, value in {**self._bound, **more}.items())
        self._host.world.trace.add("log", self._host.name, level, event, text)

    def debug(self, event: str, **more: Any) -> None:
        """Left out: it is much, and says nothing that the trace does not say."""

    def info(self, event: str, **more: Any) -> None:
        """A line."""
        self._line("info", event, more)

    def warning(self, event: str, **more: Any) -> None:
        """A line."""
        self._line("warning", event, more)

    def error(self, event: str, **more: Any) -> None:
        """A line."""
        self._line("error", event, more)

    def exception(self, event: str, **more: Any) -> None:
        """A line; the error itself ends the node or is counted."""
        self._line("error", event, more)


class SimNode:
    """One member: its host, its disk, and the program that runs there now. ``release``: which one is begun at
    its next start; ``ran``: those that were, each start one."""

    def __init__(self, cluster: "SimCluster", number: int) -> None:
        world = cluster.world
        self.number = number
        self.address = f"n{number}:{PORT}"
        skew = world.random("skew", number)
        self.host = world.host(
            f"n{number}", offset_ns=skew.randrange(1000) * NS, wall_offset_ns=BEGAN_NS + skew.randrange(NS)
        )
        self.medium = Medium(world.seed, self.host.name)
        self.server: Node | None = None
        self.release = OLDER
        self.ran: list[Versions] = []
        self._cluster = cluster

    def start(self) -> None:
        """Switch it on."""
        self.host.start(self._main)

    def crash(self, survival: Survival | None = None) -> dict[Fate, int]:
        """The power goes: what its disk had not synced gets its fate (``survival``: how they hang together).
        How many had which."""
        if not self.host.alive:
            return {}
        self.host.crash()
        self.server = None
        return self.medium.crash(survival=survival)

    def kill(self) -> None:
        """Its program goes, and nothing else: what it wrote stays in the cache of its disk."""
        if self.host.alive:
            self.host.crash()
            self.server = None

    def stop(self) -> None:
        """Ask it to drain and end, as SIGTERM does."""
        server = self.server
        if server is not None:
            self.host.enter(server.stop)

    @property
    def probe(self) -> SimProbe | None:
        """Of its program, while one runs."""
        probe = self.server.env.probe if self.server is not None and self.host.alive else None
        return probe if isinstance(probe, SimProbe) else None

    async def _main(self) -> None:
        cluster = self._cluster
        config = cluster.settings(self.address, cluster.addresses)
        log = cast(FilteringBoundLogger, NodeLog(self.host))
        env = cluster.environment(self.host, self.medium)
        self.ran.append(self.release)
        server = self.server = Node(config, env, log, self.release)
        for tell in cluster.on_start:
            tell(self, server)
        try:
            await server.run()
        finally:
            self.server = None


class SimCluster:
    """The members of a cluster and the network between all hosts. ``on_start``: told of every node program
    before it runs."""

    def __init__(self, world: World, shape: Shape | None = None) -> None:
        self.world = world
        self.shape = shape or Shape()
        self.fabric = Fabric(world, self.shape.links)
        self.marks = Marks()
        self.on_start: list[Callable[[SimNode, Node], None]] = []
        self.addresses = [f"n{number}:{PORT}" for number in range(self.shape.nodes)]
        self.nodes = [SimNode(self, number) for number in range(self.shape.nodes)]
        self._mediums: dict[str, Medium] = {}

    def start(self) -> None:
        """Switch all nodes on."""
        for node in self.nodes:
            node.start()

    def settings(self, address: str, bootstrap: list[str], seeds: Sequence[str] = ()) -> NodeConfig:
        """What a node is told at its start."""
        shape = self.shape
        return NodeConfig(
            data_dir=DIRECTORY,
            listen=address,
            bootstrap=bootstrap,
            seeds=tuple(seeds),
            groups=shape.groups,
            insecure=True,
            limits=shape.limits,
        )

    def stranger(self, name: str = "x0") -> Host:
        """A cluster of one of its own, whose seeds are the nodes of this one."""
        host = self.world.host(name, wall_offset_ns=BEGAN_NS)
        medium, address = Medium(self.world.seed, name), f"{name}:{PORT}"
        config = self.settings(address, [address], self.addresses)

        async def main() -> None:
            log = cast(FilteringBoundLogger, NodeLog(host))
            await Node(config, self.environment(host, medium), log, OLDER).run()

        host.start(main)
        return host

    def environment(self, host: Host, medium: Medium) -> Environment:
        """A host's twins."""
        world = self.world
        disk = SimDisk(
            medium, host, world.random("disk delays", host.name, host.incarnation), self.shape.latency
        )
        return environment(
            host,
            SimNetwork(self.fabric, host),
            disk,
            self.marks,
            bugs=self.shape.bugs,
            buggify=self.shape.buggify,
        )

    def client(self, name: str, body: Body, options: Options | None = None) -> Host:
        """Run ``body`` with a broker on a host of its own, beginning now; it tries until a node answers."""
        world = self.world
        host = world.hosts.get(name) or world.host(name, wall_offset_ns=BEGAN_NS)
        medium = self._mediums.setdefault(name, Medium(world.seed, name))

        async def main() -> None:
            env = self.environment(host, medium)
            transport = NetworkTransport(env.network, self.addresses)
            entered = False
            while not entered:
                try:
                    async with open_session(transport, env, options, log=NodeLog(host)) as broker:
                        entered = True
                        await body(broker)
                except NoQuorum:
                    if entered:
                        raise

        host.start(main)
        return host

    def leader(self, group: int) -> SimNode | None:
        """The node that leads a group, as the highest term among the living has it. An actor that is stalled
        does not know yet what its core does (seed 201217 of profile swarm)."""
        found: tuple[int, SimNode] | None = None
        for node in self.nodes:
            actor = None
            if node.host.alive and node.server is not None and node.server.context is not None:
                actor = node.server.context.groups.get(cast(Any, group))
            if actor is None or not (actor.leading and actor.core.is_leader):
                continue
            if found is None or actor.core.term > found[0]:
                found = actor.core.term, node
        return None if found is None else found[1]
