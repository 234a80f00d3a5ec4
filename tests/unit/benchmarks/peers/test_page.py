"""The page of figures says what was measured, and how much better that is."""

from benchmarks.peers.page import CONFIRMS, SETTINGS, page
from benchmarks.peers.registry import PEERS

FIGURES = [
    {"peer": "haqactor", "client": "Python", "name": "ceiling_100B", "value": 2e6, "unit": "msg/s"},
    {"peer": "haqactor", "client": "Python", "name": "publish_100B", "value": 5e5, "unit": "msg/s"},
    {"peer": "nats-r3", "client": "C", "name": "publish_100B", "value": 1e5, "unit": "msg/s"},
    {"peer": "haqactor", "client": "Python", "name": "confirm_p50_ms", "value": 2.5, "unit": "ms"},
    {"peer": "nats-r3", "client": "C", "name": "confirm_p50_ms", "value": 1.0, "unit": "ms"},
    {"peer": "nats-r3", "client": "C", "name": "rss_idle_mb", "value": 18.0, "unit": "MB"},
    {"peer": "nats-py", "client": "Python", "name": "publish_await", "value": 14_000.0, "unit": "msg/s"},
]


def test_ratios_are_above_one_where_we_are_better() -> None:
    text = page(FIGURES, {"NATS": "2.15"}, "2 cores")
    assert "| msg/s | **500,000** | 100,000 (5x) |" in text
    assert "| ms | **2.5** | 1 (0.4x) |" in text
    assert "2,000,000 messages of 100 B a second" in text
    assert "Measured on: 2 cores. NATS 2.15." in text


def test_what_was_not_measured_here_has_no_ratio() -> None:
    text = page(FIGURES, {}, "2 cores")
    assert "| MB |  | 18 |" in text
    assert "| msg/s |  | 14,000 |" in text
    assert "`redis-py`" not in text


def test_who_syncs_when_comes_first() -> None:
    text = page(FIGURES, {}, "2 cores")
    assert (
        text.index("## Equal footing")
        < text.index("## Servers")
        < text.index("## What a Python program gets")
    )
    assert "| `nats-r3` | two of three nodes have it in memory | every two minutes, as it comes |" in text


def test_each_figure_is_in_one_section() -> None:
    more = [
        *FIGURES,
        {"peer": "nats-r3", "client": "C", "name": "failover_ms_max", "value": 900.0, "unit": "ms"},
        {"peer": "haqactor", "client": "Python", "name": "backlog_1M", "value": 3e5, "unit": "msg/s"},
    ]
    text = page(more, {}, "2 cores")
    titles = [line for line in text.splitlines() if line.startswith("### ")]
    assert titles == [
        "### Throughput",
        "### Latency at fixed rates",
        "### Failover",
        "### Start, memory, disk, many queues",
    ]
    for name in ("failover_ms_max", "confirm_p50_ms", "rss_idle_mb", "backlog_1M", "publish_await"):
        assert text.count(f"| `{name}` |") == 1
    assert "300,000 msg/s" in text.partition("## haqactor alone")[2]


def test_every_entrant_has_its_settings() -> None:
    assert list(CONFIRMS) == list(SETTINGS) == ["haqactor", *PEERS]
