"""A whole cluster with a consumer that a node forgot: its watchdog is what lets the run come to rest."""

from dataclasses import replace

import pytest

from haqactor.sim.profiles import draw
from haqactor.sim.run import run
from haqactor.sim.verdict import Verdict

SEED = 12
"""Of profile swarm, with much awkwardness: nodes forget credit, and in the end nobody gets what is ready."""


@pytest.mark.slow
def test_a_forgotten_consumer_is_healed_by_its_watchdog() -> None:
    drawn = draw(SEED, "swarm")
    drawn = replace(drawn, chances={**drawn.chances, "buggify": 0.5})
    result = run(SEED, drawn=drawn)
    assert result.verdict is Verdict.PASS
    assert result.marks["client.stalled"] >= 1
    blind = run(SEED, drawn=drawn, bugs=("client.stalls_unseen",))
    assert blind.invariant == "L3"
