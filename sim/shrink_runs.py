"""Shrinks failures of whole clusters.

One rule: what is handed back was run once more, with its trace recorded, and failed in the same way.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from haqactor.sim.artefact import Artefact
from haqactor.sim.drawn import Drawn
from haqactor.sim.replay import of
from haqactor.sim.run import Result, run
from haqactor.sim.shrink import BUDGET, NotReproduced, Step, shrink

BUDGET_S: Final = 90.0


def shrink_failure(
    failed: Artefact,
    *,
    cpu_s: Callable[[], float] = lambda: 0.0,
    budget_s: float = BUDGET_S,
    budget: int = BUDGET,
    progress: Callable[[Step], None] | None = None,
) -> tuple[Artefact, Result]:
    """The smallest failure that was found, and its run with the trace recorded. ``failed``: see
    ``replay.of``; ``cpu_s``: a clock, such as ``time.process_time``: no run is begun more than ``budget_s``
    seconds later; ``budget``: how many runs at most. Raises NotReproduced."""
    runs = _Runs(failed)
    end_s = cpu_s() + budget_s
    found = shrink(
        failed.run,
        runs.fails,
        at_ns=failed.at_ns,
        when=lambda: runs.at_ns,
        budget=budget,
        progress=progress,
        stop=lambda: cpu_s() >= end_s,
    )
    best = found.candidate
    if found.at_ns is not None:
        best = replace(best, until_ns=found.at_ns)
    result = run(failed.seed, failed.profile, drawn=best, bugs=failed.bugs, recording=True)
    if kind(result) != runs.wanted:
        raise NotReproduced(f"what was found fails as {kind(result)!r} when it is run again")
    planned = len(failed.run.plan) if failed.planned is None else failed.planned
    return of(
        result, commit=failed.commit, planned=planned, shrink_runs=failed.shrink_runs + found.runs
    ), result


class _Runs:
    """``wanted``: the kind of the failure; ``at_ns``: when the last one like it came, None where only the end
    of the run showed it."""

    def __init__(self, failed: Artefact) -> None:
        self._failed = failed
        self.wanted = _kind(failed.invariant, failed.message)
        self.at_ns: int | None = None

    def fails(self, drawn: Drawn) -> bool:
        """Run it."""
        result = run(self._failed.seed, self._failed.profile, drawn=drawn, bugs=self._failed.bugs)
        if kind(result) != self.wanted:
            return False
        at_end = result.at_ns == result.simulated_ns != drawn.until_ns
        self.at_ns = None if at_end else result.at_ns
        return True


def kind(result: Result) -> str:
    """Two failures of one kind are taken for the same: the invariant; of a program that ended, its error
    without numbers; "" for none."""
    return _kind(result.invariant, result.message) if result.verdict.failed else ""


def _kind(invariant: str, message: str) -> str:
    if invariant != "crash":
        return invariant
    error = message.partition(": ")[2]
    return f"crash {re.sub('[0-9]+', '#', error)[:80]}"
