"""What a node's files take, and messages that are lost, come twice or are others."""

import os
from pathlib import Path

import pytest

from benchmarks.result import BenchmarkWrong
from benchmarks.slow_queue import Bodies, Found, allocated
from haqactor.cli.launcher import LocalNode
from haqactor.cli.process import Process


def test_bodies_have_nothing_in_common() -> None:
    bodies = Bodies(1024)
    made = [bodies.body(number) for number in range(1000)]
    assert {len(each) for each in made} == {1024}
    assert len({each[8:40] for each in made}) == 1000


def test_every_body_once_and_as_it_was() -> None:
    bodies = Bodies(64)
    missing = {1, 2}
    bodies.check(bodies.body(1), missing)
    assert missing == {2}
    for wrong in (bodies.body(1), bodies.body(3), bodies.body(2)[:-1] + b"?"):
        with pytest.raises(BenchmarkWrong):
            bodies.check(wrong, missing)


def test_preallocated_and_deleted_files_count(tmp_path: Path) -> None:
    node = LocalNode(0, "127.0.0.1:1", tmp_path)
    node.data.mkdir()
    with (node.data / "segment").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
    assert allocated(node) >= 1 << 20
    before = allocated(node)
    with (node.data / "cold").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        (node.data / "cold").unlink()
        assert allocated(node) == before
        started = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        assert Process(os.getpid(), started).alive
        (tmp_path / "pid").write_text(f"{os.getpid()} {started}\n", encoding="ascii")
        assert allocated(node) >= before + (1 << 20)
    assert allocated(node) == before


def test_the_most_that_passed() -> None:
    looks = [(0.0, 0, 120), (0.5, 10, 140), (1.0, 40, 110), (1.5, 45, 111), (2.0, 50, 110)]
    found = Found(unread=100, most=140, looks=looks)
    assert found.most_within(0.5) == 30
    assert found.most_within(1.0) == 40
    assert found.share == 1.4
    assert found.usual == 111
