"""The timeline shows who was down when, and what was confirmed."""

from pathlib import Path

from tests.chaos import picture
from tests.chaos.history import History
from tests.chaos.nemesis import Span
from tests.chaos.run import calm_windows
from tests.chaos.timeline import figures, rates, text


def told(*ends: float) -> History:
    """A message confirmed at each of these times."""
    now = 0.0
    history = History(lambda: now)
    for number, end in enumerate(ends):
        record = history.begin("publish", "p", "q", [f"a/{number}"])
        now = end
        history.end(record, "confirmed")
    return history


SPANS = [Span("n1", "dead", 2.0, 4.0), Span("n0", "isolate", 8.0, 10.0), Span("n1", "kill", 2.0, 4.0)]


def test_lanes_bars_and_time_in_text() -> None:
    lines = text(["n0", "n1"], SPANS, told(1, 1, 9).records, 10, width=10).splitlines()
    assert lines[0] == "      n0 |        ##|"
    assert lines[1] == "      n1 |  " + "X" * 3 + "     |"
    assert lines[2].startswith("confirms | █       ▄| up to 2")
    assert "10 s" in lines[3]
    assert lines[4].split() == ["X", "dead", "#", "isolate"]


def test_the_longest_gap_is_found_also_at_the_edges() -> None:
    found = figures(told(1, 2, 7, 8).records, 10)
    assert (found.confirmed, found.gap_s, found.gap_at_s) == (4, 5, 2)
    assert (found.per_s, figures(told(1).records, 10).gap_s) == (0.4, 9)
    assert figures([], 10).gap_s == 10


def test_rates_are_messages_a_second() -> None:
    assert rates(told(0.5, 0.6, 3.9).records, 4, 2) == [1.0, 0.5]


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    records = told(1, 2, 7, 8).records
    for name in ("a.svg", "a.png"):
        picture.draw(tmp_path / name, "t", ["n0", "n1"], SPANS, records, figures(records, 10), 10)
        assert (tmp_path / name).stat().st_size > 1000


def test_calm_is_before_and_long_after_faults() -> None:
    spans = [Span("n0", "kill", 2, 3), Span("n1", "cut", 4, 5), Span("n0", "cut", 20, 21)]
    assert calm_windows(spans, 30) == [(0, 2), (11, 20), (27, 30)]
    assert calm_windows([], 30) == [(0, 30)]
