"""What ``env.Clock`` promises."""

import trio

from tests.conformance.world import World, conforms

ROUNDING_NS = 2_000


@conforms
async def test_monotonic_never_goes_back(world: World) -> None:
    """Not even between two reads in the same turn, or over many turns."""
    last = world.env.clock.monotonic_ns()
    for _ in range(200):
        now = world.env.clock.monotonic_ns()
        assert now >= last
        last = now
        await trio.lowlevel.checkpoint()


@conforms
async def test_monotonic_keeps_the_pace_of_trio(world: World) -> None:
    """What passes on it lies between the shortest and the longest that may have passed on trio's clock."""
    clock = world.env.clock
    before = trio.current_time()
    start = clock.monotonic_ns()
    after = trio.current_time()
    await trio.sleep(0.03)
    later_before = trio.current_time()
    end = clock.monotonic_ns()
    later_after = trio.current_time()
    assert end - start >= (later_before - after) * 1e9 - ROUNDING_NS
    assert end - start <= (later_after - before) * 1e9 + ROUNDING_NS
    assert end - start >= 30_000_000 - ROUNDING_NS


@conforms
async def test_wall_clock_is_in_our_century(world: World) -> None:
    """Nanoseconds since 1970, not seconds or microseconds."""
    wall = world.env.clock.wall_ns()
    assert 946_684_800_000_000_000 < wall < 4_102_444_800_000_000_000
