"""Memory over time as a picture: a line a node, the idle memory below, the bound above.

One rule: the axis begins at zero and ends above the bound, so that pictures can be compared.
"""

from pathlib import Path
from typing import Any

from tests.overload.checks import MB
from tests.overload.run import Result

_ABOVE = 1.15


def draw(path: Path, result: Result) -> None:
    """An SVG or a PNG, as the name ends."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    times = [each.at_s for each in result.samples]
    for node in range(len(result.samples[0].rss)):
        axes.plot(times, [each.rss[node] / MB for each in result.samples], label=f"n{node}")
    axes.axhline(result.bound / MB, color="#e15759", linestyle="--", label="allowed")
    axes.axhline(result.idle / MB, color="#999999", linestyle=":", label="idle")
    if times[-1] > 0:
        axes.axvspan(times[len(times) // 2], times[-1], color="#4e79a7", alpha=0.06)
        axes.set_xlim(0, times[-1])
    axes.set_ylim(0, max(result.bound, result.most) / MB * _ABOVE)
    axes.set_xlabel("seconds under load (shaded: must be flat)")
    axes.set_ylabel("resident MB")
    verdict = "every promise held" if result.passed else "BROKEN"
    title = f"{result.scenario.name}, {result.size:,} {result.scenario.unit}: {verdict}"
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(fontsize=7, ncols=5, loc="upper left")
    figure.savefig(path)
