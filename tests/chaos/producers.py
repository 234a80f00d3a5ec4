"""Programs that publish: named ones, message by message and in batches, and many anonymous tasks.

One rule: a named producer keeps what it published last, as a program with a database would, and repeats it
under its number until it is confirmed, also in its next life.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

import trio

import haqactor
from haqactor.client.receipt import Receipt, Receipts
from tests.chaos.bodies import body_of
from tests.chaos.history import History, Record

REFUSALS: Final = frozenset({"no_quorum", "overloaded", "not_found", "too_large", "sequence_gap"})
"""Codes that say: nothing was stored."""
ENDED: Final = (haqactor.Closed, haqactor.ConnectionLost, haqactor.Fenced)
PAUSE_S: Final = 0.05
BACKLOG_MAX: Final = 300
"""Messages in a queue beyond which its producers rest, so that a run does not end with a long drain."""
Answer = Receipt | Receipts


@dataclass(slots=True)
class Ledger:
    """What a named producer remembers: the number of its next message, and what it wants to publish under
    it."""

    name: str
    next: int = 1
    ids: list[str] = field(default_factory=list[str])
    bodies: list[bytes] = field(default_factory=list[bytes])


async def publish(history: History, record: Record, call: Callable[[], Awaitable[Answer]]) -> Any:
    """One call, as the caller sees it: None when it is confirmed, else the error. Errors that end the session
    are raised."""
    try:
        answer = await call()
    except trio.Cancelled:
        history.end(record, "cancelled")
        raise
    except haqactor.Error as error:
        history.end(record, "refused" if error.code in REFUSALS else "unknown", error.code)
        if isinstance(error, ENDED):
            raise
        return error
    receipts = list(answer) if isinstance(answer, Receipts) else [answer]
    record.places = {message: each.seq for message, each in zip(record.ids, receipts, strict=True)}
    history.end(record, "confirmed")
    return None


async def _rest(history: History, queue: str, seconds: float, going: Callable[[], bool]) -> None:
    """Between two publishes; longer while the consumers are behind."""
    await trio.sleep(seconds)
    while going() and history.backlog(queue) > BACKLOG_MAX:  # noqa: ASYNC110 - a history has no event
        await trio.sleep(PAUSE_S)


class NamedProducer:
    """One after the other; ``sizes``: how many messages at a time."""

    def __init__(self, history: History, queue: str, name: str, sizes: tuple[int, ...], seed: int) -> None:
        self._history = history
        self._queue = queue
        self._sizes = sizes
        self._chance = random.Random(f"{seed} {name} {queue}")
        self._ledger = Ledger(name)

    async def run(self, broker: haqactor.Broker, going: Callable[[], bool]) -> None:
        """Until it is over and the last one is confirmed."""
        async with broker.producer(self._ledger.name) as producer:
            while going() or self._ledger.ids:
                if not self._ledger.ids:
                    self._next()
                if await self._once(producer) is not None:
                    await trio.sleep(PAUSE_S)
                else:
                    await _rest(self._history, self._queue, self._chance.choice([0.01, 0.03, 0.1]), going)

    def _next(self) -> None:
        ledger, count = self._ledger, self._chance.choice(self._sizes)
        ledger.ids = [f"{ledger.name}/{ledger.next + offset}" for offset in range(count)]
        ledger.bodies = [body_of(each, self._chance.choice([40, 300])) for each in ledger.ids]

    async def _once(self, producer: haqactor.Producer) -> Any:
        ledger, queue = self._ledger, self._queue
        record = self._history.begin(
            "publish", ledger.name, queue, ledger.ids, producer=ledger.name, number=ledger.next
        )

        async def call() -> Answer:
            if len(ledger.bodies) == 1:
                return await producer.publish(queue, ledger.bodies[0], seq=ledger.next)
            return await producer.publish_many(queue, ledger.bodies, seq=ledger.next)

        failed = await publish(self._history, record, call)
        if failed is None:
            ledger.next += len(ledger.ids)
            ledger.ids, ledger.bodies = [], []
        return failed


class Crowd:
    """Anonymous tasks side by side; each message is published once, and an unknown outcome asked for again
    or left."""

    def __init__(self, history: History, queue: str, name: str, tasks: int, seed: int) -> None:
        self._history = history
        self._queue = queue
        self._name = name
        self._tasks = tasks
        self._next = 0
        self._chance = random.Random(f"{seed} {name} {queue}")

    async def run(self, broker: haqactor.Broker, going: Callable[[], bool]) -> None:
        """Until it is over."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._tasks):
                nursery.start_soon(self._one, broker, going)

    async def _one(self, broker: haqactor.Broker, going: Callable[[], bool]) -> None:
        while going():
            self._next += 1
            message = f"{self._name}/{self._next}"
            body = body_of(message, self._chance.choice([40, 300, 3000]))
            failed = await self._publish(message, partial(broker.publish, self._queue, body))
            while isinstance(failed, haqactor.OutcomeUnknown) and self._chance.random() < 0.7:
                failed = await self._publish(message, cast("Any", failed).retry)
            await _rest(self._history, self._queue, self._chance.choice([0.02, 0.05, 0.2]), going)

    async def _publish(self, message: str, call: Callable[[], Awaitable[Answer]]) -> Any:
        record = self._history.begin("publish", self._name, self._queue, [message])
        return await publish(self._history, record, call)
