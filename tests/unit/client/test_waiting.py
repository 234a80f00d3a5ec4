"""A waiter lets its task go on once, and knows when nobody waits any more."""

import pytest
import trio
import trio.testing

from haqactor.client.waiting import Waiter


async def test_who_waits_goes_on_once_it_is_told() -> None:
    waiters: list[Waiter] = []
    ended: list[int] = []

    async def wait(number: int) -> None:
        waiters.append(waiter := Waiter())
        await trio.lowlevel.wait_task_rescheduled(waiter)
        ended.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        for waiter in waiters:
            waiter.set()
            waiter.set()  # it was told before
        assert not ended
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(ended) == [0, 1, 2]


async def test_a_cancelled_wait_is_not_woken() -> None:
    waiter = Waiter()
    with trio.CancelScope() as scope:
        scope.cancel()
        await trio.lowlevel.wait_task_rescheduled(waiter)
        pytest.fail("a cancelled wait went on")
    assert scope.cancelled_caught
    waiter.set()  # else this task would be woken out of its next wait
    with trio.move_on_after(0.01) as still:
        await trio.sleep_forever()
    assert still.cancelled_caught
