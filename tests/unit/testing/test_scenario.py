"""The decorator: what it makes of an async function."""

from inspect import iscoroutinefunction, signature
from typing import Any

import pytest

from haqactor.testing import Sim, World, scenario
from haqactor.testing.sim import Settings, Tally

WORLDS: list[tuple[int, int]] = []


@pytest.mark.filterwarnings("default")
@scenario(nodes=1, seeds=2)
async def counted(world: World, label: str = "") -> None:
    """What it is for."""
    assert label in ("", "given")
    WORLDS.append((world.seed, len(world.nodes)))


def seen(sim: Sim, body: Any = counted, **how: Any) -> tuple[Tally, list[tuple[int, int]]]:
    WORLDS.clear()
    return sim.run(body, **how), list(WORLDS)


def test_it_is_a_plain_function_that_asks_for_fixtures() -> None:
    assert not iscoroutinefunction(counted)
    assert list(signature(counted).parameters) == ["sim", "label"]
    assert (counted.__name__, counted.__doc__) == ("counted", "What it is for.")
    assert [mark.name for mark in vars(counted)["pytestmark"]] == ["filterwarnings"]


def test_what_it_says_holds_unless_others_say_otherwise() -> None:
    assert seen(Sim())[1] == [(0, 1), (1, 1)]
    assert seen(Sim(), given={"label": "given"})[1] == [(0, 1), (1, 1)]
    assert seen(Sim(), nodes=0, seeds=[5])[1] == [(5, 0)]
    assert seen(Sim(Settings(seed=9)), seeds=3)[1] == [(9, 1)]
    assert seen(Sim(Settings(seeds=1)))[0].seeds == 1
    WORLDS.clear()
    counted()
    assert WORLDS == [(0, 1), (1, 1)]


def test_what_is_no_scenario() -> None:
    async def without() -> None: ...

    def synchronous(_world: World) -> None: ...

    broken: Any = synchronous
    with pytest.raises(TypeError, match="the first argument of the scenario without is its World"):
        scenario()(without)
    with pytest.raises(TypeError, match="an async function that takes a World"):
        scenario()(broken)
