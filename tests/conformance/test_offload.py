"""What ``env.Offload`` promises."""

import pytest
import trio

from tests.conformance.world import World, conforms


@conforms
async def test_returns_what_the_function_returns(world: World) -> None:
    """Whatever the size of the work."""
    for cost_bytes in (0, 1, 1 << 20):
        assert await world.env.offload.run(lambda: b"x" * 3, cost_bytes=cost_bytes) == b"xxx"


@conforms
async def test_raises_what_the_function_raises(world: World) -> None:
    """The very exception, whatever the size of the work."""

    def fail() -> int:
        raise LookupError("from the function")

    for cost_bytes in (0, 1, 1 << 20):
        with pytest.raises(LookupError, match="from the function"):
            await world.env.offload.run(fail, cost_bytes=cost_bytes)


@conforms
async def test_many_at_once_all_end(world: World) -> None:
    """More than there are cores only wait for each other."""
    results: dict[int, int] = {}

    async def one(number: int) -> None:
        results[number] = await world.env.offload.run(lambda: number * number, cost_bytes=1 << 16)

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(one, number)
    assert results == {number: number * number for number in range(40)}


@conforms
async def test_a_cancelled_caller_does_not_start_work(world: World) -> None:
    """It is a checkpoint."""
    ran: list[int] = []
    for cost_bytes in (0, 1, 1 << 20):
        with trio.CancelScope() as scope:
            scope.cancel()
            await world.env.offload.run(lambda: ran.append(1), cost_bytes=cost_bytes)
        assert scope.cancelled_caught
    assert ran == []
