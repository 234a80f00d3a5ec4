"""Crash points: the same small run again and again, and each time one host loses its power right after the
next operation of its disk.

One rule: a point is a run like any other, with one fault in its plan; so it can be written down, replayed and
shrunk. (Pillai et al., "All file systems are not created equal", OSDI 2014, tried crash states so.)
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from haqactor.sim.drawn import Drawn
from haqactor.sim.plan import Fault, Plan
from haqactor.sim.run import Result, run
from haqactor.sim.world import NS

HOST: Final = "n1"
PROFILE: Final = "crash"
BACK_NS: Final = 300_000_000
"""How long the power is away."""
KINDS: Final = (
    *("create", "allocate", "write", "truncate", "fsync"),
    *("rename", "unlink", "make_directory", "lock"),
)
"""Of the operations of a disk, as the trace names them."""
SUBJECT: Final = Drawn(
    nodes=3, groups=1, producers=1, consumers=1, operations=30, pause_s=0.02, safety_ns=3 * NS // 2
)
"""A small run: some publishes and acknowledgements, a few segments, a snapshot or two."""


class Step(NamedTuple):
    """After a point: ``done`` of ``points`` were run; ``result``: the last one's."""

    done: int
    points: int
    operation: int
    result: Result


@dataclass(slots=True)
class Swept:
    """``operations``: of the host's disk in the run without a crash. ``tried``: the points that were run;
    ``crashed``: how many of them did lose their power; ``failures``: what went wrong."""

    host: str
    operations: int
    tried: list[int] = field(default_factory=list[int])
    crashed: int = 0
    failures: list[Result] = field(default_factory=list[Result])


def point(drawn: Drawn, host: str, operation: int) -> Drawn:
    """The same run, in which the power of ``host`` goes right after that operation of its disk, from 1."""
    fault = Fault(0, "power_cut", host, {"operations": operation, "for_ns": BACK_NS})
    return replace(drawn, plan=Plan((*drawn.plan.faults, fault)))


def sweep(
    seed: int = 1,
    host: str = HOST,
    *,
    drawn: Drawn = SUBJECT,
    bugs: tuple[str, ...] = (),
    first: int = 1,
    step: int = 1,
    after: str = "",
    stop_early: bool = True,
    progress: Callable[[Step], None] | None = None,
) -> Swept:
    """Run ``drawn`` once to count, then once for every ``step``-th operation from ``first`` on (``after``: of
    the operations of that kind, one of KINDS); to the first failure where it is to ``stop_early``. A run that
    fails without a crash is the only one."""
    whole = run(seed, PROFILE, drawn=drawn, bugs=bugs, recording=bool(after))
    swept = Swept(host, whole.operations.get(host, 0))
    if whole.verdict.failed:
        swept.failures.append(whole)
        return swept
    numbers = _of_kind(whole, host, after) if after else list(range(1, swept.operations + 1))
    points = numbers[first - 1 :: step]
    for done, operation in enumerate(points, 1):
        result = run(seed, PROFILE, drawn=point(drawn, host, operation), bugs=bugs)
        swept.tried.append(operation)
        swept.crashed += result.fired.get("power_cut", 0)
        if result.verdict.failed:
            swept.failures.append(result)
        if progress is not None:
            progress(Step(done, len(points), operation, result))
        if swept.failures and stop_early:
            break
    return swept


def _of_kind(result: Result, host: str, kind: str) -> list[int]:
    """The numbers of a disk's operations of one kind, as the trace tells them."""
    if kind not in KINDS or result.trace is None:
        raise ValueError(f"a disk has no operation {kind!r}; it has {', '.join(KINDS)}")
    told = [event.kind for event in result.trace.events if event.host == host and event.kind in KINDS]
    return [number for number, each in enumerate(told, 1) if each == kind]
