"""``python -m benchmarks``: run the programs, print the table, write ``out/results.json`` and the plots.

One rule: all figures of one table come from one run, since only their ratios mean something on a shared
machine.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict

import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import plots
from benchmarks.clusters import OUT
from benchmarks.programs import PROGRAMS, add_ratios
from benchmarks.result import QUICK, Result
from haqactor.cli.groups import leaves


def chosen(only: list[str]) -> list[str]:
    """The programs that ``--only`` asks for, by their own names or those of their figures; all if it asks
    for none.
    """
    unknown = [
        name for name in only if name not in PROGRAMS and not any(name in row[0] for row in PROGRAMS.values())
    ]
    if unknown:
        known = [*PROGRAMS, *(figure for row in PROGRAMS.values() for figure in row[0])]
        raise SystemExit(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
    return [
        name
        for name, (figures, _) in PROGRAMS.items()
        if not only or name in only or any(f in only for f in figures)
    ]


def main() -> None:
    """Exit code 1 if a program failed; the others' figures are written all the same."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a program or a figure; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="name the programs and their figures")
    arguments = parser.parse_args()
    if arguments.list:
        for name, (figures, _) in PROGRAMS.items():
            print(f"{name}: {', '.join(figures)}")
        return
    programs = chosen(arguments.only)
    results: list[Result] = []
    failures: list[str] = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(programs))
        for name in programs:
            bar.update(task, description=name)
            _run(name, results, failures, console)
            bar.advance(task)
    add_ratios(results)
    _show(results)
    OUT.mkdir(exist_ok=True)
    (OUT / "results.json").write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    made = plots.draw(results, OUT)
    console.print(f"{OUT / 'results.json'}" + "".join(f", {path.name}" for path in made), highlight=False)
    for failure in failures:
        console.print(failure, style="red", markup=False)
    sys.exit(1 if failures else 0)


def _run(name: str, results: list[Result], failures: list[str], console: Console) -> None:
    before = os.times().elapsed
    try:
        found = trio.run(PROGRAMS[name][1])
    except BaseException as error:  # a program that fails must not hide what the others measured
        errors = leaves(error)
        if any(isinstance(each, KeyboardInterrupt) for each in errors):
            raise
        failures.append(f"{name} failed: {errors[0]!r}")
        return
    results += found
    figures = ", ".join(f"{result.name} {result.value:,.4g} {result.unit}" for result in found)
    console.print(f"{figures}  [{os.times().elapsed - before:.0f} s]", highlight=False, markup=False)


def _show(results: list[Result]) -> None:
    table = Table(title="haqactor, 3 nodes, confirm = quorum + fsync" + (" (QUICK)" if QUICK else ""))
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("of the ceiling", justify="right")
    for result in results:
        ratio = result.ratio_to.get("ceiling")
        table.add_row(
            result.name,
            f"{result.value:,.4g}" if result.value < 100 else f"{result.value:,.0f}",
            result.unit,
            "" if ratio is None else f"{ratio:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
