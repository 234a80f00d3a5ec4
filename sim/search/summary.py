"""What a swarm says: how many seeds ended how, what went wrong in them how often, and what never did.

One rule: what was asked for and did not happen is named; a fault that never fired has not been tried.
"""

from dataclasses import dataclass, field
from statistics import median_low
from typing import Any, Final

from haqactor.sim.search.families import families
from haqactor.sim.search.seedrun import CORES, NODES, Outcome, interned
from haqactor.sim.verdict import Verdict

_HOUR_NS: Final = 3_600_000_000_000
NO_FAULT: Final = "none"
"""In ``hours_ns``: seeds in which nothing went wrong."""


@dataclass(slots=True)
class Summary:
    """``results``: in the order of seeds; ``interrupted``: Ctrl-C ended it. ``hours_ns``: simulated time of
    the seeds in which a kind of fault fired; ``broken``: how often each invariant was, by kind of fault;
    ``families_ns`` and ``broken_families``: the same by family, see ``families``."""

    profile: str = "swarm"
    bugs: tuple[str, ...] = ()
    simulator: str = NODES
    results: list[Outcome] = field(default_factory=list[Outcome])
    fired: dict[str, int] = field(default_factory=dict[str, int])
    marks: dict[str, int] = field(default_factory=dict[str, int])
    hours_ns: dict[str, int] = field(default_factory=dict[str, int])
    seeds_with: dict[str, int] = field(default_factory=dict[str, int])
    broken: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    families_ns: dict[str, int] = field(default_factory=dict[str, int])
    broken_families: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    interrupted: bool = False
    wall_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """One more seed."""
        outcome.fired, outcome.marks = interned(outcome.fired), interned(outcome.marks)
        self.results.append(outcome)
        _count(self.fired, outcome.fired)
        _count(self.marks, outcome.marks)
        for kind in outcome.fired or (NO_FAULT,):
            _count(self.hours_ns, {kind: outcome.simulated_ns})
            _count(self.seeds_with, {kind: 1})
            if outcome.verdict.failed:
                _count(self.broken.setdefault(outcome.invariant, {}), {kind: 1})
        for name in families(outcome.fired):
            _count(self.families_ns, {name: outcome.simulated_ns})
            if outcome.verdict.failed:
                _count(self.broken_families.setdefault(outcome.invariant, {}), {name: 1})

    @property
    def failures(self) -> list[Outcome]:
        """The seeds that failed, in order."""
        return [outcome for outcome in self.results if outcome.verdict.failed]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many seeds ended how; only what happened."""
        found = {verdict.value: 0 for verdict in Verdict}
        for outcome in self.results:
            found[outcome.verdict.value] += 1
        return {name: count for name, count in found.items() if count}

    @property
    def verdict(self) -> Verdict:
        """Of all of it: the first failure's; undetermined where nothing failed and something was not judged,
        or nothing ran."""
        for outcome in self.results:
            if outcome.verdict.failed:
                return outcome.verdict
        if not self.results or any(each.verdict is Verdict.UNDETERMINED for each in self.results):
            return Verdict.UNDETERMINED
        return Verdict.PASS

    @property
    def never_fired(self) -> list[str]:
        """Kinds of faults that the profile has and no seed saw."""
        return [kind for kind in expected(self.profile, self.simulator) if not self.fired.get(kind)]

    @property
    def unreached(self) -> list[str]:
        """Marks that no seed reached, though neither impossible nor rare."""
        if self.simulator == CORES:
            return []
        from haqactor.sim.marks import unreached

        return unreached(self.marks)

    @property
    def missed_rarely(self) -> list[str]:
        """Marks that few seeds reach, and none of these did."""
        if self.simulator == CORES:
            return []
        from haqactor.sim.marks import missed_rarely

        return missed_rarely(self.marks)

    @property
    def confirmed_median(self) -> int:
        """Of publishes in a seed."""
        return median_low([outcome.confirmed for outcome in self.results]) if self.results else 0

    @property
    def simulated_hours(self) -> float:
        """In all."""
        return sum(outcome.simulated_ns for outcome in self.results) / _HOUR_NS

    @property
    def cpu_s(self) -> float:
        """In all, of the runs themselves."""
        return sum(outcome.cpu_s for outcome in self.results)

    @property
    def seeds_per_s(self) -> float:
        """On the wall."""
        return len(self.results) / self.wall_s if self.wall_s else 0.0

    def to_json(self) -> dict[str, Any]:
        """As ``haq sim swarm -o json`` prints it, and ``haq sim guarantees`` reads it."""
        seeds = [outcome.seed for outcome in self.results]
        return {
            "simulator": self.simulator,
            "profile": self.profile,
            "bugs": list(self.bugs),
            "verdict": self.verdict.value,
            "seeds": len(seeds),
            "first_seed": min(seeds, default=None),
            "last_seed": max(seeds, default=None),
            "verdicts": self.verdicts,
            "faults": dict(sorted(self.fired.items())),
            "never_fired": self.never_fired,
            "marks": dict(sorted(self.marks.items())),
            "unreached": self.unreached,
            "missed_rarely": self.missed_rarely,
            "confirmed_median": self.confirmed_median,
            "messages": sum(outcome.messages for outcome in self.results),
            "simulated_hours": round(self.simulated_hours, 4),
            "hours": {kind: round(ns / _HOUR_NS, 4) for kind, ns in sorted(self.hours_ns.items())},
            "seeds_with": dict(sorted(self.seeds_with.items())),
            "broken": {name: dict(sorted(row.items())) for name, row in sorted(self.broken.items())},
            "families": {name: round(ns / _HOUR_NS, 4) for name, ns in sorted(self.families_ns.items())},
            "broken_families": {
                name: dict(sorted(row.items())) for name, row in sorted(self.broken_families.items())
            },
            "run_twice": sum(outcome.checked for outcome in self.results),
            "cpu_s": round(self.cpu_s, 3),
            "wall_s": round(self.wall_s, 3),
            "seeds_per_s": round(self.seeds_per_s, 3),
            "interrupted": self.interrupted,
            "undetermined": [
                {"seed": outcome.seed, "why": outcome.message}
                for outcome in self.results
                if outcome.verdict is Verdict.UNDETERMINED
            ],
            "failures": [outcome.to_json() for outcome in self.failures],
        }


def expected(profile: str, simulator: str = NODES) -> tuple[str, ...]:
    """The kinds of faults that seeds of a profile draw from."""
    if simulator == CORES:
        from haqactor.sim.cores.plan import KINDS

        return KINDS.get(profile, ())
    from haqactor.sim.profiles import PROFILES

    return PROFILES.get(profile, ())


def _count(into: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        into[name] = into.get(name, 0) + count
