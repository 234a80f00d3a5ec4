"""The page of figures says what was measured, and how much better that is."""

from benchmarks.peers.page import page

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
    assert "redis" not in text.partition("## Equal footing")[0]
