"""Logged time of a leader: never back, and loud where the clocks jump far."""

from typing import Any, cast

import trio
from trio.testing import MockClock

from haqactor.ids import NodeId
from haqactor.nodes.clockwork import GroupTime, clocks_heard
from tests.builders.memory_environment import EPOCH_NS, memory_environment
from tests.builders.node_context import node_context

NS = 1_000_000_000
HOUR_NS = 3600 * NS


class Log:
    """Counts warnings."""

    def __init__(self) -> None:
        self.warnings: list[float] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.warnings.append(fields["hours"])


def made(last_ns: int, skew_ns: int = 0) -> tuple[GroupTime, Any, Log]:
    """A group's time in a cluster of three, its last T in the log."""
    log = Log()
    context = node_context(env=memory_environment(skew_ns=skew_ns), log=cast(Any, log))[0]
    time = GroupTime(context, 1)
    time.begin(last_ns, context.now())
    return time, context, log


async def test_t_follows_the_clock(autojump_clock: MockClock) -> None:
    """And never goes back, whatever the wall clock does."""
    time, context, log = made(EPOCH_NS)
    for node in (1, 2):
        context.walls[NodeId(node)] = (EPOCH_NS, context.now())
    first = time.now(context.now())
    await trio.sleep(10)
    second = time.now(context.now())
    assert 9 * NS < second - first < 11 * NS
    context.env.clock.skew_ns = -HOUR_NS
    assert time.now(context.now()) >= second
    assert log.warnings == []


async def test_one_wrong_clock_moves_nothing(autojump_clock: MockClock) -> None:
    """A majority of the voters' clocks has to agree."""
    time, context, _log = made(EPOCH_NS, skew_ns=100 * HOUR_NS)
    for node in (1, 2):
        context.walls[NodeId(node)] = (EPOCH_NS, context.now())
    assert time.now(context.now()) < EPOCH_NS + HOUR_NS


async def test_a_far_jump_is_told_once(autojump_clock: MockClock) -> None:
    """Since timers that hang on T all end with it."""
    time, context, log = made(EPOCH_NS - 48 * HOUR_NS)
    for node in (1, 2):
        context.walls[NodeId(node)] = (EPOCH_NS, context.now())
    for _ in range(3):
        assert time.now(context.now()) >= EPOCH_NS
        await trio.sleep(1)
    assert [round(hours) for hours in log.warnings] == [48]


async def test_the_first_t_of_all_is_no_jump(autojump_clock: MockClock) -> None:
    """A new group has none yet."""
    time, context, log = made(0)
    for node in (1, 2):
        context.walls[NodeId(node)] = (EPOCH_NS, context.now())
    assert time.now(context.now()) >= EPOCH_NS
    assert log.warnings == []


async def test_a_majority_of_clocks(autojump_clock: MockClock) -> None:
    """The own one and one of two others, and only while it is fresh."""
    _time, context, _log = made(EPOCH_NS)
    assert not clocks_heard(context, context.now())
    context.walls[NodeId(2)] = (EPOCH_NS, context.now())
    assert clocks_heard(context, context.now())
    await trio.sleep(1.001)
    assert not clocks_heard(context, context.now())
