"""``python -m tests.overload [SCENARIO...] --for 600s -o json``: each scenario, its verdict, its memory.

One rule: exit code 0 only if every promise of every scenario held.
"""

import json
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click
import trio
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from tests.chaos.__main__ import seconds_of
from tests.overload import picture
from tests.overload.checks import MB
from tests.overload.run import SMALL, Result, run
from tests.overload.scenarios import SCENARIOS

OUT: Final = Path("build/overload")
SHOWN: Final = 5


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SCENARIOS)), metavar="[SCENARIO...]")
@click.option("--for", "span", default="60s", show_default=True, help="Each scenario: 90s, 2m, 1h.")
@click.option("--size", type=click.IntRange(1), help="Producers, consumers, connections or queues.")
@click.option(
    "--limits",
    type=click.Choice(["small", "default"]),
    default="small",
    show_default=True,
    help="small: limits above which what is not bounded shows soon; default: those of a node.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=OUT, show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def main(names: tuple[str, ...], span: str, size: int | None, limits: str, out: Path, output: str) -> None:
    """Overload a cluster of three real nodes, and judge what it costs."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    results = carry_out(
        names or tuple(SCENARIOS), seconds_of(span), size, SMALL if limits == "small" else {}, out
    )
    if output == "json":
        print(json.dumps([result.summary() for result in results]))
    else:
        show(results)
    sys.exit(not all(result.passed for result in results))


def carry_out(
    names: Sequence[str], seconds: float, size: int | None, limits: dict[str, int], out: Path
) -> list[Result]:
    """One after the other; leaves a picture and a ``.json`` of each in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    results: list[Result] = []
    for name in names:
        scenario = SCENARIOS[name]
        columns = (TextColumn("{task.description:<56}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task(f"{name}: founding", total=seconds)

            def look(result: Result, progress: Progress = progress, bar: object = bar) -> None:
                now = result.samples[-1]
                progress.update(
                    bar,  # type: ignore[arg-type]  # rich's TaskID is an int
                    completed=now.at_s,
                    description=f"{result.scenario.name}: {result.outcomes.total:,} confirmed, "
                    f"{max(now.rss) / MB:.0f} of {result.bound / MB:.0f} MB",
                )

            result = trio.run(partial(run, scenario, seconds, size or scenario.size, look, limits))
        results.append(result)
        picture.draw(out / f"{name}.svg", result)
        (out / f"{name}.json").write_text(json.dumps(result.summary(), indent=1) + "\n", encoding="utf-8")
    return results


def show(results: Sequence[Result]) -> None:
    """For people: MB, counts, seconds."""
    console = Console()
    name = Column("scenario", no_wrap=True)
    table = Table(name, "idle", "most", "allowed", "confirmed", "refused", "wait", "", box=SIMPLE)
    for each in results:
        table.add_row(
            each.scenario.name,
            *(f"{value / MB:.1f}" for value in (each.idle, each.most, each.bound)),
            f"{each.outcomes.total:,}",
            f"{each.outcomes.refused:,}",
            f"{each.outcomes.waits_s:.1f}",
            "held" if each.passed else "BROKEN",
        )
    console.print(table)
    for each in results:
        for promise, rows in each.broken.items():
            for row in rows[:SHOWN]:
                console.print(
                    f"{each.scenario.name}: {promise}: {row}", highlight=False, markup=False, soft_wrap=True
                )
        figures = ", ".join(f"{value:,.0f} {note}" for note, value in sorted(each.notes.items()))
        if figures:
            console.print(f"{each.scenario.name}: {figures}", highlight=False)


if __name__ == "__main__":
    main()
