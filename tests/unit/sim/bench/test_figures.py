"""The benchmark measures what it says: messages move, publishes are confirmed, goals are judged."""

import pytest

from haqactor.sim.bench import cluster as bench_cluster
from haqactor.sim.bench import figures as module
from haqactor.sim.bench.figures import QUICK, Figure, Size, bench


def test_clusters_are_measured_busy_and_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_cluster, "CLIENTS", 1)
    monkeypatch.setattr(bench_cluster, "LANES", 4)
    one = bench_cluster.saturated(0.1)
    assert one.confirmed > 20
    assert one.messages > one.confirmed // 10
    assert bench_cluster.quiet(1.0).confirmed in range(3, 7)


@pytest.mark.parametrize("part", ["engine", "cores", "start"])
def test_parts_give_figures(part: str) -> None:
    figures = module.PARTS[part](QUICK)
    assert figures
    assert all(figure.value > 0 for figure in figures)


def test_goals_are_judged_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Figure("a", 5, "s").met is None
    assert Figure("a", 5, "s", 5).met
    assert not Figure("a", 4, "s", 5).met
    assert Figure("a", 4, "s", 5, at_most=True).met
    assert not Figure("a", 6, "s", 5, at_most=True).met

    def part(size: Size) -> list[Figure]:
        return [Figure("frames", size.frames, "frames")]

    monkeypatch.setattr(module, "PARTS", {"one": part, "two": part})
    told: list[str] = []
    assert [figure.value for figure in bench(QUICK, told.append)] == [QUICK.frames] * 2
    assert told == ["one", "two"]
