"""One seed in a worker: run there, and small enough to be handed over.

One rule: what comes back holds what a swarm is told and no more; who wants to see the run makes it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Final

from haqactor.sim.search.settings import Settings
from haqactor.sim.verdict import Verdict

NODES: Final = "nodes"
CORES: Final = "cores"
_MESSAGE_MAX: Final = 2000


@dataclass(slots=True)
class Outcome:
    """``simulator``: NODES or CORES; ``invariant``: what was broken, "" for nothing, ``message``: how;
    ``hash_seed``: of the process that ran it; ``checked``: it was run a second time."""

    seed: int
    verdict: Verdict
    digest: str = ""
    simulator: str = NODES
    invariant: str = ""
    message: str = ""
    at_ns: int | None = None
    confirmed: int = 0
    delivered: int = 0
    events: int = 0
    messages: int = 0
    simulated_ns: int = 0
    cpu_s: float = 0.0
    fired: dict[str, int] = field(default_factory=dict[str, int])
    marks: dict[str, int] = field(default_factory=dict[str, int])
    hash_seed: str = ""
    checked: bool = False

    def to_json(self) -> dict[str, Any]:
        """As ``haq sim run -o json`` prints it."""
        return {
            "seed": self.seed,
            "verdict": self.verdict.value,
            "trace_hash": self.digest,
            "simulated_s": round(self.simulated_ns / 1e9, 3),
            "cpu_s": round(self.cpu_s, 3),
            "messages": self.messages,
            "faults": dict(sorted(self.fired.items())),
            "simulator": self.simulator,
            "invariant": self.invariant,
            "message": self.message,
            "at_s": None if self.at_ns is None else round(self.at_ns / 1e9, 6),
            "confirmed": self.confirmed,
            "delivered": self.delivered,
            "events": self.events,
            "marks": dict(sorted(self.marks.items())),
        }


def outcome_of(result: Any, cpu_s: float) -> Outcome:
    """Of a ``run.Result``."""
    return Outcome(
        seed=result.seed,
        verdict=result.verdict,
        digest=result.digest,
        invariant=result.invariant,
        message=result.message[:_MESSAGE_MAX],
        at_ns=result.at_ns,
        confirmed=result.confirmed,
        delivered=result.delivered,
        events=result.events,
        messages=result.messages,
        simulated_ns=result.simulated_ns,
        cpu_s=cpu_s,
        fired=interned(result.fired),
        marks=interned(result.marks),
    )


def interned(counts: dict[str, int]) -> dict[str, int]:
    """Thousands of seeds share their names."""
    return {intern(str(name)): count for name, count in counts.items()}


def run_nodes(seed: int, profile: str, settings: Settings, bugs: Sequence[str]) -> Outcome:
    """A cluster of whole nodes."""
    from haqactor.sim.run import run
    from haqactor.sim.search.stopwatch import cpu_s

    began = cpu_s()
    result = run(seed, profile, drawn=settings.of(seed, profile), bugs=tuple(bugs))
    return outcome_of(result, cpu_s() - began)


def run_cores(seed: int, profile: str, settings: Settings, bugs: Sequence[str]) -> Outcome:
    """The pure cores alone; they have settings of their own, so ``settings`` must be none."""
    from haqactor.sim.cores.run import CRASHED, run
    from haqactor.sim.search.stopwatch import cpu_s

    if settings.values or settings.chances:
        raise ValueError("the core simulator draws everything from its seed")
    began = cpu_s()
    found = run(seed, profile, bugs)
    invariant = found.invariant or ""
    return Outcome(
        seed=seed,
        verdict=_verdict(invariant, CRASHED),
        digest=found.digest,
        simulator=CORES,
        invariant=invariant,
        message=found.text[:_MESSAGE_MAX],
        at_ns=found.at_ns if invariant else None,
        confirmed=found.counts["confirmed"],
        events=found.counts["messages"],
        messages=found.counts["messages"],
        simulated_ns=found.at_ns,
        cpu_s=cpu_s() - began,
        fired=interned(found.faults),
        marks=interned(found.marks),
    )


def _verdict(invariant: str, crashed: str) -> Verdict:
    if not invariant:
        return Verdict.PASS
    if invariant == crashed:
        return Verdict.CRASH
    return Verdict.SAFETY if invariant.startswith("S") else Verdict.LIVENESS


RUN: Final = {NODES: run_nodes, CORES: run_cores}
