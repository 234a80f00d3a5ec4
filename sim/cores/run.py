"""One seed from beginning to end, and what came of it.

One rule: a run never raises; whatever went wrong in it is its verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from haqactor.errors import Error, InvalidArgument
from haqactor.sim.cores import phases
from haqactor.sim.cores.checkers import ALL
from haqactor.sim.cores.harness import Harness
from haqactor.sim.cores.plan import Plan, draw
from haqactor.sim.cores.watch import Checker, Violation
from haqactor.sim.planted.bugs import BUGS

CRASHED = "crash"
"""The invariant of a run in which a core itself found that something is broken, or raised anything."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``invariant``: which one does not hold (S1, L2, ..., or CRASHED); None: all hold. ``text``: how.
    ``digest``: of all that happened; ``counts``, ``marks``, ``faults``: how often what did."""

    seed: int
    profile: str
    invariant: str | None
    text: str
    digest: str
    at_ns: int
    counts: dict[str, int] = field(default_factory=dict[str, int])
    marks: dict[str, int] = field(default_factory=dict[str, int])
    faults: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def ok(self) -> bool:
        """Do all invariants hold?"""
        return self.invariant is None


def run(
    seed: int,
    profile: str = "swarm",
    bugs: Sequence[str] = (),
    *,
    checkers: Sequence[type[Checker]] = ALL,
) -> Verdict:
    """The run of a seed. Raises KeyError, InvalidArgument for a profile or bug that does not exist."""
    return run_plan(draw(seed, profile), bugs, checkers=checkers)


def run_plan(plan: Plan, bugs: Sequence[str] = (), *, checkers: Sequence[type[Checker]] = ALL) -> Verdict:
    """The run of a plan, which may have been changed since it was drawn."""
    harness = Harness(plan, bugs, checkers)
    invariant: str | None = None
    text = ""
    try:
        phases.safety(harness)
        phases.liveness(harness)
    except Violation as violation:
        invariant, text = violation.invariant, violation.text
    except (
        Error,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        invariant, text = CRASHED, f"{type(error).__name__}: {error}"
    return Verdict(
        plan.seed, plan.profile, invariant, text, harness.digest(), harness.timeline.now_ns,
        _counts(harness), harness.marks, harness.faults.fired,
    )  # fmt: skip


def _counts(harness: Harness) -> dict[str, int]:
    marks = harness.marks
    return {
        "messages": harness.delivered + harness.client_messages,
        "raft_messages": harness.delivered,
        "dropped": harness.links.dropped,
        "repeated": harness.links.repeated,
        "entries": len(harness.canon),
        "elections": marks.get("raft.campaign", 0),
        "leaders": marks.get("raft.leader", 0),
        "crashes": sum(replica.boot - 1 for replica in harness.replicas),
        "confirmed": sum(producer.confirmed for producer in harness.producers),
        "syncs": sum(disk.syncs for disk in harness.disks),
    }


def kill(bug: str, seeds_max: int = 5_000) -> tuple[int, str] | None:
    """The first seed that finds a planted bug, and the invariant by which; None: it survived. Raises
    InvalidArgument for a bug that the cores do not have."""
    if not BUGS[bug].profile:
        raise InvalidArgument(f"{bug} is not in the cores: the simulator of whole nodes hunts it")
    for seed in range(seeds_max):
        verdict = run(seed, BUGS[bug].profile, (bug,))
        if verdict.invariant is not None:
            return seed, verdict.invariant
    return None
