"""Is a cluster well? Asked of the cluster itself, through the client like everybody else.

One rule: a node counts as up only if its process lives, and the cluster as healthy only if every node is up
and every group has a leader.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import trio

from haqactor.cli.launcher import LocalCluster
from haqactor.errors import Error
from haqactor.runtime.remote import connect

_ASK_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """One row of ``haq cluster status``. ``leads``: the groups that it leads; ``memory_mb``: resident.
    ``member``: what the cluster's gossip believes of it (alive, suspect, dead, left; unknown where nothing
    was heard), and ``incarnation`` in which; ``health``: its own score, 0 is well; ``machine``: the newest
    version of the machine that its release knows; ``clients``: its connections. 0 where it told nothing."""

    node: int
    listen: str
    up: bool
    pid: int | None
    leads: list[int]
    memory_mb: float | None
    member: str
    incarnation: int
    health: int
    machine: int
    clients: int


@dataclass(frozen=True, slots=True)
class ClusterHealth:
    """``leaderless``: groups without a known leader; ``problem``: what is wrong, None if nothing is."""

    url: str
    healthy: bool
    problem: str | None
    groups: int
    leaderless: list[int]
    nodes: list[NodeHealth]


async def wait_confirming(url: str) -> None:
    """Until every group has a leader and group 0 answers a read that a majority covers. Bound it with a
    cancel scope.
    """
    async with connect(url) as broker:
        while True:
            try:
                if (await broker.status())["ready"]:
                    await broker.queues()
                    return
            except Error as error:
                if error.code not in ("no_quorum", "connection_lost", "not_leader", "overloaded"):
                    raise
            await trio.sleep(_POLL_SECONDS)


async def cluster_health(cluster: LocalCluster) -> ClusterHealth:
    """What processes and cluster say; a cluster that does not answer within 3 s is unhealthy."""
    processes = {node.number: node.process() for node in cluster.nodes}
    leaders: dict[int, int] = {}
    told: dict[int, dict[str, Any]] = {}
    problem: str | None = None
    if any(processes.values()):
        try:
            with trio.fail_after(_ASK_SECONDS):
                async with connect(cluster.url) as broker:
                    status = await broker.status()
                    leaders = leaders_of(status)
                    told = {row["node"]: row for row in status.get("nodes", ())}
        except trio.TooSlowError:
            problem = f"no answer within {_ASK_SECONDS:g} s"
        except Error as error:
            problem = f"{error.code}: {error}"
    leaderless = [group for group, node in leaders.items() if node < 0]
    down = [number for number, process in processes.items() if process is None]
    if leaderless:
        problem = f"groups without a leader: {', '.join(map(str, leaderless))}"
    if down:
        problem = f"nodes down: {', '.join(map(str, down))}" + (f"; {problem}" if problem else "")
    memory = cluster.resident_bytes()
    rows = [
        NodeHealth(
            node=node.number,
            listen=node.listen,
            up=(process := processes[node.number]) is not None,
            pid=process.pid if process is not None else None,
            leads=[group for group, leader in leaders.items() if leader == node.number],
            memory_mb=round(memory[node.number] / 1e6, 1) if process is not None else None,
            **_membership(told.get(node.number, {})),
        )
        for node in cluster.nodes
    ]
    return ClusterHealth(cluster.url, problem is None, problem, len(leaders), leaderless, rows)


def _membership(row: Mapping[str, Any]) -> dict[str, Any]:
    load, versions = row.get("load", {}), row.get("versions", {})
    return {
        "member": row.get("status", "unknown"),
        "incarnation": row.get("incarnation", 0),
        "health": load.get("health", 0),
        "machine": versions.get("machine", (0, 0))[1],
        "clients": load.get("clients", 0),
    }


def leaders_of(status: Mapping[str, Any]) -> dict[int, int]:
    """Group to leading node, -1 where unknown, from what ``broker.status()`` returned."""
    return {group: node for group, node, _term, _address in status.get("leaders", ())}
