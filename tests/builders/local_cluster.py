"""Clusters of real processes for the tests of ``tests/integration``, and how their logs end."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from haqactor import Broker
from haqactor.cli.launcher import LocalCluster, free_base_port

PATIENCE_S: Final = 30.0
POLL_S: Final = 0.01
Limits = dict[str, float | int]


@asynccontextmanager
async def running(
    directory: Path, nodes: int = 3, limits: Limits | None = None, **settings: Any
) -> AsyncGenerator[LocalCluster]:
    """A started cluster; what still runs at the end is stopped. The body has ``PATIENCE_S``."""
    more: dict[str, Any] = {"groups": 4, **settings}
    if limits:
        more["limits"] = limits
    cluster = LocalCluster.found(directory / "cluster", nodes, await free_base_port(nodes), more)
    try:
        with trio.fail_after(PATIENCE_S):
            await cluster.start()
            yield cluster
    finally:
        kill_all(cluster)


def kill_all(cluster: LocalCluster) -> None:
    """SIGKILL to every node that runs, all before any of them is waited for."""
    processes = [process for node in cluster.nodes if (process := node.process()) is not None]
    for process in processes:
        process.send(9)
    for process in processes:
        assert process.wait(5)


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Poll until it holds; fails after ``seconds``."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - what is polled has no event
            await trio.sleep(POLL_S)


async def leader_of(broker: Broker, queue: str) -> int:
    """The node that leads a queue's group, by a read that a quorum covers."""
    return (await broker.queue(queue).info()).leader


def log_rows(cluster: LocalCluster, number: int) -> list[dict[str, Any]]:
    """What a node logged, of all its runs; lines that are no JSON (errors) as {"text": line}."""
    rows: list[dict[str, Any]] = []
    for line in cluster.node(number).log.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            rows.append({"text": line})
    return rows


def events(cluster: LocalCluster, number: int) -> list[str]:
    """The texts of what a node logged."""
    return [str(row.get("event", row.get("text", ""))) for row in log_rows(cluster, number)]


def no_tracebacks(cluster: LocalCluster) -> None:
    """Nothing unexpected was logged by any node."""
    for node in cluster.nodes:
        text = node.log.read_text(encoding="utf-8")
        assert "Traceback" not in text, text[text.index("Traceback") - 2000 :][:6000]
