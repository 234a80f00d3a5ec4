"""Stands between a program and its brokers, and writes down what it asks them for.

One rule: it passes everything on as it came, errors included; a program cannot tell that it is watched.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from haqactor.client.broker import Broker
from haqactor.client.queue import Queue
from haqactor.config import QueueConfig
from haqactor.errors import (
    Conflict,
    Error,
    InvalidArgument,
    NoQuorum,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    TooLarge,
)
from haqactor.sim.watch.history import FAIL, INFO, OK, Kind, Outcome
from haqactor.testing.deliveries import RecordedSubscription
from haqactor.testing.notes import Notes

_NOT_STORED = (NoQuorum, Overloaded, TooLarge, InvalidArgument)
_NOT_DONE = (NotFound, Conflict, InvalidArgument)


class Recorder:
    """Of one life of a program."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._sessions = 0

    def attach(self, broker: Broker) -> None:
        """From now on all that is asked of ``broker`` is written down."""
        self._sessions += 1
        watched: Any = broker
        watched.session.core.make_subscription = partial(RecordedSubscription, self._notes, self._sessions)
        self._watch_publisher(watched._anonymous)
        watched.producer = partial(self._producer, broker.producer)
        watched.declare = partial(self._declare, broker.declare)
        watched.queue = partial(self._queue, broker.queue)
        watched.delete_queue = partial(self._delete, broker.delete_queue)

    def _queue(self, make: Callable[[str], Queue], name: str) -> Queue:
        queue = make(name)
        self._watch_queue(queue)
        return queue

    def _watch_queue(self, queue: Queue) -> None:
        watched: Any = queue
        watched.purge = partial(self._plain, "purge", queue.name, queue.purge)
        watched.info = partial(self._info, queue.name, queue.info)

    # -- queues

    async def _declare(self, declare: Callable[..., Awaitable[Queue]], queue: Any, **settings: Any) -> Queue:
        name = queue.name if isinstance(queue, QueueConfig) else str(queue)
        dead = queue.dead_letter if isinstance(queue, QueueConfig) else settings.get("dead_letter")
        known = {"dead_letter": dead} if isinstance(dead, str) else {}
        found: Queue = await self._plain("declare", name, partial(declare, queue, **settings), **known)
        self._watch_queue(found)
        return found

    async def _delete(self, delete: Callable[[str], Awaitable[None]], name: str) -> None:
        await self._plain("delete", str(name), partial(delete, name))

    async def _plain(self, kind: Kind, queue: str, ask: Callable[[], Awaitable[Any]], **known: Any) -> Any:
        op = self._notes.call(kind, queue, **known)
        try:
            result = await ask()
        except BaseException as error:
            outcome: Outcome = FAIL if isinstance(error, _NOT_DONE) else INFO
            self._notes.returned(op, outcome, error=_code(error))
            raise
        self._notes.returned(op, OK)
        return result

    async def _info(self, name: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        op = self._notes.call("info", name)
        try:
            info = await ask()
        except BaseException as error:
            self._notes.returned(op, FAIL if isinstance(error, NotFound) else INFO, error=_code(error))
            raise
        numbers = ("ready", "leased", "delayed", "dead", "first_seq", "next_seq")
        self._notes.returned(op, OK, **{number: getattr(info, number) for number in numbers})
        return info

    # -- publishing

    @asynccontextmanager
    async def _producer(self, make: Callable[[str], Any], name: str) -> AsyncGenerator[Any]:
        async with make(name) as producer:
            self._watch_publisher(producer._publisher)
            yield producer

    def _watch_publisher(self, publisher: Any) -> None:
        publisher.send = partial(self._send, publisher, publisher.send)
        publisher.send_many = partial(self._send_many, publisher, publisher.send_many)

    async def _send(self, publisher: Any, send: Any, queue: str, content: Any, seq: int | None) -> Any:
        known = {} if seq is None else {"producer": _producer_of(publisher), "producer_seq": seq}
        return await self._sent(publisher, partial(send, queue, content, seq), queue, content.body, known)

    async def _sent(
        self, publisher: Any, send: Callable[[], Awaitable[Any]], queue: str, body: bytes, known: Any
    ) -> Any:
        notes = self._notes
        op = notes.call("publish", queue, body, **known)
        try:
            receipt = await send()
        except BaseException as error:
            outcome: Outcome = FAIL if isinstance(error, _NOT_STORED) else INFO
            notes.returned(op, outcome, error=_code(error))
            if isinstance(error, OutcomeUnknown) and error.producer_seq is not None:
                number = {"producer": _producer_of(publisher), "producer_seq": error.producer_seq}
                asked: Any = error
                asked._retry = partial(self._sent, publisher, asked._retry, queue, body, number)
            raise
        notes.returned(
            op,
            OK,
            producer=_producer_of(publisher),
            producer_seq=receipt.producer_seq,
            seq=receipt.seq,
            duplicate=receipt.duplicate,
        )
        return receipt

    async def _send_many(self, publisher: Any, send: Any, queue: str, contents: Any, seq: int | None) -> Any:
        notes, producer = self._notes, _producer_of(publisher)
        ops = [
            notes.call(
                "publish",
                queue,
                content if isinstance(content, bytes) else content.body,
                **({} if seq is None else {"producer": producer, "producer_seq": seq + row}),
            )
            for row, content in enumerate(contents)
        ]
        try:
            receipts = await send(queue, contents, seq)
        except BaseException as error:
            for op in ops:
                notes.returned(op, INFO, error=_code(error))
            raise
        for op, receipt in zip(ops, receipts, strict=True):
            notes.returned(
                op,
                OK,
                producer=producer,
                producer_seq=receipt.producer_seq,
                seq=receipt.seq,
                duplicate=receipt.duplicate,
            )
        return receipts


def _producer_of(publisher: Any) -> str:
    identity: bytes = publisher._identity.producer
    return identity.hex()


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, Error) else type(error).__name__
