"""Producers that never rest, and consumers that are quick, or slow.

One rule: equal producers are told apart by a number alone; each has a connection of its own.
"""

from functools import partial
from random import Random
from typing import Final

import trio

import haqactor
from tests.overload.world import World

BODY_BYTES: Final = 1024


def bodies(count: int, size: int = BODY_BYTES) -> list[bytes]:
    """None like another, and nothing in them to pack: what is published is what is held."""
    chance = Random(count)
    return [chance.randbytes(size) for _ in range(count)]


BODY: Final = bodies(1)[0]


async def singles(world: World, queue: str, producer: int, rest_s: float = 0.0) -> None:
    """One message after the other."""
    world.outcomes.expect(queue, producer)
    async with haqactor.connect(world.cluster.url) as broker:
        await _one_by_one(world, broker, queue, producer, rest_s)


async def _one_by_one(
    world: World, broker: haqactor.Broker, queue: str, producer: int, rest_s: float = 0.0
) -> None:
    while True:
        await world.outcomes.publish(queue, producer, 1, partial(broker.publish, queue, BODY))
        await trio.sleep(rest_s)


async def _batches(world: World, broker: haqactor.Broker, queue: str, producer: int, many: int) -> None:
    sent = bodies(many)
    async with broker.producer(f"overload-{producer}") as named:
        while True:
            await world.outcomes.publish(queue, producer, many, partial(named.publish_many, queue, sent))


async def both(world: World, single: str, batched: str, producer: int, many: int) -> None:
    """Single messages to one queue and batches of ``many`` to another, each as fast as it can."""
    world.outcomes.expect(single, producer)
    world.outcomes.expect(batched, producer)
    async with haqactor.connect(world.cluster.url) as broker, trio.open_nursery() as nursery:
        nursery.start_soon(_one_by_one, world, broker, single, producer)
        nursery.start_soon(_batches, world, broker, batched, producer, many)


async def consume(world: World, queue: str, rest_s: float = 0.0) -> None:
    """Take batches and acknowledge them; ``rest_s`` after each."""
    async with (
        haqactor.connect(world.cluster.url) as broker,
        broker.queue(queue).consume_batches() as batches,
    ):
        async for batch in batches:
            async with batch:
                world.count(f"consumed from {queue}", len(batch.messages))
            await trio.sleep(rest_s)
