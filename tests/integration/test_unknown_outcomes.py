"""Deletions and purges while leaders are killed: they end as done, or as unknown, and never as somebody
else's doing.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

import haqactor
from haqactor import Broker, NotFound, OutcomeUnknown
from haqactor.cli.launcher import LocalCluster
from tests.builders.local_cluster import leader_of, no_tracebacks, until

SECONDS_MAX = 25.0
QUEUES = 60
WORKERS = 6


async def metadata_leader(broker: Broker) -> int:
    """Who leads group 0, once the asked node knows; reading the directory waits out an election."""
    while True:
        await broker.queues()
        leaders = [row["leader"] for row in (await broker.status())["groups"] if row["group"] == 0]
        if leaders[0] is not None:
            return int(leaders[0])


async def driven(call: Callable[[], Awaitable[object]]) -> None:
    """Until it is known to be done."""
    try:
        await call()
    except OutcomeUnknown as error:
        await error.retry()  # type: ignore[attr-defined]  # what a broker raises can be repeated


@pytest.mark.parametrize("route", ["", "?route=proxy"])
@pytest.mark.parametrize("group", ["metadata", "owner"])
async def test_deletions_across_a_leaders_death(small: LocalCluster, group: str, route: str) -> None:
    """Of group 0, which decides them, or of the group that drops the queue: none is reported as not found,
    all are gone."""
    names = [f"deleted-{group}-{bool(route):d}-{number}" for number in range(QUEUES)]
    todo = list(names)

    async def delete(broker: Broker) -> None:
        while todo:
            name = todo.pop()
            await driven(partial(broker.delete_queue, name))

    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as other, haqactor.connect(small.url + route) as broker:
            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(other.declare, name)
            victim = await (metadata_leader(other) if group == "metadata" else leader_of(other, names[0]))
            async with trio.open_nursery() as nursery:
                for _ in range(WORKERS):
                    nursery.start_soon(delete, broker)
                await until(lambda: len(todo) < QUEUES // 2)
                small.kill(victim)
            left = {info.name for info in await other.queues()}
            assert left.isdisjoint(names)
            for name in names:
                with pytest.raises(NotFound):
                    await broker.delete_queue(name)
            await small.restart(victim)
    no_tracebacks(small)


@pytest.mark.parametrize("route", ["", "?route=proxy"])
async def test_purges_across_a_leaders_death(small: LocalCluster, route: str) -> None:
    """In the end nothing is left of what stood there before."""
    names = [f"purged-{bool(route):d}-{number}" for number in range(4)]
    with trio.fail_after(SECONDS_MAX):
        async with haqactor.connect(small.url) as other, haqactor.connect(small.url + route) as broker:
            for name in names:
                await other.declare(name)
                await other.publish(name, b"before")
            victim = await leader_of(other, names[0])
            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(driven, broker.queue(name).purge)
                await trio.sleep(0.001)
                small.kill(victim)
            for name in names:
                await other.publish(name, b"after")
                assert [message.body for message in await broker.queue(name).peek()] == [b"after"]
            await small.restart(victim)
    no_tracebacks(small)
