"""A consumer that charges a card for each message charges some twice, for a message may come twice.

pytest examples/scenarios/test_charging.py             # with a key it holds; without one it fails, as marked
pytest examples/scenarios/test_charging.py --runxfail  # show how it fails
"""

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
import trio

import haqactor
from haqactor.testing import World, scenario

URL = "haq://queue-1.example:7420,queue-2.example:7420,queue-3.example:7420"


class Bank:
    """A system outside. ``charges``: what each customer was charged for."""

    def __init__(self) -> None:
        self.charges: list[str] = []
        self._keys: dict[str, None] = {}

    async def charge(self, customer: str, key: str | None = None) -> None:
        """Charge a customer; of charges with one ``key`` only the first counts."""
        await trio.sleep(0.03)  # the request travels
        if key is None or key not in self._keys:
            self.charges.append(customer)
        if key is not None:
            self._keys[key] = None
        await trio.sleep(0.03)  # the answer travels


# -- the program, in two versions


async def charge_each_message(bank: Bank) -> None:
    """Who dies between the charge and the acknowledgement gets the message again, and charges again."""
    async with haqactor.connect(URL) as broker, broker.queue("invoices").consume() as deliveries:
        async for message in deliveries:
            async with message:
                await bank.charge(message.body.decode())


async def charge_each_invoice(bank: Bank) -> None:
    """A message keeps its id when it comes again."""
    async with haqactor.connect(URL) as broker, broker.queue("invoices").consume() as deliveries:
        async for message in deliveries:
            async with message:
                await bank.charge(message.body.decode(), key=message.id)


# -- its world: what may happen, and what must hold


async def nobody_is_charged_twice(world: World, charger: Callable[[Bank], Awaitable[None]]) -> None:
    """Invoices come in while the network breaks, and the charger's machine loses its power once."""
    bank = Bank()
    customers = [f"customer {number}" for number in range(20)]
    async with world.connect() as broker:
        await broker.declare("invoices", lease=2.0, max_attempts=0)
        world.start(charger, bank, name="charger")
        async with broker.producer("billing") as producer:
            for customer in customers:
                await producer.publish("invoices", customer.encode())
        await trio.sleep(world.random.uniform(0.0, 1.0))
        world.crash_client("charger", restart_after=0.5)
    with trio.fail_after(300):
        await world.wait_empty("invoices")
    charged = Counter(bank.charges)
    assert {customer: charged[customer] for customer in customers if charged[customer] != 1} == {}


@scenario(seeds=20, profile="partition")
async def test_charging_with_a_key(world: World) -> None:
    await nobody_is_charged_twice(world, charge_each_invoice)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="a message may come twice")
@scenario(seeds=20, profile="partition")
async def test_charging_without_a_key(world: World) -> None:
    await nobody_is_charged_twice(world, charge_each_message)
