"""Makes a failure small: the fewest faults, operations and nanoseconds that still break the same promise.

One rule: only what was run and failed in the same way is kept; the result is always a failure that was seen.

A run that does not fail goes on to its end, and so costs most. Hence the order: what comes after the
violation first, then all faults at once, fewer nodes, groups and clients, whole classes of faults, delta
debugging of the plan (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002; the
last faults first, for they are likeliest to matter), fewer operations, a shorter time, the plainest schedule,
round times; and all again until nothing helps or the budget is spent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar

from haqactor.sim.drawn import Drawn
from haqactor.sim.plan import NS, Fault, Plan

T = TypeVar("T")

BUDGET: Final = 300
ROUND_NS: Final = (NS, NS // 10, NS // 100, NS // 1000)
SLACK_NS: Final = NS  #: a smaller run may fail a little later
FINENESS: Final = 16  #: times and numbers are found to within a part of so many


class NotReproduced(Exception):
    """What was to be shrunk does not fail when it is run again: look for nondeterminism first."""


class Step(NamedTuple):
    """After a run: in which phase, how many there were of how many, whether it failed as wanted, and the
    smallest failure so far."""

    phase: str
    runs: int
    budget: int
    failed: bool
    best: Drawn


class Moment(NamedTuple):
    """When a run broke what it did; ``at_end``: its clients had ended, and all was looked at."""

    at_ns: int
    at_end: bool


@dataclass(frozen=True, slots=True)
class Shrunk:
    """``runs``: how many it took; ``complete``: nothing smaller was left to try when it ended; ``moment``:
    when it breaks, where that is known."""

    candidate: Drawn
    runs: int
    complete: bool
    moment: Moment | None = None


def shrink(
    start: Drawn,
    fails: Callable[[Drawn], bool],
    *,
    at_ns: int | None = None,
    when: Callable[[], "Moment"] | None = None,
    budget: int = BUDGET,
    progress: Callable[[Step], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Shrunk:
    """``fails``: runs a candidate and tells whether it breaks the same invariant; it must be deterministic.
    ``at_ns``: when ``start`` broke it, if that is known; ``when``: when the last run that failed broke it;
    ``budget``: how often ``fails`` is called at most, the first run of ``start`` included; ``stop``: asked
    before each run, ends the search early. Raises NotReproduced when ``start`` does not fail."""
    search = _Search(start, fails, when, budget, progress, stop)
    try:
        if not search.tries(start):
            raise NotReproduced("it does not fail when it is run again")
        if at_ns is not None and (not start.until_ns or at_ns + SLACK_NS < start.until_ns):
            search.phase = "after the violation"
            search.tries(_until(start, at_ns + SLACK_NS))
        before = None
        while before != search.best:
            before = search.best
            for phase in _PHASES:
                search.phase = phase.__name__.removeprefix("_").replace("_", " ")
                phase(search)
    except _Spent:
        return Shrunk(search.best, search.runs, complete=False, moment=search.moment)
    return Shrunk(search.best, search.runs, complete=True, moment=search.moment)


def same_invariant(run: Callable[[Drawn], str | None], invariant: str) -> Callable[[Drawn], bool]:
    """``fails`` for ``shrink``: ``run`` returns the id of what was broken, None for nothing. Another failure
    than the one that is looked for does not count."""
    return lambda candidate: run(candidate) == invariant


def ddmin(items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """A part of ``items`` that fails and from which no single one can be taken away. ``items`` itself is
    taken to fail; nothing at all is tried first."""
    kept: tuple[T, ...] = tuple(items)
    if not kept or fails(()):
        return ()
    pieces = 2
    while len(kept) > 1:
        chunks = _chunks(kept, pieces)
        found = _first(chunks[::-1], fails)
        if found is not None:
            kept, pieces = found, 2
            continue
        rests = [_without(chunks, place) for place in range(pieces)] if pieces > 2 else []
        found = _first(rests, fails)
        if found is not None:
            kept, pieces = found, pieces - 1
        elif pieces == len(kept):
            break
        else:
            pieces = min(2 * pieces, len(kept))
    return kept


def _chunks(items: tuple[T, ...], pieces: int) -> list[tuple[T, ...]]:
    bounds = [len(items) * number // pieces for number in range(pieces + 1)]
    return [items[low:high] for low, high in pairwise(bounds)]


def _first(parts: list[tuple[T, ...]], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...] | None:
    return next((part for part in parts if fails(part)), None)


def _without(chunks: list[tuple[T, ...]], place: int) -> tuple[T, ...]:
    return tuple(item for other, chunk in enumerate(chunks) if other != place for item in chunk)


def _until(candidate: Drawn, end_ns: int) -> Drawn:
    plan = candidate.plan.where(lambda fault: fault.at_ns <= end_ns)
    return replace(candidate, until_ns=end_ns, plan=plan)


def _safety(candidate: Drawn, end_ns: int) -> Drawn:
    plan = candidate.plan.where(lambda fault: fault.at_ns <= end_ns)
    return replace(candidate, safety_ns=end_ns, plan=plan)


class _Spent(Exception):
    """No run is left."""


@dataclass(slots=True)
class _Search:
    best: Drawn
    fails: Callable[[Drawn], bool]
    when: Callable[[], Moment] | None
    budget: int
    progress: Callable[[Step], None] | None
    stop: Callable[[], bool] | None
    phase: str = "first run"
    runs: int = 0
    moment: Moment | None = None
    known: dict[str, bool] = field(default_factory=dict[str, bool])
    moments: dict[str, Moment | None] = field(default_factory=dict[str, "Moment | None"])

    def tries(self, candidate: Drawn) -> bool:
        """Whether it fails, too; then it is the best from now on. What was run before is not run again."""
        key = self._key(candidate)
        failed = self.known.get(key)
        if failed is None:
            if self.runs >= self.budget or (self.stop is not None and self.stop()):
                raise _Spent
            self.runs += 1
            failed = self.known[key] = self.fails(candidate)
            if failed:
                self.moments[key] = None if self.when is None else self.when()
                self._keep(candidate, self.moments[key])
            if self.progress is not None:
                self.progress(Step(self.phase, self.runs, self.budget, failed, self.best))
        elif failed:
            self._keep(candidate, self.moments[key])
        return failed

    def _key(self, candidate: Drawn) -> str:
        """Where runs end soon after the violation, the end only ever comes earlier: it decides nothing."""
        return candidate.key() if self.when is None else replace(candidate, until_ns=0).key()

    def _keep(self, candidate: Drawn, moment: Moment | None) -> None:
        """What comes after the violation had no part in it."""
        self.best, self.moment = candidate, moment
        if moment is not None:
            end_ns = moment.at_ns + SLACK_NS
            self.best = _until(candidate, min(candidate.until_ns or end_ns, end_ns))

    def lowers(self, high: int, make: Callable[[int], Drawn]) -> None:
        """Find a small number with which it still fails, from 0 up to ``high``, which is known to fail."""
        low = -1
        while high > 0 and high - low > max(1, high // FINENESS):
            middle = (low + high) // 2
            if self.tries(make(middle)):
                high = middle
            else:
                low = middle


def _everything(search: _Search) -> None:
    """Many failures need no fault at all; and what only the end shows need not wait for it long."""
    search.tries(replace(search.best, plan=Plan(), chances={}, limits={}))
    if search.moment is not None and search.moment.at_end:
        last_ns = max((fault.at_ns for fault in search.best.plan), default=0) + NS
        if last_ns < search.best.safety_ns:
            search.tries(_safety(search.best, last_ns))


def _topology(search: _Search) -> None:
    """Fewer nodes, groups, clients and kinds of work: the least of all at once, or one after the other. Where
    only the end shows the failure, somebody has to publish and to consume."""
    fewest = 0 if search.moment is not None and not search.moment.at_end else 1
    least: dict[str, Any] = {name: min(getattr(search.best, name), few) for name, few in _FEW}
    search.tries(replace(search.best, **least, work=()))
    for name, few in (*_FEW, ("nodes", 1), ("producers", fewest), ("consumers", fewest)):
        if few < getattr(search.best, name):
            fewer: dict[str, Any] = {name: few}
            search.tries(replace(search.best, **fewer))

    def work(kinds: tuple[str, ...]) -> bool:
        return search.tries(replace(search.best, work=kinds))

    _greedy(search.best.work, work)
    if search.best.core:
        search.tries(replace(search.best, core=()))


def _fault_classes(search: _Search) -> None:
    """Off all at once, or one after the other: first what goes wrong by chance, then small limits, then kinds
    of the plan, those of the most faults first."""

    def chances(kinds: tuple[str, ...]) -> bool:
        rates = {kind: search.best.chances[kind] for kind in kinds}
        return search.tries(replace(search.best, chances=rates))

    def limits(names: tuple[str, ...]) -> bool:
        bounds = {name: search.best.limits[name] for name in names}
        return search.tries(replace(search.best, limits=bounds))

    def planned(kinds: tuple[str, ...]) -> bool:
        plan = search.best.plan.where(lambda fault: fault.kind in kinds)
        return search.tries(replace(search.best, plan=plan))

    counts = dict.fromkeys(search.best.plan.kinds(), 0)
    for fault in search.best.plan:
        counts[fault.kind] += 1
    _greedy(tuple(sorted(search.best.chances)), chances)
    _greedy(tuple(sorted(search.best.limits)), limits)
    _greedy(tuple(sorted(counts, key=lambda kind: (-counts[kind], kind))), planned)


def _greedy(kinds: tuple[str, ...], fails: Callable[[tuple[str, ...]], bool]) -> None:
    if not kinds or fails(()) or len(kinds) == 1:
        return
    for kind in kinds:
        fewer = tuple(other for other in kinds if other != kind)
        if fewer and fails(fewer):
            kinds = fewer


def _plan(search: _Search) -> None:
    """Fewer faults."""
    ddmin(
        search.best.plan.faults,
        lambda faults: search.tries(replace(search.best, plan=Plan(faults))),
    )


def _operations(search: _Search) -> None:
    """Fewer operations of the clients."""
    search.lowers(search.best.operations, lambda count: replace(search.best, operations=count))


def _time(search: _Search) -> None:
    """An earlier end; faults that would come after it fall away."""

    if search.moment is None:
        search.lowers(search.best.until_ns, lambda end_ns: _until(search.best, end_ns))
    elif search.moment.at_end:
        search.lowers(search.best.safety_ns, lambda end_ns: _safety(search.best, end_ns))


def _schedule(search: _Search) -> None:
    """Nothing left to chance in the network and in the order of tasks."""
    for plainer in (
        replace(search.best, steady=True, oldest_first=True),
        replace(search.best, steady=True),
        replace(search.best, oldest_first=True),
    ):
        if search.tries(plainer):
            return


def _round_times(search: _Search) -> None:
    """Times that can be said aloud: all faults at once, then each."""
    for unit_ns in ROUND_NS:
        faults = search.best.plan.faults
        rounded = Plan(tuple(_rounded(fault, unit_ns) for fault in faults))
        if rounded != search.best.plan and search.tries(replace(search.best, plan=rounded)):
            return
        for fault in faults:
            others = search.best.plan.faults
            if fault in others and not _is_round(fault, unit_ns):
                place = others.index(fault)
                changed = (*others[:place], _rounded(fault, unit_ns), *others[place + 1 :])
                search.tries(replace(search.best, plan=Plan(changed)))


def _rounded(fault: Fault, unit_ns: int) -> Fault:
    args = {
        name: _round(span, unit_ns) if name.endswith("_ns") and isinstance(span, int) else span
        for name, span in fault.args.items()
    }
    return replace(fault, at_ns=_round(fault.at_ns, unit_ns), args=args)


def _round(span_ns: int, unit_ns: int) -> int:
    """What is rounder already stays, and so does what would become nothing."""
    if any(span_ns % coarser == 0 for coarser in ROUND_NS if coarser >= unit_ns):
        return span_ns
    return (span_ns + unit_ns // 2) // unit_ns * unit_ns or span_ns


def _is_round(fault: Fault, unit_ns: int) -> bool:
    return _rounded(fault, unit_ns) == fault


_FEW: Final = (("nodes", 3), ("groups", 1), ("producers", 1), ("consumers", 1))
_PHASES: Final[tuple[Callable[[_Search], None], ...]] = (
    _everything,
    _topology,
    _fault_classes,
    _plan,
    _operations,
    _time,
    _schedule,
    _round_times,
)
