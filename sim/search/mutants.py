"""The matrix of planted bugs: how many seeds each simulator needs to find each of them, and by what.

One rule: nothing is made easier for a bug: it is hunted through the seeds 0, 1, 2, ... of a profile in which
clean code has to pass, until one of them fails; a seed that fails without the bug as well does not count.

A bug that both simulators have is hunted in the cores first, for they are quicker; then in whole nodes, and
in the cores again. Each bug's seeds come one after the other, several bugs at once.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from haqactor.errors import Conflict
from haqactor.sim.checkers.canary import CANARY, sings
from haqactor.sim.planted.bug import Bug
from haqactor.sim.planted.bugs import BUGS, PLANTED
from haqactor.sim.search.pool import Done, Pool
from haqactor.sim.search.seedrun import CORES, NODES, Outcome, run_cores, run_nodes
from haqactor.sim.search.settings import Settings
from haqactor.sim.search.stopwatch import cpu_s, wall_s
from haqactor.sim.verdict import Verdict

NODES_MAX: Final = 500
CORES_MAX: Final = 5_000
"""Seeds in which a bug must have been found."""
_CORES_FIRST: Final = 400
_BATCH: Final = {NODES: 1, CORES: 20}
SEED_LIMIT_S: Final = 60.0
"""CPU seconds of one seed; a bug that makes it take longer is found by that."""
HANG: Final = "hang"
PROFILE: Final = "swarm"
_CANARIES: Final = 3


@dataclass(frozen=True, slots=True)
class Stage:
    """Seeds ``first`` to ``last`` - 1 of one simulator's profile."""

    simulator: str
    profile: str
    first: int
    last: int


