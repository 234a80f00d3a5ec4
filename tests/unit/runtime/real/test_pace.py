"""Even times: each is told once, none before it is due."""

import time

import pytest
import trio

from haqactor.runtime.real.pace import Pace, Timer

RATE = 2_000


async def told(pace: Pace, count: int) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    while len(found) < count:
        for number in await pace.wait():
            found.append((number, time.monotonic()))
    return found


@pytest.mark.parametrize("timer", [True, False])
async def test_each_is_told_once_and_none_too_early(timer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not timer:
        monkeypatch.setattr(Timer, "made", lambda: None)
    with Pace(RATE, after_s=0.01) as pace:
        found = await told(pace, 100)
        assert [number for number, _ in found] == list(range(len(found)))
        assert all(at >= pace.due_s(number) - 1e-6 for number, at in found)
        assert pace.due_s(RATE) - pace.due_s(0) == pytest.approx(1.0)


async def test_what_became_due_meanwhile_is_told_at_once() -> None:
    with Pace(RATE) as pace:
        first = await pace.wait()
        while time.monotonic() < pace.due_s(first.stop + 20):
            pass
        late = await pace.wait()
    assert late.start == first.stop
    assert len(late) >= 20


async def test_waiting_can_be_cancelled() -> None:
    with Pace(RATE, after_s=3_600) as pace:
        with trio.move_on_after(0.01) as scope:
            await pace.wait()
    assert scope.cancelled_caught


async def test_a_moment_that_is_past_is_no_wait() -> None:
    timer = Timer.made()
    if timer is None:
        pytest.skip("this system has no timerfd")
    await timer.until(time.monotonic_ns() - 1_000)
    timer.close()
