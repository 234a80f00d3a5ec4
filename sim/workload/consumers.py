"""Consumers: message by message, in batches, or asking for one at a time; they settle in every way, late, or
never.

One rule: once the run is stopping they acknowledge whatever they get, so that queues drain.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import trio

from haqactor.client.broker import Broker
from haqactor.client.deliveries import Batch
from haqactor.client.message import Message
from haqactor.errors import Error
from haqactor.sim.keyed import Stream
from haqactor.sim.watch.history import Kind
from haqactor.sim.workload.clients import EXPECTED, Clients

_AGAIN_S = 0.1
_SESSION_MESSAGES = 60
_HELD_S = 1.6
"""Longer than a lease of queues with slow consumers, with its renewals not asked for."""

_LONG_S = 0.4
"""To handle a message at most, where there is to be a backlog."""


class Refused(Exception):
    """What a body raises to give its message back as failed."""


class ConsumerBody:
    """A client that consumes one queue, again and again."""

    def __init__(self, clients: Clients, name: str, queue: str) -> None:
        self._clients = clients
        self._name = name
        self._queue = queue

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        stream = self._clients.stream(self._name)
        while True:
            try:
                await self._way(stream)(broker, stream)
            except* EXPECTED:
                pass
            await trio.sleep(_AGAIN_S)

    def _way(self, stream: Stream) -> Callable[[Broker, Stream], Awaitable[None]]:
        work = self._clients.work
        ways = [self._singles]
        if "consumer_batches" in work:
            ways.append(self._batches)
        if "getters" in work:
            ways.append(self._getters)
        return ways[stream.randrange(len(ways))]

    # -- ways to receive

    async def _singles(self, broker: Broker, stream: Stream) -> None:
        queue = broker.queue(self._queue)
        credit = 1 + stream.randrange(20)
        if "backlog" in self._clients.work:
            credit = 1 + credit % 2
        left = _SESSION_MESSAGES
        async with queue.consume(credit=credit) as deliveries, trio.open_nursery() as nursery:
            async for message in deliveries:
                received(self._clients, self._name, self._queue, [message])
                nursery.start_soon(self._handle, message, stream.random(), stream.random())
                left -= 1
                if left <= 0 and not self._clients.progress.stopping:
                    return

    async def _getters(self, broker: Broker, stream: Stream) -> None:
        queue = broker.queue(self._queue)
        for _ in range(_SESSION_MESSAGES):
            message = await (queue.get() if stream.random() < 0.7 else queue.poll())
            if message is None:
                await trio.sleep(0.5)
                continue
            received(self._clients, self._name, self._queue, [message])
            await self._handle(message, stream.random(), stream.random() * 0.5)

    async def _batches(self, broker: Broker, stream: Stream) -> None:
        left = _SESSION_MESSAGES
        async with broker.queue(self._queue).consume_batches(credit=200) as batches:
            async for batch in batches:
                messages = batch.messages
                received(self._clients, self._name, self._queue, messages)
                await self._handle_batch(batch, messages, stream)
                left -= len(messages)
                if left <= 0 and not self._clients.progress.stopping:
                    return

    # -- ways to settle

    def _verb(self, kind: float) -> Kind:
        """Most is acknowledged; what may be parked fails more often."""
        if self._clients.progress.stopping:
            return "ack"
        if "rejects" in self._clients.work and kind > 0.95:
            return "reject"
        more = 0.25 if self._clients.queues.get(self._queue, {}).get("max_attempts") else 0.0
        if kind < 0.85 - more:
            return "ack"
        return "nack" if kind < 0.93 else "release"

    async def _handle(self, message: Message, kind: float, delay: float) -> None:
        clients = self._clients
        if "slow" in clients.work and delay > 0.93 and not clients.progress.stopping:
            await trio.sleep(_HELD_S)
        else:
            await trio.sleep(delay * delay * 0.2)
            if "backlog" in clients.work and not clients.progress.stopping:
                await trio.sleep(delay * _LONG_S)
        verb = self._verb(kind)
        if "bodies" in clients.work and verb != "reject" and 0.2 < delay < 0.6:
            await self._in_body(verb, message)
            return
        await self._record(verb, [message], self._by_hand(verb, message, delay))

    @staticmethod
    def _by_hand(verb: Kind, message: Message, delay: float) -> Callable[[], Awaitable[None]]:
        if verb == "ack":
            return message.ack
        if verb == "nack":
            return lambda: message.nack(delay=delay if delay > 0.3 else None, reason="drawn")
        return (lambda: message.reject(reason="drawn")) if verb == "reject" else message.release

    async def _in_body(self, verb: Kind, message: Message) -> None:
        """Left cleanly, by an exception or by cancellation; the verdict is not waited for."""
        op = self._clients.call(self._name, verb, self._queue, seq=message.seq, uid=uid_of_message(message))
        unknown = Error("the verdict is not waited for")
        try:
            with trio.CancelScope() as scope:
                async with message:
                    if verb == "nack":
                        raise Refused
                    if verb == "release":
                        scope.cancel()
                    await trio.sleep(0.01)
        except Refused:
            pass
        except EXPECTED as error:
            unknown = error
        self._clients.failed(op, unknown)

    async def _handle_batch(self, batch: Batch, messages: list[Message], stream: Stream) -> None:
        await trio.sleep(stream.random() * 0.1)
        verb = self._verb(stream.random())
        if verb == "ack" and len(messages) > 2 and stream.random() < 0.2:
            half = len(messages) // 2
            await self._record("ack", messages[:half], lambda: batch.ack(messages[:half]))
            messages = messages[half:]
            await self._record("ack", messages, lambda: batch.ack(messages))
            return
        settle: dict[Kind, Callable[[], Awaitable[None]]] = {
            "ack": batch.ack, "nack": batch.nack, "reject": batch.reject, "release": batch.release
        }  # fmt: skip
        await self._record(verb, messages, settle[verb])

    async def _record(
        self, verb: Kind, messages: Iterable[Message], settle: Callable[[], Awaitable[None]]
    ) -> None:
        """What is refused of a batch is not told one by one: then nothing is known of any."""
        clients = self._clients
        ops = [
            clients.call(self._name, verb, self._queue, seq=message.seq, uid=uid_of_message(message))
            for message in messages
        ]
        try:
            await settle()
        except EXPECTED as error:
            told = error if len(ops) == 1 else Error(str(error))
            for op in ops:
                clients.failed(op, told)
        else:
            clients.progress.settled += len(ops)
            for op in ops:
                clients.done(op)


def uid_of_message(message: Message) -> int:
    """The incarnation of the queue that it came from: nobody here gives messages an id of their own."""
    return int(message.id.partition("-")[0])


def received(clients: Clients, client: str, queue: str, messages: Iterable[Message]) -> None:
    """Put deliveries into the history."""
    for message in messages:
        part, _row = message.row
        known: dict[str, Any] = {
            "seq": message.seq,
            "attempt": message.attempt,
            "uid": uid_of_message(message),
            "term": part.term,
            "counter": part.counter,
        }
        clients.delivered(client, queue, message.body, **known)
