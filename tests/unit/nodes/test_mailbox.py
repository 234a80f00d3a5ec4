"""A mailbox hands over everything at once, wakes its actor once, and holds producers at its bounds."""

import pytest
import trio

from haqactor.nodes.mailbox import Mailbox


async def test_drain_takes_all_in_order_and_forgets_the_bytes() -> None:
    """And the next drain waits for something new."""
    box: Mailbox[int] = Mailbox(10, 100)
    for item in range(5):
        box.put(item, 10)
    assert len(box) == 5
    assert await box.drain() == [0, 1, 2, 3, 4]
    assert len(box) == 0
    assert not box.full
    with pytest.raises(trio.TooSlowError), trio.fail_after(0.01):
        await box.drain()


async def test_full_by_items_or_by_bytes() -> None:
    """Whichever bound is reached first; putting still works, for it never fails."""
    box: Mailbox[int] = Mailbox(2, 100)
    box.put(1, 10)
    assert not box.full
    box.put(2, 10)
    assert box.full
    box.put(3, 10)
    assert await box.drain() == [1, 2, 3]
    box.put(4, 100)
    assert box.full


async def test_what_says_no_more_twice_is_in_it_once() -> None:
    """Until it was taken; what differs is beside it."""
    box: Mailbox[str] = Mailbox(2, 100)
    for _ in range(100):
        box.put_once("look for node 1")
        box.put_once("look for node 2")
    assert await box.drain() == ["look for node 1", "look for node 2"]
    box.put_once("look for node 1")
    assert await box.drain() == ["look for node 1"]


async def test_an_empty_wake_gives_a_turn() -> None:
    """With nothing in it; several wakes are one."""
    box: Mailbox[int] = Mailbox(2, 100)
    box.wake()
    box.wake()
    assert await box.drain() == []
    with pytest.raises(trio.TooSlowError), trio.fail_after(0.01):
        await box.drain()


async def test_producers_that_wait_for_space_respect_the_bound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Twenty producers, one place each turn: never more than the bound is in the box."""
    box: Mailbox[int] = Mailbox(3, 1000)
    seen: list[int] = []
    most = 0

    async def produce(item: int) -> None:
        nonlocal most
        await box.wait_space()
        box.put(item, 1)
        most = max(most, len(box))

    async with trio.open_nursery() as nursery:
        for item in range(20):
            nursery.start_soon(produce, item)
        while len(seen) < 20:
            await trio.sleep(1)
            seen += await box.drain()
    assert sorted(seen) == list(range(20))
    assert most == 3