@dataclass(slots=True)
class Row:
    """What became of one bug. ``seeds``: how many were run in the simulator that found it, that one counted;
    where nothing was found, in all. ``checker``: the invariant that was broken; ``fault``: the kinds of
    faults without which that seed does not fail, or "none"; ``fired``: all that came in it. ``alarms``: seeds
    on the way that fail without the bug, too."""

    id: str
    name: str
    killed: bool = False
    seeds: int = 0
    checker: str = ""
    fault: str = ""
    simulator: str = ""
    profile: str = ""
    seed: int | None = None
    message: str = ""
    fired: tuple[str, ...] = ()
    cpu_s: float = 0.0
    alarms: list[int] = field(default_factory=list[int])

    def to_json(self) -> dict[str, Any]:
        """As ``haq sim mutants -o json`` prints it."""
        return {
            "id": self.id,
            "killed": self.killed,
            "seeds": self.seeds,
            "checker": self.checker,
            "fault": self.fault,
            "name": self.name,
            "simulator": self.simulator,
            "profile": self.profile,
            "seed": self.seed,
            "cpu_s": round(self.cpu_s, 2),
            "alarms": self.alarms,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How hard is looked: ``nodes_max``, ``cores_max``: seeds. ``budget_s``: nothing new is begun after so
    many seconds; None: no bound. ``reduce``: find out which faults are needed."""

    nodes_max: int = NODES_MAX
    cores_max: int = CORES_MAX
    budget_s: float | None = None
    reduce: bool = True


@dataclass(slots=True)
class Try:
    """What a worker found in a batch: the seeds it ran, and the one that failed. ``alarms``: seeds that fail
    without the bug as well, which finds nothing but a bug of ours."""

    seeds: int
    cpu_s: float
    found: Outcome | None = None
    needed: str = ""
    alarms: tuple[int, ...] = ()


@dataclass(slots=True)
class _Hunt:
    """One bug under way."""

    bug: Bug
    row: Row
    batches: Iterator[tuple[Stage, int, int]]
    tried: dict[str, int] = field(default_factory=dict[str, int])


OnRow = Callable[[Row], object]


def stages(bug: Bug, rules: Rules) -> list[Stage]:
    """Where a bug is hunted, in order."""
    first = min(_CORES_FIRST, rules.cores_max)
    found: list[Stage] = []
    if bug.profile:
        found.append(Stage(CORES, bug.profile, 0, first))
    if bug.nodes:
        found.append(Stage(NODES, bug.nodes, 0, rules.nodes_max))
    if bug.profile:
        found.append(Stage(CORES, bug.profile, first, rules.cores_max))
    return found


def _batches(where: Iterable[Stage]) -> Iterator[tuple[Stage, int, int]]:
    for stage in where:
        size = _BATCH[stage.simulator]
        for first in range(stage.first, stage.last, size):
            yield stage, first, min(stage.last, first + size)


def attempt(simulator: str, profile: str, name: str, first: int, last: int, reduce: bool) -> Try:
    """Run seeds with a bug until one fails. In a worker."""
    began = cpu_s()
    run = run_nodes if simulator == NODES else run_cores
    alarms: list[int] = []
    for seed in range(first, last):
        outcome = run(seed, profile, Settings(), (name, *beside(name)))
        if outcome.verdict.failed:
            if run(seed, profile, Settings(), ()).verdict.failed:
                alarms.append(seed)
                continue
            if beside(name) and run(seed, profile, Settings(), beside(name)).verdict.failed:
                continue
            needed = ""
            if reduce:
                needed = (_needed_by_nodes if simulator == NODES else _needed_by_cores)(
                    outcome, profile, name
                )
            return Try(seed - first + 1, cpu_s() - began, outcome, needed, tuple(alarms))
    return Try(last - first, cpu_s() - began, alarms=tuple(alarms))


def beside(name: str) -> tuple[str, ...]:
    """What is switched on together with a bug."""
    bug = BUGS.get(name)
    return () if bug is None else bug.beside


def least(kinds: tuple[str, ...], fails: Callable[[tuple[str, ...]], bool]) -> str:
    """The kinds without which a run does not fail: none of them, one of them, or what is left when they are
    left out one after the other."""
    if not kinds or fails(()):
        return "none"
    for kind in kinds:
        if fails((kind,)):
            return kind
    left = kinds
    for kind in kinds:
        fewer = tuple(each for each in left if each != kind)
        if fails(fewer):
            left = fewer
    return ", ".join(left)


def _needed_by_nodes(outcome: Outcome, profile: str, name: str) -> str:
    """Kinds of the plan, and names of chances."""
    from haqactor.sim.profiles import draw
    from haqactor.sim.run import run

    drawn = draw(outcome.seed, profile)
    planned = drawn.plan.kinds()

    def fails(kept: tuple[str, ...]) -> bool:
        fewer = replace(
            drawn,
            plan=drawn.plan.where(lambda fault: fault.kind in kept),
            chances={chance: rate for chance, rate in drawn.chances.items() if chance in kept},
        )
        bugs = (name, *beside(name))
        return run(outcome.seed, profile, drawn=fewer, bugs=bugs).invariant == outcome.invariant

    return least((*planned, *sorted(drawn.chances)), fails)


def _needed_by_cores(outcome: Outcome, profile: str, name: str) -> str:
    """Kinds of the plan, and what happens to single messages."""
    from haqactor.sim.cores.plan import draw
    from haqactor.sim.cores.run import run_plan

    plan = draw(outcome.seed, profile)
    rates = {"loss": plan.loss, "repeat": plan.repeat}

    def fails(kept: tuple[str, ...]) -> bool:
        fewer = replace(
            plan,
            faults=tuple(fault for fault in plan.faults if fault.kind in kept),
            loss=plan.loss if "loss" in kept else 0.0,
            repeat=plan.repeat if "repeat" in kept else 0.0,
        )
        return run_plan(fewer, (name,)).invariant == outcome.invariant

    acting = tuple(dict.fromkeys(fault.kind for fault in plan.faults))
    return least((*acting, *(rate for rate, chance in rates.items() if chance)), fails)


class Matrix:
    """Hunts of many bugs in one pool of workers."""

    def __init__(self, names: Iterable[str], rules: Rules, on_row: OnRow | None = None) -> None:
        self._rules = rules
        self._on_row = on_row
        self._rows = {name: Row(BUGS[name].id, name) for name in names}
        self._waiting = [
            _Hunt(BUGS[name], row, _batches(stages(BUGS[name], rules))) for name, row in self._rows.items()
        ]
        self._under_way: dict[str, tuple[_Hunt, Stage, int, int]] = {}
        self._end_s = None if rules.budget_s is None else wall_s() + rules.budget_s

    def run(self, pool: Pool) -> list[Row]:
        """All of them; in the order in which they were named."""
        while True:
            while pool.free and self._waiting:
                self._begin(pool, self._waiting.pop(0))
            if not pool.busy:
                return list(self._rows.values())
            for done in pool.wait():
                self._ended(done)

    def _begin(self, pool: Pool, hunt: _Hunt) -> None:
        late = self._end_s is not None and wall_s() > self._end_s
        batch = None if late else next(hunt.batches, None)
        if batch is None:
            hunt.row.seeds = sum(hunt.tried.values())
            self._tell(hunt.row)
            return
        stage, first, last = batch
        self._under_way[hunt.bug.name] = hunt, stage, first, last
        given = (stage.simulator, stage.profile, hunt.bug.name, first, last, self._rules.reduce)
        pool.submit(hunt.bug.name, attempt, *given, limit_s=SEED_LIMIT_S * _BATCH[stage.simulator])

    def _ended(self, done: Done) -> None:
        hunt, stage, first, last = self._under_way.pop(done.key)
        row, tried = hunt.row, hunt.tried
        if done.error:
            found = Outcome(first, verdict=Verdict.CRASH, invariant=HANG if done.died else "crash")
            found.message = done.error
            result = Try(last - first, done.cpu_s, found)
        else:
            result = done.value
        row.cpu_s += result.cpu_s
        row.alarms += result.alarms
        tried[stage.simulator] = tried.get(stage.simulator, 0) + result.seeds
        if result.found is None:
            self._waiting.append(hunt)
            return
        row.killed, row.seeds = True, tried[stage.simulator]
        row.simulator, row.profile, row.seed = stage.simulator, stage.profile, result.found.seed
        row.checker, row.message = result.found.invariant, result.found.message
        row.fired = tuple(sorted(result.found.fired))
        row.fault = result.needed or ", ".join(row.fired) or "none"
        self._tell(row)

    def _tell(self, row: Row) -> None:
        if self._on_row is not None:
            self._on_row(row)


def mutants(
    names: Iterable[str] = (),
    jobs: int = 2,
    on_row: OnRow | None = None,
    *,
    rules: Rules | None = None,
    pool: Pool | None = None,
) -> list[Row]:
    """Hunt planted bugs by the names of their switches (none: all of them). ``on_row`` is told of each as
    soon as it was found, or given up. Raises KeyError for a bug that does not exist, Conflict in a
    release."""
    if not PLANTED:
        raise Conflict("this is a release, which is built without planted bugs; use a checkout of the source")
    matrix = Matrix(tuple(names) or tuple(BUGS), rules or Rules(), on_row)
    if pool is not None:
        return matrix.run(pool)
    with Pool(jobs) as own:
        return matrix.run(own)


def canary(profile: str = PROFILE) -> list[tuple[int, bool, bool]]:
    """The simulator on seeds of which some must fail: (seed, must it fail, did it fail for that)."""
    must = _seeds(sings)
    spared = _seeds(lambda seed: not sings(seed))
    told: list[tuple[int, bool, bool]] = []
    for seed in (*must, *spared):
        outcome = run_nodes(seed, profile, Settings(), (CANARY,))
        told.append((seed, sings(seed), outcome.invariant == CANARY))
    return told


def _seeds(wanted: Callable[[int], bool]) -> list[int]:
    found: list[int] = []
    seed = 0
    while len(found) < _CANARIES:
        if wanted(seed):
            found.append(seed)
        seed += 1
    return found
