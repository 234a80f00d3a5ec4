"""The scenarios: what is too much, and what it may fill.

One rule: a scenario is named after what its clients do; its queues are bounded, as a program's would be.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Final

import trio

import haqactor
from haqactor.client.link import IDLE_PING_NS
from haqactor.env import NetworkError
from haqactor.errors import ProtocolError
from tests.overload.bound import Fills
from tests.overload.publishing import BODY, bodies, both, consume, singles
from tests.overload.raw import RawConnection
from tests.overload.world import Scenario, World

_DRAINED_MAX: Final = 20_000
_LIMITED_MAX: Final = 2_000
_BATCH: Final = 10
_CONSUMERS: Final = 3
_SLOW_REST_S: Final = 0.01
_HELD_MAX: Final = 10_000
_LEASE_S: Final = 3.0
_FEW: Final = 5
_UNREAD: Final = 12_500
_LARGE_BYTES: Final = 8192
_FILL: Final = 25
_LONG_LEASE_S: Final = 3600.0
_CREDIT_MESSAGES: Final = 1 << 20
_CREDIT_BYTES: Final = 1 << 40
_AGAIN_S: Final = 0.2
_DIALS_AT_ONCE: Final = 50
_IDLE_PING_S: Final = IDLE_PING_NS / 1e9
_EACH: Final = 5
_CONSUMED_OF: Final = 20


# -- producers faster than the cluster


async def _two_queues(world: World) -> None:
    await world.declare(haqactor.QueueConfig("drained", max_messages=_DRAINED_MAX))
    await world.declare(haqactor.QueueConfig("limited", max_messages=_LIMITED_MAX))


async def _fast_producers(world: World) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(_CONSUMERS):
            nursery.start_soon(consume, world, "drained")
        nursery.start_soon(consume, world, "limited", _SLOW_REST_S)
        for producer in range(world.size):
            nursery.start_soon(both, world, "drained", "limited", producer, _BATCH)


# -- consumers that take and never settle


async def _held_queue(world: World) -> None:
    await world.declare(haqactor.QueueConfig("held", max_messages=_HELD_MAX, lease=_LEASE_S))


async def _take_and_renew(world: World) -> None:
    """The client renews what its program holds."""
    async with haqactor.connect(world.cluster.url) as broker, broker.queue("held").consume() as deliveries:
        held: list[haqactor.Message] = []
        async for message in deliveries:
            held.append(message)
            world.count("taken and renewed")


async def _take_and_forget(world: World) -> None:
    """Reads everything, renews nothing: its leases run out, and it gets others."""
    group, uid = world.places["held"]

    async def session(connection: RawConnection) -> None:
        await connection.subscribe(group, uid, 256, 1 << 20)
        while True:
            world.count("bytes taken and forgotten", len(await connection.read()))

    await _again_and_again(world, group, session)


async def _never_acks(world: World) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(world.size):
            nursery.start_soon(_take_and_forget if number % 2 else _take_and_renew, world)
        for producer in range(_FEW):
            nursery.start_soon(singles, world, "held", producer)


# -- consumers that never read


async def _filled_queue(world: World) -> None:
    """A hundred megabytes, which one endless credit takes; the leases do not end before the run."""
    await world.declare(haqactor.QueueConfig("unread", max_messages=_UNREAD, lease=_LONG_LEASE_S))
    await world.declare(haqactor.QueueConfig("read", max_messages=_DRAINED_MAX))
    sent = bodies(_FILL, _LARGE_BYTES)
    async with world.broker.producer("overload-fill") as producer:
        for _ in range(_UNREAD // _FILL):
            await producer.publish_many("unread", sent)


async def _subscribe_and_sleep(world: World) -> None:
    group, uid = world.places["unread"]

    async def session(connection: RawConnection) -> None:
        await connection.subscribe(group, uid, _CREDIT_MESSAGES, _CREDIT_BYTES)
        while True:
            await trio.sleep(_IDLE_PING_S)
            await connection.ping()  # how it hears that its connection has ended

    await _again_and_again(world, group, session)


async def _again_and_again(
    world: World, group: int, session: Callable[[RawConnection], Awaitable[None]]
) -> None:
    """At the group's leader, whatever ends it."""
    while True:
        try:
            connection = await RawConnection.greeted(await world.leader_of(group))
            try:
                await session(connection)
            finally:
                connection.stream.abort()
        except (NetworkError, ProtocolError):
            world.count("connections ended by a node")
        await trio.sleep(_AGAIN_S)


async def _never_reads(world: World) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(world.size):
            nursery.start_soon(_subscribe_and_sleep, world)
        nursery.start_soon(consume, world, "read")
        for producer in range(_FEW):
            nursery.start_soon(singles, world, "read", producer)


# -- connections that say nothing


async def _read_queue(world: World) -> None:
    await world.declare(haqactor.QueueConfig("read", max_messages=_DRAINED_MAX))


