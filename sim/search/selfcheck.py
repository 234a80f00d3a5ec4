"""Whether a seed alone decides: the same seeds in several processes that differ in everything that must not
matter.

One rule: a difference is not only counted: the two runs are made again as they were, recorded, and the first
event in which they differ is shown.

The processes differ in their hash seeds, in what is on their heaps, and in what they ran before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from haqactor.sim.failure.diff import first_divergence, report
from haqactor.sim.keyed import keyed
from haqactor.sim.search.pool import CPU_LIMIT_S, Done, Pool
from haqactor.sim.search.stopwatch import wall_s
from haqactor.sim.trace import Event

PROCESSES: Final = 3
BATCH: Final = 20
"""Seeds that a process runs before it makes way for a fresh one."""
_BALLAST: Final = 20_000

Subject: TypeAlias = Callable[[int, str, bool], tuple[str, str, list[Event]]]
"""Runs (seed, profile, recording?): the digest, what was found wrong (nothing: an empty text), and the events
where they were asked for."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A seed that went several ways. ``digests`` and ``hash_seeds``: by process; ``where``: the first
    difference, for people, or why it is not known."""

    seed: int
    digests: tuple[str, ...]
    hash_seeds: tuple[str, ...]
    where: str


@dataclass(slots=True)
class Checked:
    """``seeds``: those that ran in all processes; ``errors``: of runs that did not end, with their seeds;
    ``alarms``: what a run found wrong, by seed, which is no difference and does not count as one."""

    seeds: int = 0
    processes: int = PROCESSES
    mismatches: list[Mismatch] = field(default_factory=list[Mismatch])
    errors: list[str] = field(default_factory=list[str])
    alarms: dict[int, str] = field(default_factory=dict[int, str])
    cpu_s: float = 0.0
    wall_s: float = 0.0
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Did every seed go one way?"""
        return bool(self.seeds) and not self.mismatches and not self.errors


# -- in a worker


def nodes(seed: int, profile: str, recording: bool) -> tuple[str, str, list[Event]]:
    """A cluster of whole nodes."""
    from haqactor.sim.run import run

    result = run(seed, profile, recording=recording)
    wrong = str(result.verdict) if result.verdict.failed else ""
    return result.digest, wrong, [] if result.trace is None else result.trace.events


def cores(seed: int, profile: str, _recording: bool) -> tuple[str, str, list[Event]]:
    """The pure cores, which keep no events."""
    from haqactor.sim.cores.run import run

    verdict = run(seed, profile)
    return verdict.digest, verdict.invariant or "", []


def digests(subject: Subject, seeds: Sequence[int], profile: str, process: int) -> dict[int, tuple[str, str]]:
    """Run seeds one after the other, each process in another order, on a heap full of holes. By seed: the
    digest, and what was found wrong."""
    _holes = _ballast(seeds, process)
    return {seed: subject(seed, profile, False)[:2] for seed in _order(seeds, process)}


def events(subject: Subject, seeds: Sequence[int], profile: str, process: int, wanted: int) -> list[Event]:
    """The same up to and with ``wanted``, which is recorded."""
    _holes = _ballast(seeds, process)
    for seed in _order(seeds, process):
        if seed == wanted:
            return subject(seed, profile, True)[2]
        subject(seed, profile, False)
    return []


def _order(seeds: Sequence[int], process: int) -> list[int]:
    order = list(seeds)
    if process:
        keyed(process, "order", *seeds).shuffle(order)
    return order


def _ballast(seeds: Sequence[int], process: int) -> list[object]:
    """Objects with gaps between them, so that addresses differ from process to process."""
    stream = keyed(process, "ballast", *seeds)
    made: list[object] = [
        bytearray(stream.randrange(1, 600)) if stream.random() < 0.5 else {} for _ in range(_BALLAST)
    ]
    return [each for each in made if stream.random() < 0.4]


# -- in the process that asks


