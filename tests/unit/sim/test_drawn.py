"""What a run is given can be written down, comes back as it went, and does what it says."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqactor.sim.drawn import Drawn
from haqactor.sim.plan import Fault, Plan, PlanError
from haqactor.sim.profiles import PROFILES, draw
from haqactor.sim.run import run, shape
from haqactor.sim.verdict import Verdict

MS = 1_000_000
faults = st.builds(Fault, st.integers(0, 10**11), st.sampled_from(["crash", "clog"]))
names = st.lists(st.text(max_size=5), max_size=3).map(tuple)
runs = st.builds(
    Drawn,
    nodes=st.integers(1, 5),
    pause_s=st.floats(0.001, 9),
    plan=st.lists(faults, max_size=3).map(lambda some: Plan(tuple(some))),
    chances=st.dictionaries(st.text(max_size=5), st.floats(0, 1)),
    work=names,
    core=names,
    until_ns=st.integers(0, 10**12),
    steady=st.booleans(),
    oldest_first=st.booleans(),
)


@given(runs)
def test_json_there_and_back(drawn: Drawn) -> None:
    again = Drawn.from_json(json.loads(json.dumps(drawn.to_json())))
    assert again == drawn
    assert again.key() == drawn.key()


def test_every_profile_can_be_written_down() -> None:
    for profile in PROFILES:
        for seed in range(20):
            drawn = draw(seed, profile)
            assert Drawn.from_json(json.loads(drawn.key())) == drawn


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nodes", "3"),
        ("nodes", True),
        ("nodes", -1),
        ("pause_s", None),
        ("plan", {}),
        ("chances", {"loss": "often"}),
        ("work", "purge"),
        ("core", [1]),
        ("steady", 1),
        ("surprise", 1),
    ],
)
def test_nonsense_is_refused(name: str, value: object) -> None:
    with pytest.raises(PlanError, match=name):
        Drawn.from_json({**Drawn().to_json(), name: value})


def test_what_is_missing_is_named() -> None:
    row: dict[str, Any] = Drawn().to_json()
    del row["groups"]
    with pytest.raises(PlanError, match="see groups"):
        Drawn.from_json(row)


def test_chances_reach_the_links_and_the_probes() -> None:
    made = shape(Drawn(chances={"reset_share": 0.25, "buggify": 0.5}, steady=True))
    assert (made.links.reset_share, made.buggify) == (0.25, 0.5)
    assert (made.links.delay_mean_ns, made.links.split_share, made.links.chop_share) == (0, 0.0, 0.0)
    assert shape(Drawn()).links.split_share > 0
    with pytest.raises(TypeError):
        shape(Drawn(chances={"frequent_share": 0.5}))


def test_a_run_ends_where_it_is_told_to() -> None:
    drawn = Drawn(until_ns=1_234 * MS, operations=5)
    result = run(1, "calm", drawn=drawn)
    assert (result.simulated_ns, result.verdict) == (1_234 * MS, Verdict.UNDETERMINED)
    plain = replace(drawn, steady=True, oldest_first=True)
    assert len({run(1, "calm", drawn=one).digest for one in (drawn, plain, plain)}) == 2
