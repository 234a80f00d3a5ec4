"""A connection that does not read is given no more, and more as soon as it has read."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
from trio.testing import wait_all_tasks_blocked

from haqactor.config import Limits
from haqactor.machine.actions import Deliver, Part
from haqactor.nodes.group import GroupActor
from haqactor.nodes.outbox import Outbox
from haqactor.nodes.pressure import Pressure
from tests.builders.node_context import node_context

BOUND = 1000
S = b"s"


class Session:
    """A connection."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.open = True


class Slow:
    """A peer that reads when the test lets it."""

    def __init__(self) -> None:
        self.gate = trio.Event()

    async def send_all(self, data: bytes) -> None:
        await self.gate.wait()


class Place:
    """A group's pressure; ``again``: the sessions that the dispatcher heard have room again."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.context, _journal = node_context(limits=Limits(connection_buffer_bytes=BOUND))
        self.nursery = nursery
        self.applier = self.mailbox = self
        self.again: list[bytes] = []
        self.session = Session()
        self.stream = Slow()
        self.sessions: dict[bytes, Any] = {S: self.session}
        self.pressure = Pressure(cast(GroupActor, self), self.sessions)
        self.pressure.dispatcher = cast(Any, self)
        nursery.start_soon(self.session.outbox.pump, cast(Any, self.stream))

    def put(self, item: Callable[[int], None]) -> None:
        item(0)

    def room_again(self, session: bytes) -> None:
        self.again.append(session)


@asynccontextmanager
async def place() -> AsyncGenerator[Place]:
    async with trio.open_nursery() as nursery:
        yield Place(nursery)
        nursery.cancel_scope.cancel()


def chosen(size: int) -> Deliver:
    return Deliver(S, 1, 7, 1000, [Part(1, 1, 1, ((1, 1),), (), 5, 1, 4, size, None)])


async def test_what_is_chosen_and_what_is_on_its_way_count_together() -> None:
    async with place() as here:
        here.session.outbox.put(b"x" * 400)
        here.pressure.chose(chosen(500))
        assert here.pressure.takes(S)
        here.pressure.chose(chosen(100))
        assert not here.pressure.takes(S)
        assert here.context.gauges["deliveries_held"] == 1
        here.pressure.dropped(chosen(100))
        here.pressure.look()
        assert here.again == [S]


async def test_whoever_reads_is_looked_at_again() -> None:
    async with place() as here:
        await wait_all_tasks_blocked()
        here.session.outbox.put(b"x" * BOUND)
        assert not here.pressure.takes(S)
        here.pressure.look()
        await wait_all_tasks_blocked()
        assert here.again == []
        here.stream.gate.set()
        await wait_all_tasks_blocked()
        assert here.again == [S]
        assert here.pressure.takes(S)


async def test_a_new_connection_of_the_session_is_looked_at_though_the_old_one_was_waited_for() -> None:
    async with place() as here:
        await wait_all_tasks_blocked()
        here.session.outbox.put(b"x" * BOUND)
        assert not here.pressure.takes(S)
        here.pressure.look()
        await wait_all_tasks_blocked()
        here.sessions[S] = Session()
        here.session.outbox.end()
        await wait_all_tasks_blocked()
        assert here.again == [S]


async def test_after_the_end_of_the_term_nobody_is_told() -> None:
    async with place() as here:
        await wait_all_tasks_blocked()
        here.session.outbox.put(b"x" * BOUND)
        assert not here.pressure.takes(S)
        here.pressure.look()
        await wait_all_tasks_blocked()
        here.pressure.close()
        here.stream.gate.set()
        await wait_all_tasks_blocked()
        assert here.again == []