def selfcheck(
    seeds: Sequence[int],
    profile: str = "swarm",
    *,
    jobs: int = 2,
    processes: int = PROCESSES,
    batch: int = BATCH,
    subject: Subject = nodes,
    progress: Callable[[int], object] | None = None,
) -> Checked:
    """Run every seed in so many processes; ``progress`` is told of each run that ended. ``batch``: how many
    seeds each process runs. Ctrl-C ends it early."""
    began = wall_s()
    found = Checked(processes=processes)
    with Pool(jobs, hash_seeds=("random",), fresh=True) as pool:
        try:
            _Check(pool, found, (subject, profile), progress).go(
                [tuple(seeds[at : at + batch]) for at in range(0, len(seeds), batch)]
            )
        except KeyboardInterrupt:
            found.interrupted = True
    found.wall_s = wall_s() - began
    return found


class _Check:
    def __init__(
        self,
        pool: Pool,
        found: Checked,
        what: tuple[Subject, str],
        progress: Callable[[int], object] | None,
    ) -> None:
        self._pool = pool
        self._found = found
        self._subject, self._profile = what
        self._progress = progress

    def go(self, batches: list[tuple[int, ...]]) -> None:
        """Every batch in every process; what differs is looked at as soon as it is known."""
        processes = range(self._found.processes)
        waiting = [(batch, process) for batch in batches for process in processes]
        came: dict[tuple[int, ...], dict[int, Done]] = {}
        while waiting or self._pool.busy:
            while waiting and self._pool.free:
                self._submit(*waiting.pop(0))
            for done in self._pool.wait():
                batch, process = done.key
                self._found.cpu_s += done.cpu_s
                if self._progress is not None:
                    self._progress(len(batch))
                row = came.setdefault(batch, {})
                row[process] = done
                if len(row) == len(processes):
                    del came[batch]
                    self._compare(batch, [row[process] for process in processes])

    def _submit(self, batch: tuple[int, ...], process: int) -> None:
        limit_s = CPU_LIMIT_S * len(batch)
        key = batch, process
        self._pool.submit(key, digests, self._subject, batch, self._profile, process, limit_s=limit_s)

    def _compare(self, batch: tuple[int, ...], row: list[Done]) -> None:
        errors = [done.error for done in row if done.error]
        if errors:
            self._found.errors.append(f"seeds {batch[0]} to {batch[-1]}: {errors[0]}")
            return
        self._found.seeds += len(batch)
        for seed in batch:
            ways = [done.value[seed][0] for done in row]
            wrong = next((text for text in (done.value[seed][1] for done in row) if text), "")
            if wrong:
                self._found.alarms[seed] = wrong
            other = next((process for process, way in enumerate(ways) if way != ways[0]), None)
            if other is not None:
                hash_seeds = tuple(done.hash_seed for done in row)
                where = self._where(batch, seed, (0, other), hash_seeds)
                self._found.mismatches.append(Mismatch(seed, tuple(ways), hash_seeds, where))

    def _where(
        self, batch: tuple[int, ...], seed: int, pair: tuple[int, int], hash_seeds: tuple[str, ...]
    ) -> str:
        """Make both runs again, recorded, each in a process as it was."""
        found: list[list[Event]] = []
        for process in pair:
            given = self._subject, batch, self._profile, process, seed
            done = _alone(hash_seeds[process], events, *given, limit_s=CPU_LIMIT_S * len(batch))
            if done.error:
                return f"it could not be recorded: {done.error}"
            found.append(done.value)
        divergence = first_divergence(found[0], found[1])
        if divergence is None:
            return "recorded, both went the same way" if found[0] else "there are no events to compare"
        return report(divergence, *(f"process {process}" for process in pair))


def recorded_twice(run: Callable[..., list[Event]], *given: Any) -> list[list[Event]]:
    """What ``run`` returns for ``given`` in two processes with different hash seeds. Raises RuntimeError
    where one of them did not end."""
    found: list[list[Event]] = []
    for hash_seed in ("0", "20240229"):
        done = _alone(hash_seed, run, *given)
        if done.error:
            raise RuntimeError(done.error)
        found.append(done.value)
    return found


def _alone(hash_seed: str, function: Callable[..., Any], *given: Any, limit_s: float = CPU_LIMIT_S) -> Done:
    with Pool(1, hash_seeds=(hash_seed,)) as pool:
        pool.submit(None, function, *given, limit_s=limit_s)
        while True:
            for done in pool.wait():
                return done
