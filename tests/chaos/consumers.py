"""Programs that consume: message by message with many settlements at once, and in batches.

One rule: a message is written down as delivered before anything is done with it, and everything that is done
with it is written down.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import trio

import haqactor
from tests.chaos.bodies import id_of
from tests.chaos.history import History
from tests.chaos.producers import ENDED, PAUSE_S

SETTLING_MAX: Final = 32
NOT_AWAITED: Final = "not_awaited"


class Consumer:
    """One program. It returns some messages, and keeps some until its block ends, unless it is ``orderly``:
    then it acknowledges all that it gets."""

    def __init__(
        self, history: History, queue: str, name: str, seed: int, *, batches: bool, orderly: bool = False
    ) -> None:
        self._history = history
        self._queue = queue
        self._name = name
        self._batches = batches
        self._orderly = orderly
        self._lives = 0
        self._chance = random.Random(f"{seed} {name} {queue}")

    async def run(self, broker: haqactor.Broker, orderly: Callable[[], bool]) -> None:
        """Subscribe again and again, until cancelled."""
        while True:
            self._lives += 1
            client = f"{self._name}#{self._lives}"
            try:
                if self._batches:
                    await self._take_batches(broker, client, orderly)
                else:
                    await self._take(broker, client, orderly)
            except* ENDED:
                raise
            except* haqactor.Error:
                await trio.sleep(PAUSE_S)

    def _draws(self, orderly: Callable[[], bool], share: float) -> bool:
        return not self._orderly and not orderly() and self._chance.random() < share

    def _look(self, client: str, message: haqactor.Message) -> str:
        found = id_of(message.body)
        self._history.delivered(client, self._queue, found, message.seq, message.attempt)
        return found

    async def _take(self, broker: haqactor.Broker, client: str, orderly: Callable[[], bool]) -> None:
        credit = self._chance.choice([4, 16, 64, 512])
        limiter = trio.CapacityLimiter(SETTLING_MAX)
        async with (
            broker.queue(self._queue).consume(credit=credit) as deliveries,
            trio.open_nursery() as nursery,
        ):
            for _ in range(self._chance.choice([20, 100, 300])):
                message = await deliveries.receive()
                found = self._look(client, message)
                if self._draws(orderly, 0.01):
                    continue  # kept: it goes back when the block is left
                await limiter.acquire_on_behalf_of(message)
                nursery.start_soon(self._settle, client, message, found, limiter, orderly)

    async def _settle(
        self,
        client: str,
        message: haqactor.Message,
        found: str,
        limiter: trio.CapacityLimiter,
        orderly: Callable[[], bool],
    ) -> None:
        try:
            if self._draws(orderly, 0.3):
                await self._body(client, message, found)
            elif self._draws(orderly, 0.05):
                delay = self._chance.choice([0.0, 0.5])
                await self._judged(client, "nack", [found], partial(message.nack, delay=delay))
            elif self._draws(orderly, 0.03):
                await self._judged(client, "release", [found], message.release)
            else:
                await self._judged(client, "ack", [found], message.ack)
        finally:
            limiter.release_on_behalf_of(message)

    async def _body(self, client: str, message: haqactor.Message, found: str) -> None:
        """The usual way: the block's end hands the acknowledgement over, and nobody waits for it."""
        record = self._history.begin("settle", client, self._queue, [found], verb="ack")
        try:
            async with message:
                await trio.lowlevel.checkpoint()
        except haqactor.LeaseLost as error:
            self._history.end(record, "refused", error.code)
        except BaseException:
            self._history.end(record, "cancelled")
            raise
        else:
            self._history.end(record, "unknown", NOT_AWAITED)

    async def _take_batches(self, broker: haqactor.Broker, client: str, orderly: Callable[[], bool]) -> None:
        credit = self._chance.choice([16, 200, 1000])
        async with broker.queue(self._queue).consume_batches(credit=credit) as batches:
            for _ in range(self._chance.choice([10, 50])):
                batch = await batches.receive()
                found = [self._look(client, message) for message in batch.messages]
                if self._draws(orderly, 0.05):
                    await self._judged(client, "nack", found, partial(batch.nack, delay=0.1))
                else:
                    await self._judged(client, "ack", found, batch.ack)

    async def _judged(
        self, client: str, verb: str, found: Sequence[str], call: Callable[[], Awaitable[None]]
    ) -> None:
        """Settle and wait for the verdict. Of a batch's refusal nobody knows whom it concerns."""
        record = self._history.begin("settle", client, self._queue, found, verb=verb)
        try:
            await call()
        except trio.Cancelled:
            self._history.end(record, "cancelled")
            raise
        except haqactor.Error as error:
            alone = isinstance(error, haqactor.LeaseLost) and len(found) == 1
            self._history.end(record, "refused" if alone else "unknown", error.code)
            if isinstance(error, ENDED):
                raise
        else:
            self._history.end(record, "confirmed")
