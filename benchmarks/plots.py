"""The figures as pictures, beside ``results.json``.

One rule: bars begin at zero, and the ceiling stands in the same picture.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.result import Result

mpl.use("Agg")


def draw(results: list[Result], directory: Path) -> list[Path]:
    """One PNG a unit that has figures; returns their paths."""
    made: list[Path] = []
    for unit, file, title in (
        ("msg/s", "throughput.png", "messages a second"),
        ("ms", "latency.png", "milliseconds"),
        ("MB", "memory.png", "resident memory of a node, MB"),
    ):
        rows = [result for result in results if result.unit == unit]
        if rows:
            made.append(_bars(rows, directory / file, title))
    return made


def _bars(rows: list[Result], path: Path, title: str) -> Path:
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(9, 1 + 0.45 * len(rows)), layout="constrained")
    axes: Any = figure.subplots()
    names = [row.name for row in rows][::-1]
    bars = axes.barh(names, [row.value for row in rows][::-1], color="#2a6f97")
    axes.bar_label(bars, fmt="{:,.4g}", padding=4)
    axes.set_xlabel(title)
    axes.set_xlim(left=0)
    axes.margins(x=0.15)
    figure.savefig(path, dpi=120)
    return path
