"""One task wakes actors at their deadlines, and not before."""

from functools import partial

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor.nodes.timers import NEVER_NS, Timers
from tests.builders.memory_environment import TrioClock

MS = 1_000_000


async def test_each_key_is_woken_once_by_its_earliest_deadline(autojump_clock: MockClock) -> None:
    """A later deadline costs nothing and changes nothing; an earlier one counts."""
    timers = Timers(TrioClock())
    woken: list[tuple[int, int]] = []

    def wake(key: int) -> None:
        woken.append((key, round(trio.current_time() * 1000)))

    for key in (1, 2, 3):
        timers.add(key, partial(wake, key))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await wait_all_tasks_blocked()
        timers.wake_by(1, 500 * MS)
        timers.wake_by(2, 300 * MS)
        timers.wake_by(3, 400 * MS)
        await trio.sleep(0.1)
        timers.wake_by(2, 700 * MS)
        timers.wake_by(1, 200 * MS)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert woken == [(1, 200), (2, 300), (3, 400)]


async def test_never_is_never_and_the_past_is_now(autojump_clock: MockClock) -> None:
    """A waker may set its own next deadline while it is being called."""
    timers = Timers(TrioClock())
    woken: list[int] = []

    def again() -> None:
        woken.append(round(trio.current_time() * 1000))
        if len(woken) < 3:
            timers.wake_by(1, (woken[-1] + 100) * MS)

    timers.add(1, again)
    timers.add(2, lambda: woken.append(-1))
    timers.wake_by(2, NEVER_NS)
    timers.wake_by(1, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(1000)
        nursery.cancel_scope.cancel()
    assert woken == [0, 100, 200]


async def test_a_deadline_that_moved_on_wakes_nobody(autojump_clock: MockClock) -> None:
    """The actor is asked where it is now; it is woken there, though nobody said so again."""
    timers = Timers(TrioClock())
    woken: list[int] = []
    asked: list[int] = []
    latest = [500 * MS]

    def where(now_ns: int) -> int:
        asked.append(now_ns // MS)
        return latest[0]

    timers.add(1, lambda: woken.append(round(trio.current_time() * 1000)), where)
    timers.add(2, lambda: woken.append(-1), lambda _now_ns: 300 * MS)
    timers.wake_by(1, 100 * MS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert (asked, woken) == ([100, 500], [500])
