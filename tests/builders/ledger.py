"""What was confirmed and what arrived: the books that a test of the whole path compares."""

from collections.abc import Callable
from typing import Final

import trio

from haqactor import Broker, Producer
from haqactor.client.producer import Receipt

BATCH: Final = 37


class Ledger:
    """Bodies are ``b"<producer> <number>"``; numbers of a producer rise by 1 from 1."""

    def __init__(self) -> None:
        self.confirmed: dict[bytes, int] = {}  #: body -> its place in the queue
        self.arrived: dict[bytes, int] = {}  #: body -> place, in the order of first arrivals
        self.deliveries = 0

    def confirm(self, body: bytes, receipt: Receipt) -> None:
        """A receipt came."""
        assert self.confirmed.setdefault(body, receipt.seq) == receipt.seq, f"{body!r} stored twice"

    def arrive(self, body: bytes, seq: int) -> None:
        """A delivery came."""
        self.deliveries += 1
        assert self.arrived.setdefault(body, seq) == seq, f"{body!r} is stored twice"

    @property
    def missing(self) -> list[bytes]:
        """Confirmed, and not here yet."""
        return [body for body in self.confirmed if body not in self.arrived]

    def check(self) -> None:
        """Nothing lost, nothing stored twice, everything at the place that its receipt names, first
        deliveries in order."""
        assert not self.missing
        places = list(self.arrived.values())
        assert len(dict.fromkeys(places)) == len(places), "two bodies at one place"
        for body, place in self.confirmed.items():
            assert self.arrived[body] == place
        last: dict[bytes, int] = {}
        for body in self.arrived:
            producer, number = body.split()
            assert int(number) > last.get(producer, 0), f"{body!r} came after {last[producer]}"
            last[producer] = int(number)


async def publish_single(
    broker: Broker | Producer, queue: str, name: str, ledger: Ledger, going: Callable[[], bool]
) -> None:
    """One after the other; a named producer's numbers are given."""
    number = 0
    while going():
        number += 1
        body = b"%s %d" % (name.encode(), number)
        if isinstance(broker, Producer):
            receipt = await broker.publish(queue, body, seq=number)
        else:
            receipt = await broker.publish(queue, body)
        ledger.confirm(body, receipt)
        await trio.lowlevel.checkpoint()


async def publish_batches(
    producer: Producer, queue: str, name: str, ledger: Ledger, going: Callable[[], bool]
) -> None:
    """Batch after batch, without numbers of its own."""
    number = 0
    while going():
        bodies = [b"%s %d" % (name.encode(), number + offset) for offset in range(1, BATCH + 1)]
        number += BATCH
        for body, receipt in zip(bodies, await producer.publish_many(queue, bodies), strict=True):
            ledger.confirm(body, receipt)


async def consume_into(broker: Broker, queue: str, ledger: Ledger, credit: int = 512) -> None:
    """Acknowledge all that comes, until cancelled."""
    async with broker.queue(queue).consume(credit=credit) as deliveries:
        async for message in deliveries:
            async with message:
                ledger.arrive(message.body, message.seq)
