"""Real processes for the tests of this folder; every test of it is marked ``integration``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from haqactor.cli.launcher import LocalCluster, free_base_port

HERE = Path(__file__).parent
HANDSHAKE_S = 1.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One running node with both ports, short patience with half-sent frames, small messages."""
    limits = {"handshake": HANDSHAKE_S, "message_bytes_max": 65_536}
    yield from running(tmp_path_factory.mktemp("single"), 1, limits)


@pytest.fixture(scope="module")
def triple(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three running nodes."""
    yield from running(tmp_path_factory.mktemp("triple"), 3, {})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three running nodes with few groups and small segments, quick to stop, break and start again."""
    limits: dict[str, float | int] = {"segment_bytes": 1024 * 1024}
    yield from running(tmp_path_factory.mktemp("small"), 3, limits, groups=4)


def running(
    directory: Path, nodes: int, limits: dict[str, float | int], **more: int
) -> Iterator[LocalCluster]:
    """A started cluster; stopped at the end, in order."""

    async def start() -> LocalCluster:
        settings = {**more, **({"limits": limits} if limits else {})}
        cluster = LocalCluster.found(directory / "cluster", nodes, await free_base_port(nodes), settings)
        await cluster.start()
        return cluster

    cluster = trio.run(start)
    try:
        yield cluster
    finally:
        ended = cluster.stop()
    assert set(ended.values()) <= {"stopped"}, f"not in order: {ended}"
