"""The simulator's own figures: what a CPU second buys.

One rule: each figure is of CPU time on one core, and stands beside what was asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from haqactor.sim.bench import cluster as bench_cluster
from haqactor.sim.bench import cores as bench_cores
from haqactor.sim.bench import network as bench_network
from haqactor.sim.profiles import draw
from haqactor.sim.run import run
from haqactor.sim.search.selfcheck import selfcheck
from haqactor.sim.search.stopwatch import cpu_s


@dataclass(frozen=True, slots=True)
class Figure:
    """``goal``: at least that, or, with ``at_most``, at most; None: none was set."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def to_json(self) -> dict[str, Any]:
        """As ``haq sim bench -o json`` prints it."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "goal": self.goal,
            "at_most": self.at_most,
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    frames: int = 5_000
    saturated_s: float = 1.0
    quiet_s: float = 60.0
    core_seeds: int = 10
    starts: int = 20
    determinism_seeds: int = 5
    default_seeds: int = 5


QUICK: Final = Size(300, 0.1, 2.0, 1, 2, 1, 1)


def _engine(size: Size) -> list[Figure]:
    return [
        Figure(
            "engine_messages",
            bench_network.measure(count=size.frames, depth=4).rate,
            "messages/CPU-s",
            20_000,
        )
    ]


def _cluster(size: Size) -> list[Figure]:
    busy, calm = bench_cluster.saturated(size.saturated_s), bench_cluster.quiet(size.quiet_s)
    return [
        Figure("cluster_messages", busy.messages / busy.cpu_s, "messages/CPU-s", 8_000),
        Figure("cluster_publishes", busy.confirmed / busy.cpu_s, "confirmed/CPU-s"),
        Figure("quiet_cluster", calm.simulated_s / calm.cpu_s, "simulated s/CPU-s", 60),
    ]


def _cores(size: Size) -> list[Figure]:
    messages, _simulated, seeds = bench_cores.whole(size.core_seeds)
    alone, _simulated = bench_cores.raft(20 * size.core_seeds)
    return [
        Figure("core_messages", messages, "messages/CPU-s", 150_000),
        Figure("core_raft_messages", alone, "messages/CPU-s"),
        Figure("core_seeds", seeds, "seeds/CPU-s"),
    ]


def _start(size: Size) -> list[Figure]:
    return [Figure("world_start", bench_cluster.start_ms(size.starts), "CPU ms", 10, at_most=True)]


def _determinism(size: Size) -> list[Figure]:
    found = selfcheck(range(1, size.determinism_seeds + 1))
    wrong = len(found.mismatches) + len(found.errors)
    what = f"mismatches in {found.seeds} seeds x {found.processes} processes"
    return [Figure("determinism", wrong, what, 0, at_most=True)]


def _default_run(size: Size) -> list[Figure]:
    began = cpu_s()
    results = [run(seed, drawn=draw(seed, "swarm")) for seed in range(1, size.default_seeds + 1)]
    spent = cpu_s() - began
    return [
        Figure("default_run", sum(each.simulated_ns for each in results) / 1e9 / len(results), "simulated s"),
        Figure("default_run_cost", spent / len(results), "CPU s", 0.36, at_most=True),
        Figure("default_run_confirmed", sum(each.confirmed for each in results) / len(results), "publishes"),
    ]


PARTS: Final[dict[str, Callable[[Size], list[Figure]]]] = {
    "engine": _engine,
    "cluster": _cluster,
    "cores": _cores,
    "start": _start,
    "determinism": _determinism,
    "default run": _default_run,
}


def bench(size: Size | None = None, progress: Callable[[str], object] | None = None) -> list[Figure]:
    """All of them; ``progress`` is told of each part that begins."""
    found: list[Figure] = []
    for name, part in PARTS.items():
        if progress is not None:
            progress(name)
        found += part(size or Size())
    return found
