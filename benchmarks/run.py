"""One run: row by row, haqactor and every peer that is installed, in turn.

One rule: figures that are compared are close in time, so the entrants take turns within a row, in a row that
is measured several times as often as it is; one that fails hides nothing of what the others measured.
"""

import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio
from rich.console import Console
from rich.progress import Progress

from benchmarks import programs
from benchmarks.figures import OURS, Figure, medians
from benchmarks.peers import places
from benchmarks.peers.registry import Peer
from benchmarks.peers.rows import PROGRAMS, measure
from benchmarks.result import BenchmarkWrong, Result
from haqactor.cli.groups import leaves

ROWS: Final = tuple(dict.fromkeys([*programs.PROGRAMS, *PROGRAMS]))
"""Every row of haqactor or of a peer, in the order in which they run."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One program of one entrant, to be run once."""

    entrant: str
    client: str
    row: str
    program: Callable[[], Awaitable[list[Result]]]


@dataclass(slots=True)
class Run:
    """What was measured, and what failed. ``figures``: every single one, in the order of the rows."""

    console: Console
    figures: list[Figure] = field(default_factory=list[Figure])
    failures: list[str] = field(default_factory=list[str])
    interrupted: bool = False

    def measure(self, turns: Sequence[Turn]) -> list[Figure]:
        """Run them all, or until the user interrupts; returns the medians."""
        with Progress(console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("", total=len(turns))
            for turn in turns:
                bar.update(task, description=f"{turn.entrant}: {turn.row}")
                self._one(turn)
                if self.interrupted:
                    break
                bar.advance(task)
        return medians(self.figures)

    def _one(self, turn: Turn) -> None:
        before = os.times().elapsed
        try:
            found = trio.run(_interruptible, turn.program)
        except BaseException as error:  # what fails must not hide what the others measured
            errors = leaves(error)
            if any(isinstance(each, KeyboardInterrupt) for each in errors):
                self.interrupted = True
                return
            reason = str(errors[0]) if isinstance(errors[0], BenchmarkWrong) else repr(errors[0])
            self.failures.append(f"{turn.entrant}, {turn.row} failed: {reason}")
            return
        self.figures += [
            Figure(turn.entrant, turn.client, each.name, each.value, each.unit) for each in found
        ]
        told = ", ".join(f"{each.name} {each.value:,.4g} {each.unit}" for each in found)
        seconds = os.times().elapsed - before
        self.console.print(f"{turn.entrant}: {told}  [{seconds:.0f} s]", highlight=False, markup=False)


def turns_of(rows: Sequence[str], peers: Sequence[Peer], *, ours: bool, scale: float = 1.0) -> list[Turn]:
    """Who measures what, in order. ``peers``: those that are installed; ``scale``: of their messages."""
    found: list[Turn] = []
    for row in rows:
        for _ in range(programs.TIMES.get(row, 1)):
            if ours and row in programs.PROGRAMS:
                found.append(Turn(OURS, "Python", row, programs.PROGRAMS[row][1]))
            found += [
                Turn(peer.name, peer.client, row, partial(measured, peer, row, scale))
                for peer in peers
                if row in peer.programs and not measured_twice(peer, row, rows)
            ]
    return found


def measured_twice(peer: Peer, program: str, rows: Sequence[str]) -> bool:
    """Where one figure stands for both, the row of the other has given it already."""
    base = program.removesuffix("-single")
    return peer.single_is_same and base != program and base in rows


async def measured(peer: Peer, row: str, scale: float) -> list[Result]:
    """One row of a peer."""
    return await measure(peer.name, row, scale=scale) or []


def skipped(peers: Sequence[Peer]) -> dict[str, str]:
    """Those that cannot be measured, and why."""
    return {
        peer.name: f"{peer.name} is skipped: not installed: {', '.join(missing)}; {places.HOW}"
        for peer in peers
        if (missing := peer.missing())
    }


async def _interruptible(program: Callable[[], Awaitable[list[Result]]]) -> list[Result]:
    found: list[Result] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(_interrupted)
        found += await program()
        nursery.cancel_scope.cancel()
    return found


async def _interrupted(task_status: trio.TaskStatus[None]) -> None:
    """SIGTERM ends this program as SIGINT does: every server is killed, every file deleted."""
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            raise KeyboardInterrupt
