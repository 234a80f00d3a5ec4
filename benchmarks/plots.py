"""The figures as pictures, beside ``results.json``.

One rule: bars and axes begin at zero, unless an axis is told to be logarithmic, and the ceiling stands in the
same picture as what is read against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from benchmarks.figures import OURS, Figure

mpl.use("Agg")

_BLUE: Final = "#2a6f97"
_GREY: Final = "#9aa5b1"


@dataclass(frozen=True, slots=True)
class Growth:
    """A picture of how figures grow: each line's figures are ``prefix + key + suffix``, over what each key
    stands for."""

    file: str
    title: str
    over: str
    unit: str
    keys: tuple[tuple[str, float], ...]
    lines: tuple[tuple[str, str, str], ...]
    """(label, prefix, suffix)"""
    log: bool = False
    """Whether the upward axis is logarithmic, where figures differ by more than can be seen."""


_CPU: Final = (("three nodes", "broker_cpu_s_per_1M_", ""), ("client", "client_cpu_s_per_1M_", ""))
UNITS: Final = (
    ("msg/s", "throughput.png", "messages a second"),
    ("ms", "latency.png", "milliseconds"),
    ("MB", "memory.png", "resident memory of a node, MB"),
)
PEERS_FILE: Final = "peers.png"
GROWTHS: Final = (
    Growth(
        "cost_by_batch.png",
        "CPU seconds for a million messages of 100 B, end to end",
        "messages published at once",
        "s",
        (("batch_1", 1), ("batch_10", 10), ("batch_100", 100), ("batch_1000", 1_000)),
        _CPU,
    ),
    Growth(
        "cost_by_size.png",
        "CPU seconds for a million messages, end to end",
        "bytes of a message",
        "s",
        (("100B", 100), ("1KiB", 1_024), ("64KiB", 65_536)),
        _CPU,
        log=True,
    ),
    Growth(
        "latency_by_rate.png",
        "from when a publish was due to its confirm, ms",
        "publishes a second",
        "ms",
        (("confirm", 100), ("confirm_1000", 1_000), ("confirm_10000", 10_000)),
        (("p50", "", "_p50_ms"), ("p99", "", "_p99_ms"), ("p99.9", "", "_p999_ms")),
    ),
    Growth(
        "producers.png",
        "messages a second, a batch of 100 in flight for each producer",
        "producers",
        "msg/s",
        (("1", 1), ("10", 10), ("100", 100), ("1000", 1_000)),
        (("published", "producers_", ""),),
    ),
    Growth(
        "backlog.png",
        "messages a second, end to end",
        "messages that wait before them (1: none)",
        "msg/s",
        (("0", 1), ("100k", 100_000), ("1M", 1_000_000)),
        (("published, consumed, acknowledged", "backlog_", ""),),
    ),
)


def draw(figures: Sequence[Figure], directory: Path) -> list[Path]:
    """One PNG for each unit that haqactor has figures of, one for each growth, and one that sets it beside
    its peers; returns their paths. Those of another run go."""
    for name in (*(file for _, file, _ in UNITS), *(each.file for each in GROWTHS), PEERS_FILE):
        (directory / name).unlink(missing_ok=True)
    ours = [each for each in figures if each.peer == OURS]
    grown = {f"{pre}{key}{post}" for each in GROWTHS for key, _ in each.keys for _, pre, post in each.lines}
    made: list[Path] = []
    for unit, file, title in UNITS:
        of_unit = [each for each in ours if each.unit == unit and (each.name not in grown or unit == "ms")]
        if of_unit:
            made.append(_bars(of_unit, directory / file, title))
    values = {each.name: each.value for each in ours}
    made += [path for each in GROWTHS if (path := _growth(each, values, directory)) is not None]
    beside = _beside(figures, directory / PEERS_FILE)
    return [*made, beside] if beside is not None else made


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def _bars(rows: Sequence[Figure], path: Path, title: str) -> Path:
    figure = _figure(9, 1 + 0.45 * len(rows))
    axes: Any = figure.subplots()
    names = [row.name for row in rows][::-1]
    bars = axes.barh(names, [row.value for row in rows][::-1], color=_BLUE)
    axes.bar_label(bars, fmt="{:,.4g}", padding=4)
    axes.set_xlabel(title)
    axes.set_xlim(left=0)
    axes.margins(x=0.15)
    figure.savefig(path, dpi=120)
    return path


def _growth(growth: Growth, values: dict[str, float], directory: Path) -> Path | None:
    """None where fewer than two of its points were measured."""
    figure = _figure(7, 4)
    axes: Any = figure.subplots()
    most = 0
    for label, prefix, suffix in growth.lines:
        points = [(x, values[name]) for key, x in growth.keys if (name := f"{prefix}{key}{suffix}") in values]
        most = max(most, len(points))
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=label)
        for x, y in points:
            axes.annotate(f"{y:,.3g}", (x, y), textcoords="offset points", xytext=(0, 6), ha="center")
    if most < 2:
        return None
    axes.set_xscale("log")
    axes.margins(x=0.1, y=0.15)
    if growth.log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(growth.over)
    axes.set_ylabel(growth.unit)
    axes.set_title(growth.title, fontsize=10)
    axes.legend()
    path = directory / growth.file
    figure.savefig(path, dpi=120)
    return path


def _beside(figures: Sequence[Figure], path: Path) -> Path | None:
    """A small picture for each figure that a peer has as well; None where there is none."""
    shared = dict.fromkeys(each.name for each in figures if each.peer != OURS)
    if not shared:
        return None
    columns = 3
    rows = -(-len(shared) // columns)
    figure = _figure(5 * columns, 2.2 * rows)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    places = [axes for line in grid for axes in line]
    for axes, name in zip(places, shared, strict=False):
        found = [each for each in figures if each.name == name][::-1]
        colours = [_BLUE if each.peer == OURS else _GREY for each in found]
        bars = axes.barh([each.peer for each in found], [each.value for each in found], color=colours)
        axes.bar_label(bars, fmt="{:,.4g}", padding=3, fontsize=7)
        axes.set_title(f"{name}, {found[0].unit}", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlim(left=0)
        axes.margins(x=0.25)
    for axes in places[len(shared) :]:
        axes.set_visible(False)
    figure.savefig(path, dpi=100)
    return path
