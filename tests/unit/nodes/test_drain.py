"""A node leaves in order, within a bound of time."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from haqactor.ids import GroupId, NodeId
from haqactor.nodes.drain import drain
from tests.builders.node_context import node_context


class FakeLink:
    """A link to a peer."""

    connected = True


class FakeActor:
    """A group that hands over at the given attempt."""

    def __init__(self, leading: bool, at: int = 1) -> None:
        self.leading = leading
        self.asked = 0
        self._at = at
        self.mailbox = self
        self.on_change: Callable[[], None] = lambda: None

    def put_once(self, item: Callable[[int], None]) -> None:
        item(0)

    def hand_over(self, now: int) -> None:
        self.asked += 1
        if self.asked == self._at:
            self.leading = False
            self.on_change()


def context_with(*actors: FakeActor, peers: int = 2) -> Any:
    context: Any = node_context()[0]
    context.groups = {GroupId(number): actor for number, actor in enumerate(actors)}
    context.peers = {NodeId(number): FakeLink() for number in range(1, peers + 1)}
    return context


async def test_leaderships_move_and_the_node_leaves_at_once(autojump_clock: MockClock) -> None:
    """What it follows is left alone."""
    led, followed = FakeActor(True), FakeActor(False)
    changed = trio.Event()
    led.on_change = changed.set
    await drain(context_with(led, followed), changed.wait)
    assert (led.asked, followed.asked) == (1, 0)
    assert trio.current_time() == 0


async def test_it_asks_again_but_not_for_ever(autojump_clock: MockClock) -> None:
    """A peer may not be able to take it yet."""
    slow = FakeActor(True, at=4)
    await drain(context_with(slow), trio.sleep_forever)
    assert slow.asked == 4
    assert trio.current_time() == pytest.approx(0.8)
    never = FakeActor(True, at=1000)
    began = trio.current_time()
    await drain(context_with(never), trio.sleep_forever)
    assert trio.current_time() - began == pytest.approx(3.0)


async def test_alone_there_is_nobody_to_lead(autojump_clock: MockClock) -> None:
    """So nothing is waited for."""
    led = FakeActor(True)
    await drain(context_with(led, peers=0), trio.sleep_forever)
    assert led.asked == 0
    assert trio.current_time() == 0
