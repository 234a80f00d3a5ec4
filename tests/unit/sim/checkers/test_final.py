"""When a run is level, so that its end may be judged."""

import pytest

from haqactor.sim.checkers.final import Final, Group, Replica


@pytest.mark.parametrize(
    ("applied", "counts", "level"), [(7, True, True), (6, True, False), (7, False, False)]
)
def test_replicas_that_repair_themselves_are_waited_for(applied: int, counts: bool, level: bool) -> None:
    """One may have found damage when the rest was read: seed 601449 of profile swarm."""
    replicas = {"n0": Replica(3, 7, b"", 1, True), "n1": Replica(3, applied, b"", 1, counts)}
    final = Final(groups={1: Group("n0", replicas)})
    final.core = ("n0", "n1")
    assert final.level is level
