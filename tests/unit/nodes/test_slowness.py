"""A node whose disk stands still gives its leaderships up, a few at a time, until somebody takes them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from haqactor.env import NullProbe
from haqactor.ids import NO_NODE, NodeId
from haqactor.nodes.context import Context
from haqactor.nodes.slowness import AT_ONCE, SlowDisk
from tests.builders.node_context import quiet_log


@dataclass
class Actor:
    """Its disk is slow from ``slow_s`` on."""

    group: int
    slow_s: float = 1.0
    leads: bool = True
    taken: list[float] = field(default_factory=list[float])
    transferee: NodeId = NO_NODE

    @property
    def core(self) -> "Actor":
        return self

    @property
    def mailbox(self) -> "Actor":
        return self

    def waits_for_disk(self, now_ns: int) -> bool:
        return now_ns > self.slow_s * 1e9

    def should_give_up(self, now_ns: int, *, elsewhere: bool) -> bool:
        return self.leads and (elsewhere or self.waits_for_disk(now_ns))

    def put_once(self, item: Callable[[int], None]) -> None:
        item(0)

    def hand_over(self, _now: int) -> None:
        self.taken.append(trio.current_time())


class Moves(Actor):
    """Somebody takes it."""

    def hand_over(self, _now: int) -> None:
        super().hand_over(_now)
        self.leads = False


async def after(seconds: float, actors: list[Actor], beat_s: float = 0.25) -> None:
    place = SimpleNamespace(
        groups={actor.group: actor for actor in actors},
        log=quiet_log(),
        now=lambda: round(trio.current_time() * 1e9),
        count=str,
        limits=SimpleNamespace(disk_slow=1.0),
        env=SimpleNamespace(probe=NullProbe()),
    )
    disk = SlowDisk(cast("Context", place))
    with trio.move_on_after(seconds):
        while True:
            await trio.sleep(beat_s)
            disk.look()


async def test_what_waits_for_the_disk_goes(autojump_clock: MockClock) -> None:
    """And all that this node leads with it: seed 159 of the swarm profile, where the leader of a group that
    wrote nothing could not read what a follower needed."""
    waits, idle, follower = Moves(1), Moves(2, slow_s=1e9), Moves(3, slow_s=1e9, leads=False)
    await after(3, [waits, idle, follower])
    assert waits.taken == [1.25]
    assert idle.taken == [1.25]
    assert follower.taken == []


async def test_a_fast_disk_keeps_everything(autojump_clock: MockClock) -> None:
    fast = Moves(1, slow_s=1e9)
    await after(3, [fast])
    assert fast.taken == []


async def test_a_few_at_a_time_and_all_in_the_end(autojump_clock: MockClock) -> None:
    actors: list[Actor] = [Moves(group) for group in range(3 * AT_ONCE)]
    await after(1.3, actors)
    assert sum(len(actor.taken) for actor in actors) == AT_ONCE
    await after(1, actors)
    assert all(len(actor.taken) == 1 for actor in actors)


async def test_what_nobody_takes_keeps_nothing_else_waiting(autojump_clock: MockClock) -> None:
    stuck: list[Actor] = [Actor(group) for group in range(AT_ONCE)]
    others: list[Actor] = [Moves(AT_ONCE + group) for group in range(AT_ONCE)]
    await after(1.6, [*stuck, *others])
    assert all(actor.taken for actor in others)


async def test_a_handover_under_way_is_left_alone(autojump_clock: MockClock) -> None:
    actor = Actor(1, transferee=NodeId(2))
    await after(3, [actor])
    assert actor.taken == []


async def test_it_looks_no_oftener_than_it_has_to(autojump_clock: MockClock) -> None:
    """Each look goes through all groups, and beats come as often as reads are waited for."""
    actor = Actor(1)
    await after(1.9, [actor], beat_s=0.01)
    assert actor.taken == [pytest.approx(at, abs=0.05) for at in (1.01, 1.26, 1.51, 1.76)]
