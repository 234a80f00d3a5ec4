"""Leaders go back to the preferred voter, one at a time, and only where nothing is lost by it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from haqactor.env import NullProbe
from haqactor.ids import NodeId
from haqactor.nodes.balance import Balancer
from haqactor.nodes.context import Context
from tests.builders.node_context import quiet_log

FIRST_S = 0.5
"""When it is first looked: nobody was connected before."""


@dataclass
class Place:
    node: int = 1
    match: int = 9
    suspect: bool = False


@dataclass
class Core:
    preferred: int = 1
    node: int = 0
    term: int = 3
    last_index: int = 9
    places: tuple[Place, ...] = (Place(),)

    def statistics(self) -> Any:
        return SimpleNamespace(peers=self.places)


@dataclass
class Actor:
    group: int
    core: Core = field(default_factory=Core)
    serving: bool = True
    given: list[int] = field(default_factory=list[int])
    taken: list[int] = field(default_factory=list[int])

    @property
    def mailbox(self) -> "Actor":
        return self

    def put_once(self, item: Callable[[int], None]) -> None:
        item(0)

    def give_back(self, _now: int) -> None:
        self.taken.append(self.group)
        self.serving = False


def context(actors: list[Actor], *, connected: bool = True, connected_ns: int | None = None) -> Context:
    if connected_ns is None:
        connected_ns = round((trio.current_time() + FIRST_S) * 1e9)
    link = SimpleNamespace(connected=connected, connected_ns=connected_ns)
    made = SimpleNamespace(
        groups={actor.group: actor for actor in actors},
        peers={1: link},
        log=quiet_log(),
        now=lambda: round(trio.current_time() * 1e9),
        count=str,
        limits=SimpleNamespace(disk_slow=1.0),
        env=SimpleNamespace(probe=NullProbe()),
    )
    return cast("Context", made)


async def after(seconds: float, place: Context) -> None:
    with trio.move_on_after(seconds):
        await Balancer(place).run()


async def test_one_group_at_a_time_after_a_calm_while(autojump_clock: MockClock) -> None:
    actors = [Actor(1), Actor(2)]
    await after(5.4, context(actors))
    assert [actor.taken for actor in actors] == [[], []]
    actors = [Actor(1), Actor(2)]
    await after(5.8, context(actors))
    assert [actor.taken for actor in actors] == [[1], []]
    actors = [Actor(1), Actor(2)]
    await after(6.8, context(actors))
    assert [actor.taken for actor in actors] == [[1], [2]]


@pytest.mark.parametrize(
    "core",
    [
        Core(preferred=0),
        replace(Core(), places=(Place(match=8),)),
        replace(Core(), places=(Place(suspect=True),)),
        replace(Core(), places=()),
    ],
    ids=["belongs here", "not the whole log", "suspect", "unknown"],
)
async def test_nothing_moves_where_something_would_be_lost(core: Core, autojump_clock: MockClock) -> None:
    actor = Actor(1, core)
    await after(20, context([actor]))
    assert actor.taken == []


async def test_not_to_a_peer_that_is_away_or_has_just_come_back(autojump_clock: MockClock) -> None:
    away = Actor(1)
    await after(20, context([away], connected=False))
    assert away.taken == []
    back = Actor(1)
    await after(8, context([back], connected_ns=round((trio.current_time() + 4) * 1e9)))
    assert back.taken == []


async def test_a_new_term_starts_the_calm_anew(autojump_clock: MockClock) -> None:
    actor = Actor(1)
    place = context([actor])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Balancer(place).run)
        await trio.sleep(4)
        actor.core.term += 1
        place.peers[NodeId(1)].connected_ns = round((trio.current_time() + 0.5) * 1e9)
        await trio.sleep(4)
        assert actor.taken == []
        await trio.sleep(3)
        assert actor.taken == [1]
        nursery.cancel_scope.cancel()


async def test_who_let_go_while_it_was_here_waits_longer(autojump_clock: MockClock) -> None:
    """Its disk was slow, as a rule, and may be so again."""
    actor = Actor(1)
    place = context([actor], connected_ns=0)
    await after(30, place)
    assert actor.taken == []
    actor = Actor(1)
    await after(31, context([actor], connected_ns=0))
    assert actor.taken == [1]


async def test_a_disk_that_stands_still_has_to_be_fast_for_a_while(autojump_clock: MockClock) -> None:
    actor = Actor(1)
    behind = replace(actor.core, places=(Place(match=8),))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Balancer(context([actor])).run)
        await trio.sleep(1)
        actor.core = behind
        await trio.sleep(3)
        actor.core = Core()
        await trio.sleep(29)
        assert actor.taken == []
        await trio.sleep(3)
        assert actor.taken == [1]
        nursery.cancel_scope.cancel()


async def test_a_log_that_moves_is_not_slow(autojump_clock: MockClock) -> None:
    """It is always a little behind, as long as somebody publishes."""
    actor = Actor(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Balancer(context([actor])).run)
        for index in range(20, 40):
            actor.core = replace(actor.core, last_index=index, places=(Place(match=index - 1),))
            await trio.sleep(0.25)
        actor.core = replace(actor.core, places=(Place(match=39),))
        await trio.sleep(1)
        assert actor.taken == [1]
        nursery.cancel_scope.cancel()


async def test_what_came_to_nothing_is_tried_ever_more_seldom(autojump_clock: MockClock) -> None:
    """The target may be one that holds everything and may not stand for election: seed 7071 of swarm."""
    at: list[float] = []

    @dataclass
    class Stuck(Actor):
        def give_back(self, _now: int) -> None:
            at.append(trio.current_time())

    await after(650, context([Stuck(1)]))
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert waits == pytest.approx([10, 20, 40, 80, 160, 300], abs=1)
