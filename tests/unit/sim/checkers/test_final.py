"""When a run is level, so that its end may be judged."""

from dataclasses import replace

import pytest

from haqactor.sim.checkers.final import Final, Group, Replica

GOOD = Replica(3, 7, b"", 2, True)


@pytest.mark.parametrize(
    ("other", "level"),
    [
        (GOOD, True),
        (replace(GOOD, applied=6), False),
        (replace(GOOD, counts=False), False),
        (replace(GOOD, version=1), False),
        (None, False),
    ],
)
def test_replicas_that_are_not_as_the_others_yet_are_waited_for(other: Replica | None, level: bool) -> None:
    """One may have found damage when the rest was read, or start from a slow disk: seeds 601449 and 704102 of
    profile swarm."""
    replicas = {"n0": GOOD} | ({} if other is None else {"n1": other})
    final = Final(groups={0: Group("n1"), 1: Group("n0", replicas)}, known=2)
    final.core = ("n0", "n1")
    assert final.level is level
