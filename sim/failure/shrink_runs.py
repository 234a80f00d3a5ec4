"""Shrinks failures of whole clusters.

One rule: what is handed back was run once more, with its trace recorded, and failed in the same way.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from haqactor.sim.drawn import Drawn
from haqactor.sim.failure.artefact import Artefact
from haqactor.sim.failure.replay import of
from haqactor.sim.failure.shrink import BUDGET, Moment, NotReproduced, Shrunk, Step, shrink
from haqactor.sim.plan import NS
from haqactor.sim.run import Result, run

BUDGET_S: Final = 90.0
HASTE_NS: Final = 15 * NS
"""What does not come to rest within so long is taken not to come to rest at all, until it is small."""


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
    end_s = cpu_s() + budget_s
    runs = _Runs(failed)
    for start in _starts(failed):
        try:
            found = shrink(
                start,
                runs.fails,
                at_ns=failed.at_ns,
                when=lambda: runs.moment,
                budget=budget,
                progress=progress,
                stop=lambda: runs.count > 0 and cpu_s() >= end_s,
            )
        except NotReproduced:
            continue
        result = runs.again(found)
        if kind(result) == runs.wanted:
            planned = len(failed.run.plan) if failed.planned is None else failed.planned
            shrink_runs = failed.shrink_runs + runs.count
            return of(result, commit=failed.commit, planned=planned, shrink_runs=shrink_runs), result
    raise NotReproduced("it does not fail in the same way when it is run again")


def _starts(failed: Artefact) -> Iterator[Drawn]:
    """Who waits for what never happens waits less at first, for most of a run is waiting."""
    if failed.invariant.startswith("L") or failed.invariant == "rest":
        yield replace(failed.run, patience_ns=min(HASTE_NS, failed.run.patience_ns))
    yield failed.run


class _Runs:
    """``wanted``: the kind of the failure; ``moment``: when the last one like it came; ``count``: how many
    there were."""

    def __init__(self, failed: Artefact) -> None:
        self._failed = failed
        self.wanted = _kind(failed.invariant, failed.message)
        self.moment = Moment(0, at_end=False)
        self.count = 0

    def fails(self, drawn: Drawn) -> bool:
        """Run it."""
        self.count += 1
        result = run(self._failed.seed, self._failed.profile, drawn=drawn, bugs=self._failed.bugs)
        if kind(result) != self.wanted:
            return False
        at_ns = result.simulated_ns if result.at_ns is None else result.at_ns
        self.moment = Moment(at_ns, at_ns == result.simulated_ns != drawn.until_ns)
        return True

    def again(self, found: Shrunk) -> Result:
        """Run it to the violation, or as long as it took at first, and record it."""
        at_end = found.moment is None or found.moment.at_end
        until_ns = 0 if found.moment is None or at_end else found.moment.at_ns
        best = replace(found.candidate, until_ns=until_ns, patience_ns=self._failed.run.patience_ns)
        return run(
            self._failed.seed, self._failed.profile, drawn=best, bugs=self._failed.bugs, recording=True
        )


def kind(result: Result) -> str:
    """Two failures of one kind are taken for the same: the invariant; of a program that ended, its error
    without numbers; "" for none."""
    return _kind(result.invariant, result.message) if result.verdict.failed else ""


def _kind(invariant: str, message: str) -> str:
    if invariant != "crash":
        return invariant
    error = message.partition(": ")[2]
    return f"crash {re.sub('[0-9]+', '#', error)[:80]}"
