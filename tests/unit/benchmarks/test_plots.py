"""Pictures of what was measured, and none of what was not."""

from pathlib import Path

import pytest

from benchmarks import programs
from benchmarks.figures import OURS, Figure
from benchmarks.plots import GROWTHS, draw

FIGURES = [
    Figure(OURS, "Python", "publish_100B", 5e5, "msg/s"),
    Figure(OURS, "Python", "broker_cpu_s_per_1M_batch_1", 9.0, "s"),
    Figure(OURS, "Python", "broker_cpu_s_per_1M_batch_100", 3.0, "s"),
    Figure(OURS, "Python", "producers_1", 9e4, "msg/s"),
]


def test_one_for_each_unit_and_each_growth_that_was_measured(tmp_path: Path) -> None:
    made = draw(FIGURES, tmp_path)
    assert [path.name for path in made] == ["throughput.png", "cost_by_batch.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)


def test_none_is_left_of_another_run(tmp_path: Path) -> None:
    draw(FIGURES, tmp_path)
    (tmp_path / "kept.png").touch()
    assert draw(FIGURES[:1], tmp_path) == [tmp_path / "throughput.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.png", "throughput.png"]


def test_one_beside_the_peers(tmp_path: Path) -> None:
    made = draw([*FIGURES, Figure("nats-r3", "C", "publish_100B", 1e5, "msg/s")], tmp_path)
    assert made[-1].name == "peers.png"
    assert made[-1].stat().st_size > 0


@pytest.mark.parametrize("growth", GROWTHS, ids=lambda growth: growth.file)
def test_the_points_are_figures_of_programs(growth: object) -> None:
    known = {name for figures, _ in programs.PROGRAMS.values() for name in figures}
    for each in [each for each in GROWTHS if each is growth]:
        assert {f"{pre}{key}{post}" for key, _ in each.keys for _, pre, post in each.lines} <= known
