"""``haq journal`` on the directory of a node that ran."""

import json
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

import haqactor
from haqactor.cli import exits
from haqactor.cli.app import cli
from haqactor.cli.launcher import LocalCluster, free_base_port


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a node that was stopped in order."""
    place = tmp_path_factory.mktemp("journal")

    async def live() -> Path:
        cluster = LocalCluster.found(place / "c", 1, await free_base_port(1))
        await cluster.start()
        async with haqactor.connect(cluster.url) as broker:
            await broker.declare("letters")
            for number in range(20):
                await broker.publish("letters", b"letter %d" % number)
        assert cluster.stop() == {0: "stopped"}
        return cluster.nodes[0].data

    return trio.run(live)


def test_a_sound_journal(directory: Path) -> None:
    found = CliRunner().invoke(cli, ["journal", "verify", str(directory), "-o", "json"])
    assert found.exit_code == exits.OK, found.output
    report = json.loads(found.stdout)
    assert report["ok"]
    assert not report["problems"]
    segments = [file for file in report["files"] if file["kind"] == "segment"]
    assert sum(file["entries"] for file in segments) >= 20
    table = CliRunner().invoke(cli, ["journal", "verify", str(directory)])
    assert table.exit_code == exits.OK
    assert segments[0]["file"] in table.stdout


def test_dump(directory: Path) -> None:
    found = CliRunner().invoke(cli, ["journal", "dump", str(directory), "-o", "json"])
    assert found.exit_code == exits.OK, found.output
    entries = [json.loads(line) for line in found.stdout.splitlines()]
    assert len([entry for entry in entries if entry["index"] > 0]) >= 20
    lines = CliRunner().invoke(cli, ["journal", "dump", str(directory)]).stdout.splitlines()
    assert lines[0].split("\t")[:4] == ["file", "offset", "block", "group"]
    assert len(lines) == len(entries) + 1


def test_a_damaged_journal(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    copy.mkdir()
    for file in directory.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    dumped = CliRunner().invoke(cli, ["journal", "dump", str(copy), "-o", "json"]).stdout.splitlines()
    entry = json.loads(dumped[len(dumped) // 2])
    name = entry["file"]
    data = bytearray((copy / name).read_bytes())
    data[entry["offset"] + 80] ^= 0xFF
    (copy / name).write_bytes(data)
    found = CliRunner().invoke(cli, ["journal", "verify", str(copy), "-o", "json"])
    assert found.exit_code == exits.FAILED
    report = json.loads(found.stdout)
    assert not report["ok"]
    assert report["problems"][0]["file"].endswith(name)
    assert "corrupt" in found.stderr


def test_no_journal(tmp_path: Path) -> None:
    for command in ("verify", "dump"):
        found = CliRunner().invoke(cli, ["journal", command, str(tmp_path)])
        assert found.exit_code == exits.FAILED
        assert str(tmp_path) in found.stderr
        found = CliRunner().invoke(cli, ["journal", command, str(tmp_path / "none")])
        assert found.exit_code == exits.FAILED
