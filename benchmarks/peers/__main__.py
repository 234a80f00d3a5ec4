"""``python -m benchmarks.peers``: measure haqactor and the peers that are installed, print the table, write
``out/peers.json``, and haqactor's figures with their ratios to each peer's as ``out/results.json`` (the same
form as that of ``python -m benchmarks``, which has more rows, and which it replaces).

One rule: row by row, haqactor and every peer in turn, so that figures that are compared are close in time
(a peer whose single publishes are its batches has one figure for two rows); a peer that is not installed is
named, with what to do about it; a look with a part of the messages makes no ratios.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import trio
from rich.console import Console
from rich.table import Table

from benchmarks import programs
from benchmarks.clusters import OUT
from benchmarks.peers import places
from benchmarks.peers.install import versions
from benchmarks.peers.registry import PEERS, Peer
from benchmarks.peers.rows import PROGRAMS, measure, program_of
from benchmarks.readme import here
from benchmarks.result import QUICK, BenchmarkWrong, Result
from haqactor.cli.groups import leaves


@dataclass(frozen=True, slots=True)
class Figure:
    """One value of one peer."""

    peer: str
    client: str
    name: str
    value: float
    unit: str


OURS: Final = "haqactor"
"""Among the peers' names; its rows are those of ``benchmarks.programs``."""
_PEERS_FILE: Final = "peers.json"
_WIDTH: Final = 160  # of a table that goes into a file


def chosen(only: list[str], rows: list[str]) -> tuple[list[Peer], list[str]]:
    """The peers and the rows that are asked for; all where none is named. Exits for an unknown one."""
    unknown = [name for name in only if name not in (OURS, *PEERS)]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; known are {', '.join((OURS, *PEERS))}")
    try:
        programs = {program_of(row) for row in rows}
    except KeyError as error:
        figures = [figure for figures, _ in PROGRAMS.values() for figure in figures]
        raise SystemExit(f"unknown: {error.args[0]}; known are {', '.join([*PROGRAMS, *figures])}") from None
    peers = [peer for name, peer in PEERS.items() if not only or name in only]
    return peers, [name for name in PROGRAMS if not rows or name in programs]


def skipped(peers: list[Peer]) -> dict[str, str]:
    """Those that cannot be measured, and why."""
    return {
        peer.name: f"{peer.name} is skipped: not installed: {', '.join(missing)}; {places.HOW}"
        for peer in peers
        if (missing := peer.missing())
    }


def measured_twice(peer: Peer, program: str, rows: list[str]) -> bool:
    """Where one figure stands for both, the row of the other has given it already."""
    base = program.removesuffix("-single")
    return peer.single_is_same and base != program and base in rows


