"""A consumer that acknowledges an order before it has shipped it loses orders when it crashes.

pytest examples/scenarios/test_shipping.py             # the careful one holds; the hasty one fails, as marked
pytest examples/scenarios/test_shipping.py --runxfail  # show how it fails
"""

from collections.abc import Awaitable, Callable

import pytest
import trio

import haqactor
from haqactor.testing import World, scenario

URL = "haq://queue-1.example:7420,queue-2.example:7420,queue-3.example:7420"


class Warehouse:
    """A system outside, which survives whatever happens to our programs."""

    def __init__(self) -> None:
        self.shipped: list[bytes] = []

    async def ship(self, order: bytes) -> None:
        """It takes a while until the order is on its way."""
        await trio.sleep(0.05)
        self.shipped.append(order)


# -- the program, in two versions


async def ship_hastily(warehouse: Warehouse) -> None:
    """Who dies behind ``ack`` has lost the order: nobody else will get it."""
    async with haqactor.connect(URL) as broker, broker.queue("orders").consume() as deliveries:
        async for message in deliveries:
            await message.ack()
            await warehouse.ship(message.body)


async def ship_carefully(warehouse: Warehouse) -> None:
    """Leaving the block acknowledges; who dies in it will get the order again."""
    async with haqactor.connect(URL) as broker, broker.queue("orders").consume() as deliveries:
        async for message in deliveries:
            async with message:
                await warehouse.ship(message.body)


# -- its world: what may happen, and what must hold


async def all_orders_are_shipped(world: World, shipper: Callable[[Warehouse], Awaitable[None]]) -> None:
    """Orders come in while the shipper's machine loses its power now and then."""
    warehouse = Warehouse()
    orders = [b"order %d" % number for number in range(20)]
    async with world.connect() as broker:
        await broker.declare("orders", lease=2.0, max_attempts=0)
        world.start(shipper, warehouse, name="shipper", crash_every=0.7)
        for order in orders:
            await broker.publish("orders", order)
            await trio.sleep(0.05)
    with trio.fail_after(300):
        await world.wait_empty("orders")
    await trio.sleep(1)  # for what is shipped after its acknowledgement
    assert not [order for order in orders if order not in warehouse.shipped]


@scenario(seeds=20, profile="crash")
async def test_careful_shipper(world: World) -> None:
    await all_orders_are_shipped(world, ship_carefully)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="acknowledges what is not done")
@scenario(seeds=20, profile="crash")
async def test_hasty_shipper(world: World) -> None:
    await all_orders_are_shipped(world, ship_hastily)
