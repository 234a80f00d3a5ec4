"""A dozen seeds of the profile in which planted bugs are hunted pass: a short slice of ``make sim``."""

from haqactor.sim.search.settings import read
from haqactor.sim.search.swarm import Rules, swarm
from haqactor.sim.verdict import Verdict

NS = 1_000_000_000
SHORT = read({"operations": "15", "nodes": "3"}, 3 * NS // 2)


def test_a_dozen_clean_seeds() -> None:
    found = swarm(range(1, 13), settings=SHORT, rules=Rules(again_share=0.1))
    assert found.verdict is Verdict.PASS, [(each.seed, each.message) for each in found.failures]
    assert len(found.results) == 12
    assert found.confirmed_median >= 10
    assert len(found.fired) > 10
