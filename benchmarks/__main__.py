"""``python -m benchmarks``: run the programs, print the table, write ``out/results.json`` and the plots.

One rule: all figures of one table come from one run, since only their ratios mean something on a shared
machine.
"""

import argparse
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Final

import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import beside, ceiling, comeback, failover, footprint, latency, plots, throughput
from benchmarks.clusters import OUT
from benchmarks.result import QUICK, Result
from haqactor.cli.groups import leaves


async def _ceiling() -> list[Result]:
    OUT.mkdir(exist_ok=True)
    found = await trio.to_thread.run_sync(lambda: ceiling.measure(parent=OUT))
    return [Result("ceiling_100B", found.rate, "msg/s")]


PROGRAMS: Final[dict[str, tuple[tuple[str, ...], Callable[[], Awaitable[list[Result]]]]]] = {
    "ceiling": (("ceiling_100B",), _ceiling),
    "publish": (("publish_100B",), throughput.publish_100b),
    "end-to-end": (
        ("end_to_end_100B", "broker_cpu_s_per_1M", "client_cpu_s_per_1M"),
        throughput.end_to_end_100b,
    ),
    "publish-single": (("publish_100B_single",), throughput.publish_100b_single),
    "end-to-end-single": (("end_to_end_100B_single",), throughput.end_to_end_100b_single),
    "end-to-end-1KiB": (("end_to_end_1KiB",), throughput.end_to_end_1kib),
    "publish-await": (("publish_await",), throughput.publish_await),
    "consume-each": (("consume_each",), throughput.consume_each),
    "latency": (
        ("confirm_p50_ms", "confirm_p99_ms", "confirm_floor_p50_ms", "confirm_floor_p99_ms"),
        latency.confirm_latency,
    ),
    "failover": (
        ("failover_ms_median", "failover_ms_max", "failover_lost", "failover_duplicates"),
        failover.failover,
    ),
    "failover-stop": (
        ("failover_stop_ms_median", "failover_stop_ms_max", "failover_stop_lost", "failover_stop_duplicates"),
        failover.failover_stop,
    ),
    "start": (("start_s", "rss_idle_mb"), footprint.start),
    "memory": (("rss_1M_mb", "rss_1M_beside_cache_mb"), footprint.memory),
    "disk": (("disk_bytes_per_message",), footprint.disk),
    "restart": (("restart_1M_s",), comeback.restart),
    "catch-up": (("catch_up_mb_s",), comeback.catch_up),
    "catch-up-beside-load": (
        (
            "beside_catch_up_mb_s",
            "beside_load",
            "beside_throughput",
            "beside_p99",
            "beside_p99_ms",
            "beside_alone_p99_ms",
        ),
        beside.beside_load,
    ),
}
"""Program to the figures it gives, in the order in which they run."""


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


def add_ratios(results: list[Result]) -> None:
    """To the ceiling, for what moved messages of its size."""
    base = next((result.value for result in results if result.name == "ceiling_100B"), None)
    if not base:
        return
    for result in results:
        if result.unit == "msg/s" and "1KiB" not in result.name:
            result.ratio_to["ceiling"] = result.value / base


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
