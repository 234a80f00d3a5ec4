"""What ``env.Random`` promises."""

import pytest

from tests.conformance.world import World, conforms


@conforms
async def test_uniform_stays_in_range_and_spreads(world: World) -> None:
    """A float in [low, high]; both halves are hit."""
    draws = [world.env.random.uniform(2.0, 4.0) for _ in range(300)]
    assert all(2.0 <= draw <= 4.0 for draw in draws)
    assert min(draws) < 2.5
    assert max(draws) > 3.5
    assert world.env.random.uniform(3.0, 3.0) == 3.0


@conforms
async def test_below_gives_each_number_under_the_bound(world: World) -> None:
    """An integer in [0, bound)."""
    draws = [world.env.random.below(5) for _ in range(400)]
    assert sorted(dict.fromkeys(draws)) == [0, 1, 2, 3, 4]
    assert world.env.random.below(1) == 0


@conforms
async def test_below_refuses_an_empty_range(world: World) -> None:
    """There is no integer in [0, 0)."""
    with pytest.raises(ValueError, match=r"."):
        world.env.random.below(0)


@conforms
async def test_tokens_have_their_size_and_differ(world: World) -> None:
    """``size`` random bytes."""
    tokens = [world.env.random.token(16) for _ in range(50)]
    assert all(len(token) == 16 for token in tokens)
    assert len(dict.fromkeys(tokens)) == 50
    assert world.env.random.token(0) == b""
