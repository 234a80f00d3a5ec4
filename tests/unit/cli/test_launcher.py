"""A local cluster's directory: what is laid out, what is refused. No node runs here."""

import json
import os
from pathlib import Path

import pytest

from haqactor.cli.launcher import LaunchFailed, LocalCluster, free_base_port
from haqactor.cli.process import start_detached
from haqactor.config import NodeConfig
from haqactor.errors import Conflict, InvalidArgument, NotFound


def test_the_layout(tmp_path: Path) -> None:
    cluster = LocalCluster.found(tmp_path / "c", 3, 9420, {"log_level": "warning", "limits": {"grace": 0.5}})
    assert cluster.url == "haq://127.0.0.1:9420,127.0.0.1:9430,127.0.0.1:9440"
    assert LocalCluster.load(tmp_path / "c") == cluster
    for number in range(3):
        config = NodeConfig.from_toml(
            (tmp_path / "c" / f"n{number}" / "node.toml").read_text(encoding="utf-8")
        )
        assert config.data_dir == str(tmp_path / "c" / f"n{number}" / "data")
        assert config.listen == f"127.0.0.1:94{number + 2}0"
        assert config.bootstrap == ["127.0.0.1:9420", "127.0.0.1:9430", "127.0.0.1:9440"]
        assert config.limits.grace == 0.5


def test_a_directory_is_founded_once(tmp_path: Path) -> None:
    LocalCluster.found(tmp_path, 1, 9420)
    with pytest.raises(Conflict, match="holds a cluster"):
        LocalCluster.found(tmp_path, 1, 9420)


@pytest.mark.parametrize(("nodes", "port"), [(0, 7420), (100, 7420), (3, 65_530), (3, 0)])
def test_impossible_sizes(tmp_path: Path, nodes: int, port: int) -> None:
    with pytest.raises(InvalidArgument):
        LocalCluster.found(tmp_path, nodes, port)
    assert not list(tmp_path.iterdir())


def test_a_foreign_cluster_file(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text(
        json.dumps({"schema": "haq.cluster/999", "nodes": []}), encoding="utf-8"
    )
    with pytest.raises(Conflict, match=r"haq\.cluster/1"):
        LocalCluster.load(tmp_path)


def test_nodes_that_are_not_there_or_do_not_run(tmp_path: Path) -> None:
    cluster = LocalCluster.found(tmp_path, 2, 9420)
    with pytest.raises(NotFound, match="no node 2"):
        cluster.kill(2)
    with pytest.raises(Conflict, match="does not run"):
        cluster.kill(0)
    assert cluster.stop() == {}
    assert cluster.resident_bytes() == [0, 0]


def test_an_old_pid_file_never_gets_a_stranger_killed(tmp_path: Path) -> None:
    cluster = LocalCluster.found(tmp_path, 1, 9420)
    (cluster.nodes[0].directory / "pid").write_text(f"{os.getpid()} 1\n", encoding="ascii")
    assert cluster.nodes[0].process() is None
    with pytest.raises(Conflict):
        cluster.kill(0)


async def test_a_node_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    cluster = LocalCluster.found(tmp_path, 1, await free_base_port(1))
    node = cluster.nodes[0]
    process = start_detached(["-c", "raise SystemExit('no luck today')"], node.log)
    with pytest.raises(LaunchFailed, match=r"(?s)node 0 ended at once.*no luck today"):
        await node.wait_listening(process)


async def test_a_free_base_port_has_room(tmp_path: Path) -> None:
    base = await free_base_port(3)
    assert 10_000 <= base < 30_000
    LocalCluster.found(tmp_path, 3, base)