def main() -> None:
    """Exit code 1 if a row failed; the others' figures are written all the same."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="PEER", help="repeatable")
    parser.add_argument(
        "--row", action="append", default=[], metavar="NAME", help="a row or a figure; repeatable"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="of a peer's number of messages: 0.01 to see whether it works; no ratios then",
    )
    parser.add_argument("--list", action="store_true", help="name the peers, what they lack, and the rows")
    wanted = parser.parse_args()
    peers, rows = chosen(wanted.only, wanted.row)
    absent = skipped(peers)
    if wanted.list:
        _list(peers, rows, absent)
        return
    console = Console(stderr=True)
    for reason in absent.values():
        console.print(reason, style="yellow", markup=False, highlight=False)
    figures: list[Figure] = []
    failures: list[str] = []
    ours = not wanted.only or OURS in wanted.only
    for row in ["ceiling", *rows]:
        if ours and row in programs.PROGRAMS:
            _run(OURS, row, programs.PROGRAMS[row][1], figures, failures, console)
        for peer in peers:
            if peer.name not in absent and row in peer.programs and not measured_twice(peer, row, rows):
                _run(peer.name, row, partial(measured, peer, row, wanted.scale), figures, failures, console)
    _show(peers, figures)
    OUT.mkdir(exist_ok=True)
    if ours and wanted.scale == 1:
        results = with_ratios(figures)
        (OUT / "results.json").write_text(json.dumps([asdict(each) for each in results], indent=2) + "\n")
    told = {
        "where": here(),
        "versions": versions(),
        "scale": wanted.scale,
        "quick": QUICK,
        "figures": [asdict(each) for each in figures],
    }
    (OUT / _PEERS_FILE).write_text(json.dumps(told, indent=2) + "\n")
    console.print(f"{OUT / _PEERS_FILE}", highlight=False)
    for failure in failures:
        console.print(failure, style="red", markup=False)
    sys.exit(1 if failures else 0)


def _list(peers: list[Peer], rows: list[str], absent: dict[str, str]) -> None:
    for peer in peers:
        having = [row for row in rows if row in peer.programs]
        print(f"{peer.name} ({peer.client} client): {', '.join(having)}")
    for row in rows:
        print(f"{row}: {', '.join(PROGRAMS[row][0])}")
    for reason in absent.values():
        print(reason)


async def measured(peer: Peer, row: str, scale: float) -> list[Result]:
    """One row of a peer."""
    return await measure(peer.name, row, scale=scale) or []


def with_ratios(figures: list[Figure]) -> list[Result]:
    """haqactor's figures, each by the ceiling's, where it moved messages of its size, and by each peer's."""
    results = [Result(each.name, each.value, each.unit) for each in figures if each.peer == OURS]
    programs.add_ratios(results)
    for result in results:
        for other in figures:
            if other.peer != OURS and other.name == result.name and other.value:
                result.ratio_to[other.peer] = result.value / other.value
    return results


def _run(
    name: str,
    row: str,
    program: Callable[[], Awaitable[list[Result]]],
    figures: list[Figure],
    failures: list[str],
    console: Console,
) -> None:
    before = os.times().elapsed

    async def one() -> list[Result]:
        found: list[Result] = []
        async with trio.open_nursery() as nursery:
            await nursery.start(_interrupted)
            found += await program()
            nursery.cancel_scope.cancel()
        return found

    try:
        found = trio.run(one)
    except BaseException as error:  # a row that fails must not hide what the others measured
        errors = leaves(error)
        if any(isinstance(each, KeyboardInterrupt) for each in errors):
            sys.exit(130)
        reason = str(errors[0]) if isinstance(errors[0], BenchmarkWrong) else repr(errors[0])
        failures.append(f"{name}, {row} failed: {reason}")
        return
    client = PEERS[name].client if name in PEERS else "Python"
    figures += [Figure(name, client, each.name, each.value, each.unit) for each in found]
    told = ", ".join(f"{each.name} {each.value:,.4g} {each.unit}" for each in found)
    seconds = os.times().elapsed - before
    console.print(f"{name}: {told}  [{seconds:.0f} s]", highlight=False, markup=False)


async def _interrupted(task_status: trio.TaskStatus[None]) -> None:
    """SIGTERM ends this program as SIGINT does: every server is killed, every file deleted."""
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            raise KeyboardInterrupt


def _show(peers: list[Peer], figures: list[Figure]) -> None:
    names = list(dict.fromkeys(figure.name for figure in figures))
    values = {(figure.peer, figure.name): figure.value for figure in figures}
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    units = {figure.name: figure.unit for figure in figures}
    measured = dict.fromkeys(figure.peer for figure in figures)
    for python in (False, True):
        theirs = [peer.name for peer in peers if peer.name in measured and bool(peer.module) is python]
        shown = [OURS, *theirs] if OURS in measured else theirs
        if not theirs and (python or len(measured) > 1):
            continue
        table = Table(title="haqactor and its peers, 3 nodes each" + (" (QUICK)" if QUICK else ""))
        table.add_column("figure")
        table.add_column("unit")
        for name in shown:
            table.add_column(name, justify="right")
        for name in names:
            row = [values.get((peer, name)) for peer in shown]
            if any(value is not None for value in row[-len(theirs) :]):
                table.add_row(name, units[name], *("" if value is None else _text(value) for value in row))
        console.print(table)


def _text(value: float) -> str:
    return f"{value:,.4g}" if value < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
