"""A node's life: what ends after what."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
import trio
from trio.testing import MockClock

from haqactor.config import NodeConfig
from haqactor.errors import DataDamaged, StorageFailed
from haqactor.ids import GroupId
from haqactor.journal.writer import Change
from haqactor.nodes.group import GroupActor
from haqactor.nodes.node import Node
from tests.builders.memory_disk import MemoryDisk
from tests.builders.memory_environment import memory_environment


def node() -> Node:
    env = memory_environment(disk=MemoryDisk())
    return Node(NodeConfig(data_dir=Path("/data"), groups=1), env, structlog.get_logger())


def join(server: Node, task: Callable[..., Awaitable[None]], *given: object) -> None:
    """One more task among the node's own."""
    nursery = cast(trio.Nursery, vars(server)["_nursery"])
    nursery.start_soon(task, *given)


async def late_writer(server: Node, told: list[bool]) -> None:
    """As an actor whose turn had come when everything was cancelled."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            journal = server.journal
            assert journal is not None
            await journal.committer.commit(Change(lambda: None, told.append))


async def test_the_writer_of_the_journal_ends_after_all_who_write(autojump_clock: MockClock) -> None:
    """A node that stopped in order while a leader proposed ended by an error: the simulator's seed 4016 of
    the swarm profile."""
    server, told = node(), list[bool]()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        join(server, late_writer, server, told)
        await server.wait_ready()
        server.stop()
    assert told == [False]


async def test_a_group_is_made_once(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow disk the directory may tell of it while it is being read: the second reader found the
    snapshot closed by the first one, and called that damage. Seed 10047 of profile swarm."""
    server, made = node(), list[int]()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        await server.wait_ready()
        assembly, context = server.assembly, server.context
        assert assembly is not None
        assert context is not None
        make = assembly.make

        async def slowly(group: GroupId, *members: Any) -> GroupActor:
            made.append(group)
            await trio.sleep(1)
            return await make(group, *members)

        monkeypatch.setattr(assembly, "make", slowly)
        created: Callable[[int, tuple[int, ...]], None] = getattr(server, "_group_created")  # noqa: B009
        for _ in range(2):
            created(7, (0,))
        await trio.sleep(3)
        assert made == [7]
        assert GroupId(7) in context.groups
        server.stop()


async def test_so_it_does_where_the_node_is_cancelled(autojump_clock: MockClock) -> None:
    """By the program that it is embedded in."""
    server, told = node(), list[bool]()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        join(server, late_writer, server, told)
        await server.wait_ready()
        nursery.cancel_scope.cancel()
    assert told == [False]


async def fails() -> None:
    raise StorageFailed("the disk is gone")


def fail(server: Node) -> None:
    join(server, fails)


def poison(server: Node) -> None:
    journal = server.journal
    assert journal is not None
    journal.committer.fail(StorageFailed("the disk is gone"))


@pytest.mark.parametrize("breaks", [fail, poison])
async def test_what_ends_a_node_is_not_wrapped(
    breaks: Callable[[Node], None], autojump_clock: MockClock
) -> None:
    """Neither what its actors raise nor what the journal does."""
    server = node()
    gone = pytest.RaisesExc(StorageFailed, match="^the disk is gone$")
    with pytest.RaisesGroup(gone), trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            await server.wait_ready()
            breaks(server)


async def test_a_node_that_waits_for_the_others_may_be_stopped(autojump_clock: MockClock) -> None:
    """They may never come; leaving an embedded node's block hung for ever."""
    env = memory_environment(disk=MemoryDisk())
    here, there = "127.0.0.1:7420", "127.0.0.1:7430"
    config = NodeConfig(data_dir=Path("/data"), listen=here, bootstrap=(here, there))
    server = Node(config, env, structlog.get_logger())
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            await trio.sleep(3)
            server.stop()
    assert server.journal is not None
    assert server.journal.identity.cluster_id is None


def permit(_error: DataDamaged, _identity: object) -> None:
    """Whatever is damaged is repaired."""


async def test_who_waits_for_a_node_waits_through_its_repair(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waiter of before would have waited for an event that nobody sets any more."""
    server, serve, begun = node(), getattr(Node, "_serve"), list[int]()  # noqa: B009

    async def rotten(self: Node, journal: Any, task_status: Any) -> None:
        begun.append(journal.boot)
        if len(begun) == 1:
            task_status.started()
            await trio.sleep(1)
            raise DataDamaged("a chunk of a snapshot is rotten")
        await serve(self, journal, task_status)

    monkeypatch.setattr(Node, "_serve", rotten)
    monkeypatch.setattr(vars(server)["_repairs"], "again", permit)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        with trio.fail_after(60):
            await server.wait_ready()
        context = server.context
        assert context is not None
        assert list(context.boots) == begun
        server.stop()
