"""What a run says and leaves behind: the table on the terminal, ``results.json``, ``peers.json``, plots.

One rule: a look with a part of the messages, or without haqactor, makes no ratios.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import plots
from benchmarks.clusters import OUT
from benchmarks.figures import OURS, Figure, with_ratios
from benchmarks.peers.install import versions
from benchmarks.peers.registry import PEERS
from benchmarks.readme import here
from benchmarks.result import QUICK
from benchmarks.run import Run, Turn

RESULTS: Final = "results.json"
PEERS_FILE: Final = "peers.json"
_WIDTH: Final = 160  # of a table that goes into a file


def finish(run: Run, turns: Sequence[Turn], *, scale: float = 1.0) -> None:
    """Measure, show, save, and exit: with 1 if a program failed, with 130 where the user interrupted; what
    was measured is written all the same, for a whole run takes long."""
    figures = run.measure(turns)
    show(figures)
    for path in save(figures, scale=scale):
        run.console.print(str(path), highlight=False)
    for failure in run.failures:
        run.console.print(failure, style="red", markup=False)
    sys.exit(130 if run.interrupted else 1 if run.failures else 0)


def save(figures: list[Figure], *, scale: float = 1.0) -> list[Path]:
    """Write everything into ``out/``; returns the files. haqactor's figures with their ratios:
    ``results.json``; all of everyone's, with the machine and the versions: ``peers.json``."""
    OUT.mkdir(exist_ok=True)
    made: list[Path] = []
    if scale == 1 and any(each.peer == OURS for each in figures):
        results = with_ratios(figures)
        made.append(_write(RESULTS, [asdict(each) for each in results]))
    told = {
        "where": here(),
        "versions": versions(),
        "scale": scale,
        "quick": QUICK,
        "figures": [asdict(each) for each in figures],
    }
    made.append(_write(PEERS_FILE, told))
    return [*made, *plots.draw(figures, OUT)]


def _write(name: str, content: object) -> Path:
    path = OUT / name
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def show(figures: list[Figure]) -> None:
    """haqactor's figures by the ceiling's; then those that peers have as well, servers and Python clients
    each in a table of their own."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    if any(each.peer == OURS for each in figures):
        console.print(_own(figures))
    measured = dict.fromkeys(figure.peer for figure in figures)
    for python in (False, True):
        theirs = [name for name, peer in PEERS.items() if name in measured and bool(peer.module) is python]
        if theirs:
            console.print(_beside(figures, theirs, ours=OURS in measured))


def _own(figures: list[Figure]) -> Table:
    table = Table(title="haqactor, 3 nodes, confirm = quorum + fsync" + _quick())
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("of the ceiling", justify="right")
    for result in with_ratios(figures):
        ratio = result.ratio_to.get("ceiling")
        share = "" if ratio is None else f"{ratio:.3f}"
        table.add_row(result.name, text_of(result.value), result.unit, share)
    return table


def _beside(figures: list[Figure], theirs: Sequence[str], *, ours: bool) -> Table:
    shown = [OURS, *theirs] if ours else theirs
    values = {(figure.peer, figure.name): figure.value for figure in figures}
    units = {figure.name: figure.unit for figure in figures}
    table = Table(title="haqactor and its peers, 3 nodes each" + _quick())
    table.add_column("figure")
    table.add_column("unit")
    for name in shown:
        table.add_column(name, justify="right")
    for name, unit in units.items():
        if any((peer, name) in values for peer in theirs):
            row = [values.get((peer, name)) for peer in shown]
            table.add_row(name, unit, *("" if value is None else text_of(value) for value in row))
    return table


def _quick() -> str:
    return " (QUICK)" if QUICK else ""


def text_of(value: float) -> str:
    """Four digits, or all before the point."""
    return f"{value:,.4g}" if value < 100 else f"{value:,.0f}"
