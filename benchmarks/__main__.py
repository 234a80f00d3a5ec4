"""``python -m benchmarks``: everything that is installed, in one run: haqactor's programs and, row by row,
those of the peers. Prints tables, writes ``out/results.json`` (haqactor's figures with their ratios to the
ceiling's and to each peer's), ``out/peers.json`` (everyone's) and plots.

One rule: all figures of one table come from one run, since only their ratios mean something on a shared
machine.

``--only NAME`` is a look at some of haqactor's own programs, without peers; ``python -m benchmarks.peers`` is
one at some rows or peers.
"""

import argparse

from rich.console import Console

from benchmarks.peers.registry import PEERS
from benchmarks.programs import PROGRAMS
from benchmarks.report import finish
from benchmarks.run import ROWS, Run, skipped, turns_of


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
    """See ``report.finish``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a program of haqactor's, or a figure, without peers; repeatable",
    )
    parser.add_argument("--without-peers", action="store_true", help="haqactor alone, even where peers are")
    parser.add_argument("--list", action="store_true", help="name the programs and their figures")
    wanted = parser.parse_args()
    if wanted.list:
        for name, (figures, _) in PROGRAMS.items():
            print(f"{name}: {', '.join(figures)}")
        return
    own = chosen(wanted.only)
    alone = wanted.without_peers or bool(wanted.only)
    console = Console(stderr=True)
    peers = [] if alone else list(PEERS.values())
    absent = skipped(peers)
    for reason in absent.values():
        console.print(reason, style="yellow", markup=False, highlight=False)
    present = [peer for peer in peers if peer.name not in absent]
    finish(Run(console), turns_of(own if alone else ROWS, present, ours=True))


if __name__ == "__main__":
    main()
