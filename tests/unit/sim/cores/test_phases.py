"""What must come to rest and does not is told by its invariant: each condition of the second phase is shown
failing, on a run that is calm but for one thing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from haqactor.raft.core import RaftCore
from haqactor.raft.view import RaftView
from haqactor.sim.cores import phases
from haqactor.sim.cores.clients import Claim
from haqactor.sim.cores.faults import Faults
from haqactor.sim.cores.harness import Harness
from haqactor.sim.cores.plan import SECOND, draw
from haqactor.sim.cores.replica import Replica
from haqactor.sim.cores.watch import Violation

Patch = pytest.MonkeyPatch


def calm(*, consumers: int = 1) -> Harness:
    plan = replace(draw(0, "calm"), safety_ns=SECOND, producers=1, named=0, consumers=consumers, replicas=3)
    harness = Harness(plan, (), ())
    phases.safety(harness)
    return harness


def left_alone(_replica: Replica) -> None:
    """Nobody starts it again."""


def nobody_leads(patch: Patch) -> Harness:
    harness = calm()
    patch.setattr(Faults, "revive", staticmethod(left_alone))
    for replica in harness.replicas:
        replica.crash()
    return harness


def never_confirmed(_patch: Patch) -> Harness:
    harness = calm()
    claim = Claim(10_000, 1, 0, 0)
    claim.asked_ns = 1 << 60
    harness.producers[0].pending[10_000] = claim
    return harness


def nobody_consumes(_patch: Patch) -> Harness:
    return calm(consumers=0)


def stays_behind(_patch: Patch) -> Harness:
    harness = calm()
    harness.canon.extend([(0, 0)] * 10_000)
    return harness


def never_cured(patch: Patch) -> Harness:
    harness = calm()
    patch.setattr(RaftView, "suspect", property(lambda _core: True))
    return harness


def terms_grow(patch: Patch) -> Harness:
    harness = calm()

    def term(core: RaftCore) -> int:
        waited = 0 if harness.publishing else harness.timeline.now_ns // SECOND
        return core.hard_state.term + waited

    def leads(core: RaftCore, given: int) -> bool:
        return core.is_leader and term(core) == given

    patch.setattr(RaftView, "term", property(term))
    patch.setattr(RaftView, "leads", leads)
    return harness


@pytest.mark.parametrize(
    ("invariant", "make"),
    [
        ("L1", nobody_leads),
        ("L2", never_confirmed),
        ("L3", nobody_consumes),
        ("L4", stays_behind),
        ("L6", never_cured),
        ("L7", terms_grow),
    ],
    ids=["L1", "L2", "L3", "L4", "L6", "L7"],
)
def test_what_does_not_come_to_rest_is_told(
    monkeypatch: Patch, invariant: str, make: Callable[[Patch], Harness]
) -> None:
    harness = make(monkeypatch)
    with pytest.raises(Violation) as raised:
        phases.liveness(harness)
    assert raised.value.invariant == invariant


def test_a_calm_run_comes_to_rest() -> None:
    phases.liveness(calm())
