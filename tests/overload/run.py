"""One scenario on a cluster of its own: found it, look at it idle, load it, judge it.

One rule: whatever ends a run, no process and no file of it is left.
"""

import os
import resource
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

import haqactor
from haqactor.cli.launcher import LocalCluster, free_base_port
from haqactor.config import MIB, Limits
from tests.overload import checks
from tests.overload.bound import bound_bytes
from tests.overload.outcomes import Outcomes
from tests.overload.sampling import Leaders, Sample, calm, sample
from tests.overload.world import Scenario, World

SCHEMA: Final = "haq.overload/1"
NODES: Final = 3
FILES_SPARE: Final = 1000
STOP_S: Final = 10.0
BREAKS_MAX: Final = 20
SMALL: Final = {
    "tail_cache_bytes": 2 * MIB,
    "mailbox_bytes_max": 2 * MIB,
    "uncommitted_bytes_max": 2 * MIB,
    "peer_group_window_bytes": MIB,
    "peer_link_window_bytes": 4 * MIB,
}
"""Limits small enough that what is not bounded shows above them."""


@dataclass(slots=True, kw_only=True)
class Result:
    """``idle``: the most that a node held before. ``bound``: what is allowed. ``broken``: by promise, the
    sentences that tell of breaks."""

    scenario: Scenario
    size: int
    seconds: float
    idle: int = 0
    bound: int = 0
    before: Leaders = field(default_factory=dict[int, tuple[int, int]])
    samples: list[Sample] = field(default_factory=list[Sample])
    outcomes: Outcomes = field(default_factory=Outcomes)
    notes: dict[str, float] = field(default_factory=dict[str, float])
    broken: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    load_average: float = 0.0

    @property
    def passed(self) -> bool:
        """Did every promise hold?"""
        return not any(self.broken.values())

    @property
    def most(self) -> int:
        """The most that a node held."""
        return max(max(each.rss) for each in self.samples)

    def judge(self) -> None:
        """Fill ``broken``."""
        self.broken = {
            "memory within its bound": checks.bounded(self.samples, self.bound),
            "memory flat": checks.flat(self.samples),
            "wait or Overloaded": checks.told(self.outcomes),
            "no leader changed": checks.led(self.before, self.samples),
        }
        if self.scenario.fair:
            self.broken["equal producers, equal shares"] = checks.fair(self.outcomes)

    def summary(self) -> dict[str, Any]:
        """For programs."""
        return {
            "schema": SCHEMA,
            "scenario": self.scenario.name,
            "size": self.size,
            "seconds": self.seconds,
            "verdict": "pass" if self.passed else "fail",
            "promises": {promise: rows[:BREAKS_MAX] for promise, rows in self.broken.items()},
            "idle_bytes": self.idle,
            "most_bytes": self.most,
            "bound_bytes": self.bound,
            "confirmed": self.outcomes.total,
            "overloaded": self.outcomes.refused,
            "longest_wait_s": round(self.outcomes.waits_s, 3),
            "load_average": self.load_average,
            "notes": self.notes,
            "samples": [asdict(each) | {"leaders": None} for each in self.samples],
        }


def raise_files(wanted: int) -> None:
    """Let this process and its children open as many files, as far as the system lets it. Raises ValueError
    where that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ValueError(f"{wanted} open files are needed, the system's hard limit is {hard} (ulimit -Hn)")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run(
    scenario: Scenario,
    seconds: float,
    size: int,
    look: Callable[[Result], None],
    limits: dict[str, int] = SMALL,
) -> Result:
    """Found a cluster, and end it. ``look`` is called once a second. Raises LaunchFailed, ValueError."""
    raise_files(size + FILES_SPARE)
    result = Result(scenario=scenario, size=size, seconds=seconds)
    with tempfile.TemporaryDirectory(prefix="haq-overload-") as temporary:
        settings = {"log_level": "warning", "limits": limits}
        cluster = LocalCluster.found(Path(temporary) / "c", NODES, await free_base_port(NODES), settings)
        try:
            await cluster.start()
            await _loaded(cluster, result, look, Limits(**limits))
        finally:
            cluster.stop(STOP_S)
    result.load_average = os.getloadavg()[0]
    result.judge()
    return result


async def _loaded(
    cluster: LocalCluster, result: Result, look: Callable[[Result], None], limits: Limits
) -> None:
    async with haqactor.connect(cluster.url) as broker:
        world = World(
            cluster=cluster,
            broker=broker,
            size=result.size,
            outcomes=result.outcomes,
            notes=result.notes,
        )
        result.before = await calm(broker)
        result.idle = max(cluster.resident_bytes())
        result.bound = bound_bytes(result.idle, result.scenario.fills(result.size), limits, NODES - 1)
        await result.scenario.prepare(world)
        with trio.move_on_after(result.seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sample, cluster, broker, result.samples, lambda: look(result))
                nursery.start_soon(result.scenario.load, world)
