"""``python -m benchmarks.peers``: a look at some rows or peers, haqactor beside them; everything together
is ``python -m benchmarks``. Writes the same files.

One rule: a peer that is not installed is named, with what to do about it; a look with a part of the messages
makes no ratios.
"""

import argparse

from rich.console import Console

from benchmarks.figures import OURS
from benchmarks.peers.registry import PEERS, Peer
from benchmarks.peers.rows import PROGRAMS, program_of
from benchmarks.report import finish
from benchmarks.run import Run, skipped, turns_of


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


def main() -> None:
    """See ``report.finish``."""
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
    ours = not wanted.only or OURS in wanted.only
    present = [peer for peer in peers if peer.name not in absent]
    turns = turns_of(["ceiling", *rows], present, ours=ours, scale=wanted.scale)
    finish(Run(console), turns, scale=wanted.scale)


def _list(peers: list[Peer], rows: list[str], absent: dict[str, str]) -> None:
    for peer in peers:
        having = [row for row in rows if row in peer.programs]
        print(f"{peer.name} ({peer.client} client): {', '.join(having)}")
    for row in rows:
        print(f"{row}: {', '.join(PROGRAMS[row][0])}")
    for reason in absent.values():
        print(reason)


if __name__ == "__main__":
    main()
