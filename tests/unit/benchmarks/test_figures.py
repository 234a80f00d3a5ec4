"""Ratios to the ceiling and to peers, and medians of what was measured several times."""

from benchmarks.figures import OURS as HAQACTOR
from benchmarks.figures import Figure, medians, with_ratios


def test_ratios_are_to_the_ceiling_and_to_each_peer_that_has_the_figure() -> None:
    figures = [
        Figure(HAQACTOR, "Python", "ceiling_100B", 1000.0, "msg/s"),
        Figure(HAQACTOR, "Python", "publish_100B", 250.0, "msg/s"),
        Figure(HAQACTOR, "Python", "start_s", 1.0, "s"),
        Figure("nats-r3", "C", "publish_100B", 125.0, "msg/s"),
        Figure("nats-r3", "C", "start_s", 2.0, "s"),
        Figure("redis-wait1-always", "C", "publish_100B", 500.0, "msg/s"),
    ]
    found = {each.name: each.ratio_to for each in with_ratios(figures)}
    assert found["publish_100B"] == {"ceiling": 0.25, "nats-r3": 2.0, "redis-wait1-always": 0.5}
    assert found["start_s"] == {"nats-r3": 0.5}


def test_the_median_counts_where_entrants_took_turns() -> None:
    figures = [
        Figure(peer, "C", "confirm_p50_ms", value, "ms")
        for value in (3.0, 1.0, 2.0)
        for peer in (HAQACTOR, "nats-r3")
    ]
    figures.append(Figure(HAQACTOR, "C", "start_s", 1.0, "s"))
    found = medians(figures)
    assert [(each.peer, each.name, each.value) for each in found] == [
        (HAQACTOR, "confirm_p50_ms", 2.0),
        ("nats-r3", "confirm_p50_ms", 2.0),
        (HAQACTOR, "start_s", 1.0),
    ]
