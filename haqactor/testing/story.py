"""A failed run, told: the report for a terminal and the page for a browser.

One rule: both come from the simulator's own report; a scenario's failure is an artefact like any other.
"""

from collections.abc import Sequence

from haqactor.sim.failure.artefact import Artefact
from haqactor.sim.failure.contradiction import records
from haqactor.sim.failure.diff import first_divergence
from haqactor.sim.failure.diff import report as difference
from haqactor.sim.report.frames import Frames
from haqactor.sim.report.html import page
from haqactor.sim.report.text import report
from haqactor.sim.trace import Event, Trace
from haqactor.sim.verdict import Verdict
from haqactor.testing.failure import Stuck
from haqactor.testing.run import Ending


def artefact(ending: Ending) -> Artefact:
    """Of a run that was recorded."""
    events, _frames = _seen(ending)
    violation = ending.violations[0] if ending.violations else None
    verdict = Verdict.LIVENESS if isinstance(ending.error, Stuck) else Verdict.CRASH
    if violation is not None:
        verdict = Verdict.SAFETY if violation.invariant.startswith("S") else Verdict.LIVENESS
    message = violation.text if violation is not None else f"{type(ending.error).__name__}: {ending.error}"
    return Artefact(
        seed=ending.seed,
        profile=ending.profile,
        run=ending.drawn,
        verdict=verdict,
        digest=ending.digest,
        invariant="" if violation is None else violation.invariant,
        message=message,
        at_ns=ending.at_ns,
        event=ending.event,
        records=() if violation is None else records(violation, events),
    )


def text(ending: Ending, again: str, where: str = "") -> str:
    """At most 25 lines. ``again``: how to see it again; ``where``: the path of the page."""
    events, frames = _seen(ending)
    return report(artefact(ending), events, replay=again, html=where, describe=frames)


def html(ending: Ending, again: str) -> str:
    """One file, for a browser."""
    events, frames = _seen(ending)
    return page(artefact(ending), events, clients=ending.clients, replay=again, describe=frames)


def parting(first: Ending, second: Ending) -> str:
    """Where two runs of one seed went apart."""
    return difference(first_divergence(_seen(first)[0], _seen(second)[0]), "one run", "another")


def _seen(ending: Ending) -> tuple[Sequence[Event], Frames]:
    trace = ending.trace or Trace()
    return trace.events, Frames(trace.events, trace.bodies)
