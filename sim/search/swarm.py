"""Many seeds at once, in worker processes, and what all of them together say.

One rule: the order of results is the order of seeds, whoever was done first; a seed whose process died has
failed, and so has one that went another way when it was run a second time.

The second run follows FoundationDB's "unseed": a part of the seeds that pass is run again, here by a worker
with another hash seed, and their digests must be the same.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from haqactor.sim.keyed import keyed
from haqactor.sim.search.pool import CPU_LIMIT_S, Done, Pool
from haqactor.sim.search.seedrun import NODES, RUN, Outcome
from haqactor.sim.search.settings import Settings
from haqactor.sim.search.stopwatch import wall_s
from haqactor.sim.search.summary import Summary
from haqactor.sim.verdict import Verdict

AGAIN_SHARE: Final = 0.05
"""Of the seeds that pass: so many are run a second time."""

CRASH: Final = "crash"
"""The invariant of a seed that ended with an error of its own, or took its process with it."""
REPEAT: Final = "repeat"
"""That of a seed which did not go the same way twice."""

OnResult = Callable[[Outcome], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a swarm is run. ``budget_s``: no seed begins after so many seconds; None: all seeds.
    ``stop_early``: after the first failure none begins, and what is under way is given up.
    ``again_share``: see AGAIN_SHARE; ``limit_s``: CPU seconds after which a seed counts as hanging."""

    budget_s: float | None = None
    stop_early: bool = False
    again_share: float = AGAIN_SHARE
    limit_s: float = CPU_LIMIT_S


def swarm(
    seeds: Iterable[int],
    profile: str = "swarm",
    jobs: int = 2,
    bugs: Sequence[str] = (),
    on_result: OnResult | None = None,
    *,
    settings: Settings | None = None,
    simulator: str = NODES,
    rules: Rules | None = None,
    pool: Pool | None = None,
) -> Summary:
    """Run seeds, each once; ``seeds`` may be endless where there is a budget. ``on_result`` is told of each
    in the order of seeds; ``pool``: workers that are there already, and stay; they decide how many ``jobs``
    there are. Ctrl-C ends it early, and the summary says so."""
    begun_s = wall_s()
    summary = Summary(profile=profile, bugs=tuple(bugs), simulator=simulator)
    run = _Swarm(
        iter(seeds), summary, on_result, (profile, settings or Settings(), tuple(bugs)), rules or Rules()
    )
    workers = pool or Pool(jobs)
    try:
        run.go(workers)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        if pool is None:
            workers.close()
        else:
            workers.drop()
        run.flush(all_of_them=True)
        summary.wall_s = wall_s() - begun_s
    return summary


class _Swarm:
    """One swarm under way. A task's key is (seed, is it the second run?)."""

    def __init__(
        self,
        seeds: Iterator[int],
        summary: Summary,
        on_result: OnResult | None,
        given: tuple[str, Settings, tuple[str, ...]],
        rules: Rules,
    ) -> None:
        self._seeds = seeds
        self._summary = summary
        self._on_result = on_result
        self._given = given
        self._rules = rules
        self._function = RUN[summary.simulator]
        self._order: deque[int] = deque()
        self._outcomes: dict[int, Outcome] = {}
        self._done: dict[int, bool] = {}
        self._second: deque[Outcome] = deque()
        self._failed = False
        self._end_s = None if rules.budget_s is None else wall_s() + rules.budget_s

    def go(self, pool: Pool) -> None:
        """Until there is nothing left to do."""
        while not (self._failed and self._rules.stop_early):
            self._fill(pool)
            if not pool.busy:
                return
            for done in pool.wait():
                self._ended(done)
            self.flush()

    def _fill(self, pool: Pool) -> None:
        """Give everybody something to do: a second run where the hash seed is another, else a new seed."""
        while pool.free:
            if self._second and self._submit(pool, self._second[0].seed, self._second[0].hash_seed):
                self._second.popleft()
                continue
            seed = self._next()
            if seed is None:
                return
            self._order.append(seed)
            self._submit(pool, seed)

    def _submit(self, pool: Pool, seed: int, unlike: str | None = None) -> bool:
        key = seed, unlike is not None
        return pool.submit(
            key, self._function, seed, *self._given, limit_s=self._rules.limit_s, unlike=unlike
        )

    def _next(self) -> int | None:
        if self._end_s is not None and wall_s() > self._end_s:
            return None
        return next(self._seeds, None)

    def _ended(self, done: Done) -> None:
        seed, again = done.key
        if done.error:
            lines = done.error.strip().splitlines()
            text = done.error if done.died else f"{lines[-1]}\n{done.error}"
            outcome = Outcome(seed, Verdict.CRASH, simulator=self._summary.simulator, invariant=CRASH)
            outcome.message, outcome.cpu_s = text.strip(), done.cpu_s
        else:
            outcome = done.value
        outcome.hash_seed = done.hash_seed
        if again:
            self._compare(self._outcomes[seed], outcome)
            return
        self._outcomes[seed] = outcome
        if not outcome.verdict.failed and keyed(seed, "again").random() < self._rules.again_share:
            self._second.append(outcome)
        else:
            self._complete(outcome)

    def _compare(self, first: Outcome, second: Outcome) -> None:
        first.checked = True
        if second.digest != first.digest:
            first.verdict, first.invariant = Verdict.NONDETERMINISM, REPEAT
            first.message = (
                f"a second run went another way: trace {first.digest} in a process with hash seed "
                f"{first.hash_seed}, {second.digest or second.message} in one with {second.hash_seed}"
            )
        self._complete(first)

    def _complete(self, outcome: Outcome) -> None:
        self._done[outcome.seed] = True
        self._failed = self._failed or outcome.verdict.failed

    def flush(self, *, all_of_them: bool = False) -> None:
        """Hand over what is complete, in order; ``all_of_them``: also what is not, and what comes after
        something that is missing."""
        while self._order:
            seed = self._order[0]
            outcome = self._outcomes.get(seed)
            if not all_of_them and seed not in self._done:
                return
            self._order.popleft()
            self._outcomes.pop(seed, None)
            self._done.pop(seed, None)
            if outcome is not None:
                self._summary.add(outcome)
                if self._on_result is not None:
                    self._on_result(outcome)