async def _stay_idle(world: World, address: str, dialling: trio.CapacityLimiter, chance: Random) -> None:
    """Ping as a client does, and read what comes; one that a node ends is an outcome that must not be."""
    try:
        async with dialling:
            connection = await RawConnection.greeted(address)
        world.count("connections made")
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_keep_pinging, connection, chance.uniform(0.0, _IDLE_PING_S))
                while True:
                    await connection.read()
        finally:
            connection.stream.abort()
    except* (NetworkError, ProtocolError) as group:
        world.outcomes.failed("an idle connection", group.exceptions[0])


async def _keep_pinging(connection: RawConnection, first_s: float) -> None:
    await trio.sleep(first_s)
    while True:
        await connection.ping()
        await trio.sleep(_IDLE_PING_S)


async def _idle_connections(world: World) -> None:
    dialling, chance = trio.CapacityLimiter(_DIALS_AT_ONCE), Random(1)
    nodes = world.cluster.nodes
    async with trio.open_nursery() as nursery:
        for number in range(world.size):
            nursery.start_soon(_stay_idle, world, nodes[number % len(nodes)].listen, dialling, chance)
        nursery.start_soon(consume, world, "read")
        for producer in range(_FEW):
            nursery.start_soon(singles, world, "read", producer, 0.05)


# -- many queues


def _name(number: int) -> str:
    return f"q{number:05}"


async def _nothing(_world: World) -> None:
    """The queues are part of the load."""


async def _many_queues(world: World) -> None:
    """Declare them all, a few messages to each; then go on with one in twenty, which have consumers."""
    limiter = trio.CapacityLimiter(_DIALS_AT_ONCE)

    async def declare(number: int) -> None:
        async with limiter:
            await world.declare(haqactor.QueueConfig(_name(number)))
            world.count("queues made")
            for _ in range(_EACH):
                await world.outcomes.publish(
                    _name(number), 0, 1, partial(world.broker.publish, _name(number), BODY)
                )

    async with trio.open_nursery() as nursery:
        for number in range(world.size):
            world.outcomes.expect(_name(number), 0)
            nursery.start_soon(declare, number)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_consume_some, world)
        for producer in range(_FEW):
            nursery.start_soon(_publish_round, world, producer)


async def _consume_some(world: World) -> None:
    async with haqactor.connect(world.cluster.url) as broker, trio.open_nursery() as nursery:

        async def take(queue: str) -> None:
            async with broker.queue(queue).consume() as deliveries:
                async for message in deliveries:
                    await message.ack()
                    world.count("consumed")

        for number in range(0, world.size, _CONSUMED_OF):
            nursery.start_soon(take, _name(number))


async def _publish_round(world: World, producer: int) -> None:
    async with haqactor.connect(world.cluster.url) as broker:
        while True:
            for number in range(0, world.size, _CONSUMED_OF):
                queue = _name(number)
                world.outcomes.expect(queue, producer)
                await world.outcomes.publish(queue, producer, 1, partial(broker.publish, queue, BODY))


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="fast_producers",
            about="producers faster than their consumers, with single messages and with batches",
            size=50,
            unit="producers",
            prepare=_two_queues,
            load=_fast_producers,
            fills=lambda size: Fills(
                groups=2,
                senders=size,
                takers=_CONSUMERS + 1,
                connections=size + _CONSUMERS + 2,
                queues=2,
                messages=_DRAINED_MAX + _LIMITED_MAX,
            ),
            fair=True,
        ),
        Scenario(
            name="never_acks",
            about="consumers that take and never settle; half of them renew",
            size=20,
            unit="consumers",
            prepare=_held_queue,
            load=_never_acks,
            fills=lambda size: Fills(
                senders=_FEW, takers=size, connections=size + _FEW + 1, queues=1, messages=_HELD_MAX
            ),
        ),
        Scenario(
            name="never_reads",
            about="connections that subscribe with endless credit and never read",
            size=8,
            unit="connections",
            prepare=_filled_queue,
            load=_never_reads,
            fills=lambda size: Fills(
                groups=2,
                senders=_FEW,
                takers=size + 1,
                connections=size + _FEW + 2,
                queues=2,
                messages=_DRAINED_MAX + _UNREAD,
            ),
        ),
        Scenario(
            name="idle_connections",
            about="connections that say nothing, spread over the nodes",
            size=5000,
            unit="connections",
            prepare=_read_queue,
            load=_idle_connections,
            fills=lambda size: Fills(
                senders=_FEW, takers=1, connections=-(-size // 3) + _FEW + 2, queues=1, messages=_DRAINED_MAX
            ),
        ),
        Scenario(
            name="many_queues",
            about="queues with a few messages each, and consumers on one in twenty",
            size=1000,
            unit="queues",
            prepare=_nothing,
            load=_many_queues,
            fills=lambda size: Fills(
                groups=16,
                senders=_FEW + 1,
                takers=1,
                connections=_FEW + 2,
                queues=size,
                messages=size * _EACH + 1000,
            ),
        ),
    )
}
