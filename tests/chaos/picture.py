"""The timeline as a picture: lanes of nodes and hosts above, confirmations below.

One rule: a colour is a kind of fault, in every picture the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.chaos.history import Record
from tests.chaos.nemesis import Span
from tests.chaos.timeline import MARKS, Figures, rates

_COLOURS: Final = {
    "dead": "#333333",
    "starting": "#999999",
    "paused": "#b07aa1",
    "cut": "#e15759",
    "cut_one_way": "#ff9d9a",
    "split": "#9467bd",
    "isolate": "#d62728",
    "silence": "#1f77b4",
    "deafen": "#76b7b2",
    "mute": "#a0cbe8",
    "stall": "#4e79a7",
    "delay": "#f1ce63",
    "reset": "#f28e2b",
    "client_crash": "#333333",
    "damage": "#8c564b",
    "disk_full": "#59a14f",
    "outage": "#7f0000",
}
_PART_S: Final = 0.25


def draw(
    path: Path,
    title: str,
    lanes: Sequence[str],
    spans: Sequence[Span],
    records: Sequence[Record],
    figures: Figures,
    until_s: float,
) -> None:
    """An SVG or a PNG, as the name ends."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(12, 1.2 + 0.4 * len(lanes) + 2.4), layout="constrained")
    upper, lower = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [max(1.0, 0.4 * len(lanes)), 2.0]}
    )
    shown: dict[str, Any] = {}
    for row, lane in enumerate(lanes):
        for span in spans:
            if span.lane == lane and span.kind in MARKS:
                bar = upper.broken_barh(
                    [(span.from_s, max(0.05, span.to_s - span.from_s))],
                    (row - 0.35, 0.7),
                    facecolors=_COLOURS[span.kind],
                )
                shown.setdefault(span.kind, bar)
    upper.set_yticks(range(len(lanes)), lanes)
    upper.set_ylim(len(lanes) - 0.4, -0.6)
    upper.set_title(title, loc="left", fontsize=10)
    if shown:
        below = -0.02 - 0.35 / max(1, len(lanes))
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, below)}
        upper.legend(shown.values(), shown.keys(), ncols=len(shown), fontsize=7, frameon=False, **place)
    _confirms(lower, records, figures, until_s)
    figure.savefig(path)


def _confirms(axes: Any, records: Sequence[Record], figures: Figures, until_s: float) -> None:
    parts = max(1, round(until_s / _PART_S))
    found = rates(records, until_s, parts)
    width_s = until_s / parts
    axes.fill_between(
        [part * width_s for part in range(parts)], found, step="post", color="#59a14f", alpha=0.7
    )
    axes.axvspan(figures.gap_at_s, figures.gap_at_s + figures.gap_s, color="#e15759", alpha=0.15)
    longest, at = f"longest gap {figures.gap_s:.2f} s", (figures.gap_at_s, 0)
    axes.annotate(longest, at, xytext=(2, 4), textcoords="offset points", fontsize=7)
    for outcome, colour in (("refused", "#e15759"), ("unknown", "#f28e2b")):
        times = [
            each.ended_s
            for each in records
            if each.kind == "publish" and each.outcome == outcome and (each.ended_s or 0.0) <= until_s
        ]
        if times:
            axes.plot(times, [0] * len(times), "x", color=colour, markersize=4, label=outcome, clip_on=False)
            axes.legend(fontsize=7, loc="upper right")
    axes.set_xlim(0, until_s)
    axes.set_ylim(0, None)
    axes.set_xlabel("seconds")
    axes.set_ylabel("confirmed messages/s")
