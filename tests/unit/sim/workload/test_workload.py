"""What clients do in runs: every kind of work leaves its traces, and the checkers are content."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from haqactor.client.options import Options
from haqactor.sim.checkers.checker import Violation
from haqactor.sim.checkers.final import Final
from haqactor.sim.checkers.panel import Panel
from haqactor.sim.cluster import Body, SimCluster
from haqactor.sim.drawn import Drawn
from haqactor.sim.host import Host
from haqactor.sim.profiles import draw
from haqactor.sim.run import Result, Run
from haqactor.sim.verdict import Verdict
from haqactor.sim.watch.history import Op
from haqactor.sim.workload.kinds import ALONE, DEAD, OWN, PARKING, WORK, consumed, queues
from haqactor.sim.world import NS, World

SEED = 2
"""In whose draws everything happens that is looked for."""


@dataclass
class Played:
    """A run, and what was written down of it."""

    result: Result
    ops: list[Op]
    ends: list[Final] = field(default_factory=list[Final])
    restarted: list[str] = field(default_factory=list[str])

    def some(self, kind: str, outcome: str = "ok", **out: object) -> list[Op]:
        """The operations that ended like this."""
        return [
            op
            for op in self.ops
            if op.kind == kind
            and op.outcome == outcome
            and all(op.out.get(name) == value for name, value in out.items())
        ]


def inside(owner: object, name: str) -> Any:
    """What is nobody else's business."""
    return getattr(owner, name)


@cache
def played(*work: str, producers: int = 1, seed: int = SEED) -> Played:
    """A short calm run with these kinds of work."""
    drawn = Drawn(groups=1, producers=producers, operations=50, pause_s=0.04, safety_ns=4 * NS, work=work)
    ends: list[Final] = []
    with World(seed) as world:
        run = Run(world, "calm", drawn, ())
        panel: Panel = inside(run, "_panel")
        finish = panel.finish

        def finished(final: Final) -> list[Violation]:
            ends.append(final)
            return finish(final)

        setattr(panel, "finish", finished)  # noqa: B010  # to look at what it is given
        result = run.go()
        restarted = [name for name, host in world.hosts.items() if host.incarnation > 1]
        return Played(result, panel.history.ops, ends, restarted)


RULING = ("admin", "alter", "dead_letters", "rejects", "peeks", "reads")
CRASHING = (
    "bodies",
    "consumer_crash",
    "implicit",
    "parked",
    "pipelines",
    "producer_crash",
    "slow",
    "backlog",
)
GATHERING = ("batches", "consumer_batches", "getters", "proxy", "rivals", "bursts")
FILLING = ("large", "monotonous", "purges", "impatient", "stranger")


def test_every_kind_is_played() -> None:
    assert sorted((*RULING, *CRASHING, *GATHERING, *FILLING)) == list(WORK)


@pytest.mark.parametrize("work", [RULING, CRASHING, GATHERING, FILLING], ids=lambda work: work[0])
def test_calm_runs_pass(work: tuple[str, ...]) -> None:
    run = played(*work)
    assert (run.result.verdict, run.result.violations, run.result.failures) == (Verdict.PASS, [], [])
    assert run.result.confirmed > 10


TRACES: list[tuple[tuple[str, ...], Callable[[Played], object]]] = [
    (RULING, lambda run: run.some("delete") and run.some("purge")),
    (RULING, lambda run: run.some("info", "fail", error="not_found")),
    (RULING, lambda run: len({op.out["uid"] for op in run.some("publish") if op.queue == OWN}) > 1),
    (RULING, lambda run: run.some("declare", changed=True, created=False)),
    (RULING, lambda run: run.some("declare", "fail", error="invalid_argument")),
    (RULING, lambda run: run.some("delete", "fail", error="conflict")),
    (RULING, lambda run: run.some("reject")),
    (RULING, lambda run: [op for op in run.some("deliver") if op.queue == DEAD]),
    (CRASHING, lambda run: len(run.restarted) > 1),
    (CRASHING, lambda run: run.some("ack", "fail", error="lease_lost")),
    (CRASHING, lambda run: run.some("ack", "info", error="error")),
    (GATHERING, lambda run: [op for op in run.ops if op.out.get("error") == "fenced"]),
    (("large",), lambda run: [op for op in run.some("publish") if len(set(op.value or b"")) > 200]),
    (("monotonous",), lambda run: [op for op in run.some("publish") if (op.value or b"").count(b".") > 150]),
    (GATHERING, lambda run: {op.client for op in run.some("publish")} == {"p0", "p0x"}),
    (("purges",), lambda run: {op.queue for op in run.some("purge")} == {"orders"}),
]  # fmt: skip


@pytest.mark.parametrize(("work", "trace"), TRACES)
def test_kinds_leave_traces(work: tuple[str, ...], trace: Callable[[Played], object]) -> None:
    assert trace(played(*work))


def test_impatient_producers_give_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only they: a consumer that gives up would leave its queue."""
    patience: dict[str, int] = {}
    client = SimCluster.client

    def heard(cluster: SimCluster, name: str, body: Body, options: Options | None = None) -> Host:
        patience[name] = (options or Options()).patience_ns
        return client(cluster, name, body, options)

    monkeypatch.setattr(SimCluster, "client", heard)
    played("impatient", producers=2)
    assert {patience.pop(name) for name in ("p0", "p1")} <= {NS // 2, NS}
    assert set(patience.values()) == {Options().patience_ns}


def test_batches_are_published_whole() -> None:
    """All of one call begin and end together."""
    sizes: dict[tuple[str, int], int] = {}
    for op in played(*GATHERING).some("publish"):
        sizes[op.client, op.invoked_ns] = sizes.get((op.client, op.invoked_ns), 0) + 1
    assert max(sizes.values()) > 2


def test_what_is_left_is_what_is_parked() -> None:
    run = played(*CRASHING)
    (end,) = run.ends
    assert end.remaining
    published = {op.value for op in run.some("publish")}
    for (queue, uid, _seq), (state, body) in end.remaining.items():
        assert (queue, state) == (PARKING, "parked")
        assert uid > 0
        assert body in published
    assert all(0 < used < bound for used, bound in end.disks.values())


def test_places_name_their_incarnation() -> None:
    for op in played(*RULING).ops:
        if op.kind in ("publish", "deliver", "ack", "info", "declare") and op.outcome == "ok":
            assert op.out["uid"] > 0, op


def test_gauges_are_read() -> None:
    with World(1) as world:
        run = Run(world, "calm", Drawn(operations=3, safety_ns=NS), ())
        run.go()
        panel: Panel = inside(run, "_panel")
        (bounds,) = (checker for checker in panel.checkers if checker.invariant == "S24")
    peaks: dict[str, int] = inside(bounds, "peaks")
    assert peaks["journal segments"] > 0
    assert peaks["client connections"] > 0
    assert peaks["producer sessions"] > 0
    assert peaks["tail cache bytes"] > 0


def test_queues_of_kinds() -> None:
    assert list(queues(())) == ["orders", "bills"]
    assert queues(["dead_letters"])["bills"]["dead_letter"] == DEAD
    assert consumed(["dead_letters", "parked"]) == ["orders", "bills", PARKING, DEAD]
    assert queues(["slow"])["orders"]["lease"] < queues(())["orders"]["lease"]


def test_profiles_draw_kinds_of_work() -> None:
    drawn = [draw(seed, "swarm").work for seed in range(60)]
    assert () in drawn
    assert {kind for work in drawn for kind in work} == set(WORK)
    assert max(map(len, drawn)) <= 7 + len(ALONE)
