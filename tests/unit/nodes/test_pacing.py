"""Catching up yields to live traffic, and to nothing else."""

import pytest
import trio
from trio.testing import MockClock

from haqactor.journal.statistics import Counters
from haqactor.nodes.pacing import QUIET_NS, Pace
from tests.builders.memory_environment import memory_environment

RATE = 1 << 20
PIECE = RATE // 10
QUIET_S = QUIET_NS / 1e9


class Bench:
    """A pace, and the journal whose traffic it yields to."""

    def __init__(self) -> None:
        self.written = Counters()
        self.pace = Pace(memory_environment(), RATE, lambda: self.written)

    async def move(self, count: int, *, live: int | None = None, size: int = PIECE) -> float:
        """So many pieces; before each, ``live`` bytes are written (None: nothing). Returns the seconds."""
        begun = trio.current_time()
        for _ in range(count):
            if live is not None:
                self.written.count(live, 1)
            await self.pace.take(size)
        return trio.current_time() - begun


async def test_full_speed_while_nothing_else_goes_on(autojump_clock: MockClock) -> None:
    assert await Bench().move(1000) == 0


async def test_beside_live_traffic_it_is_bounded(autojump_clock: MockClock) -> None:
    """Ten pieces of a tenth of the rate: a second, but for the first, which nobody waits for."""
    bench = Bench()
    await bench.move(1)
    assert await bench.move(10, live=0) == pytest.approx(0.9, abs=0.06)
    assert await bench.move(10, live=0) == pytest.approx(1.0, abs=0.06)


async def test_what_is_written_comes_on_top(autojump_clock: MockClock) -> None:
    """Else a node would never be level with a cluster that publishes as fast as that."""
    bench = Bench()
    await bench.move(2, live=0)
    assert await bench.move(20, live=PIECE // 2) == pytest.approx(1.0, abs=0.05)
    assert await bench.move(100, live=PIECE * 2) == pytest.approx(0, abs=0.05)


async def test_full_speed_comes_back(autojump_clock: MockClock) -> None:
    """A while after the last entry, and no credit is left from it, nor debt."""
    bench = Bench()
    await bench.move(5, live=0)
    await trio.sleep(QUIET_S / 2)
    assert await bench.move(2) > 0
    await trio.sleep(QUIET_S + 0.01)
    assert await bench.move(1000) == 0
    assert await bench.move(11, live=0) == pytest.approx(1.0, abs=0.06)


async def test_idle_time_is_not_saved_up(autojump_clock: MockClock) -> None:
    """Or a pause would be followed by a burst, beside live traffic."""
    bench = Bench()
    await bench.move(1, live=0)
    await trio.sleep(60)
    bench.written.count(0, 1)
    assert await bench.move(11, live=0) == pytest.approx(1.0, abs=0.06)


async def test_all_share_one_budget_in_turn(autojump_clock: MockClock) -> None:
    """Two at once take as long as one after the other, and neither starves."""
    bench = Bench()
    await bench.move(2, live=0)
    order: list[str] = []

    async def one(name: str) -> None:
        for _ in range(5):
            bench.written.count(0, 1)
            await bench.pace.take(PIECE)
            order.append(name)

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, "a")
        nursery.start_soon(one, "b")
    assert trio.current_time() - begun == pytest.approx(1.0, abs=0.06)
    assert {"".join(sorted(order[at : at + 2])) for at in range(0, 10, 2)} == {"ab"}


async def test_what_was_written_before_the_first_piece_counts(autojump_clock: MockClock) -> None:
    """Nobody looked when it was: perhaps it goes on."""
    bench = Bench()
    bench.written.count(0, 1)
    assert await bench.move(3) == pytest.approx(0.2, abs=0.06)
    await trio.sleep(QUIET_S + 0.01)
    assert await bench.move(1000) == 0


async def test_no_piece_counts_for_more_than_a_second(autojump_clock: MockClock) -> None:
    """Its receiver's patience is finite."""
    bench = Bench()
    await bench.move(1, live=0)
    assert await bench.move(3, live=0, size=RATE * 30) == pytest.approx(2.0, abs=0.15)
