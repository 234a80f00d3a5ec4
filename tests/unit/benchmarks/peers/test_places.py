"""What counts as installed, and what is said of what is not."""

import os
from pathlib import Path

import pytest

from benchmarks.peers import places
from benchmarks.peers.registry import PEERS


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is installed."""
    monkeypatch.setattr(places, "VENV", tmp_path / "venv")
    monkeypatch.setattr(places, "BIN", tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_nothing_is_there(empty: Path) -> None:
    parts = [part for part in places.every_part() if part != "rabbitmq-server"]  # which is not on the path
    assert places.missing(tuple(parts)) == parts


def test_a_client_is_there_once_it_is_newer_than_its_source(empty: Path) -> None:
    part = places.compiled("redis")
    binary = places.client("redis")
    binary.parent.mkdir()
    binary.touch()
    assert places.missing((part,)) == []
    os.utime(binary, (1, 1))
    assert places.missing((part,)) == [part]


def test_a_python_package_is_there_once_the_venv_has_it(empty: Path) -> None:
    (places.VENV / "lib/python3.11/site-packages/redis").mkdir(parents=True)
    assert places.missing(("redis", "nats")) == ["nats"]


def test_the_newest_rabbitmq_counts(tmp_path: Path) -> None:
    assert places.rabbitmq_sbin(tmp_path) is None
    for version in ("3.10.8", "3.9.1"):
        sbin = tmp_path / f"rabbitmq_server-{version}" / "sbin"
        sbin.mkdir(parents=True)
        (sbin / "rabbitmq-server").touch()
    found = places.rabbitmq_sbin(tmp_path)
    assert found is not None
    assert found.parent.name == "rabbitmq_server-3.10.8"


def test_every_part_of_every_peer_is_known() -> None:
    known = places.every_part()
    assert {part for peer in PEERS.values() for part in peer.parts} == set(known)
