"""What clients do in a run: producers that ask again until they know, consumers that settle in every way;
each call and each answer goes into the history.

One rule: a workload never looks into the cluster; it knows what a user's program knows, and draws from its
own stream.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import trio

from haqactor.client.broker import Broker
from haqactor.client.errors import ConnectionLost
from haqactor.client.message import Message
from haqactor.client.producer import Producer
from haqactor.errors import Error, LeaseLost, NoQuorum, OutcomeUnknown, Overloaded
from haqactor.sim.history import FAIL, INFO, OK, History, Op
from haqactor.sim.keyed import Stream
from haqactor.sim.world import World

TRANSIENT: Final = (NoQuorum, OutcomeUnknown, Overloaded, ConnectionLost)


@dataclass(slots=True)
class Progress:
    """What the clients of a run have done so far. ``stopping``: producers begin nothing new."""

    confirmed: int = 0
    delivered: int = 0
    settled: int = 0
    stopping: bool = False


class Clients:
    """Makes the bodies of a run's clients."""

    def __init__(self, world: World, history: History, queues: tuple[str, ...]) -> None:
        self.world = world
        self.history = history
        self.queues = queues
        self.progress = Progress()

    def producer(self, name: str, operations: int, *, named: bool, pause_s: float) -> "ProducerBody":
        """A client that publishes ``operations`` messages, ``pause_s`` apart on average."""
        return ProducerBody(self, name, operations, named=named, pause_s=pause_s)

    def watcher(self, name: str) -> "WatcherBody":
        """A client that looks at the queues now and then."""
        return WatcherBody(self, name)

    async def declare(self, name: str, broker: Broker, queue: str) -> None:
        """Declare a queue, again until it is known to be there."""
        world, history = self.world, self.history
        while True:
            op = history.call(name, "declare", queue, None, world.now_ns)
            try:
                await broker.declare(queue, max_attempts=0, lease=5.0)
            except TRANSIENT as error:
                history.returned(op, world.now_ns, INFO, error=error.code)
                await trio.sleep(0.05)
            else:
                history.returned(op, world.now_ns, OK)
                return

    def consumer(self, name: str, queue: str) -> "ConsumerBody":
        """A client that consumes a queue until it is cancelled."""
        return ConsumerBody(self, name, queue)


class ProducerBody:
    """Publishes single messages, one after the other, the same number again until its outcome is known."""

    def __init__(self, clients: Clients, name: str, operations: int, *, named: bool, pause_s: float) -> None:
        self._clients = clients
        self._name = name
        self._operations = operations
        self._named = named
        self._pause_s = pause_s
        self._done = 0

    @property
    def finished(self) -> bool:
        """Nothing more will be begun."""
        return self._done >= self._operations or self._clients.progress.stopping

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        clients = self._clients
        stream = clients.world.random("workload", self._name)
        for queue in clients.queues:
            await clients.declare(self._name, broker, queue)
        if self._named:
            async with broker.producer(self._name) as producer:
                await self._publish_all(producer, stream)
        else:
            await self._publish_all(None, stream, broker)

    async def _publish_all(
        self, producer: Producer | None, stream: Stream, broker: Broker | None = None
    ) -> None:
        numbers = dict.fromkeys(self._clients.queues, 0)
        while not self.finished:
            queue = self._clients.queues[stream.randrange(len(self._clients.queues))]
            numbers[queue] += 1
            self._done += 1
            await self._publish(producer, broker, queue, numbers[queue])
            await trio.sleep(stream.expovariate(1 / self._pause_s))

    async def _publish(self, producer: Producer | None, broker: Broker | None, queue: str, seq: int) -> None:
        clients = self._clients
        world, history = clients.world, clients.history
        value = f"{self._name}/{queue}/{seq}".encode()
        known: dict[str, Any] = {"producer": self._name, "producer_seq": seq} if producer is not None else {}
        op = history.call(self._name, "publish", queue, value, world.now_ns, **known)
        while True:
            try:
                if producer is not None:
                    receipt = await producer.publish(queue, value, seq=seq)
                elif broker is not None:
                    receipt = await broker.publish(queue, value)
                else:
                    return
            except TRANSIENT as error:
                if producer is None and isinstance(error, OutcomeUnknown):
                    history.returned(op, world.now_ns, INFO, error=error.code)
                    return
                if producer is None:
                    history.returned(op, world.now_ns, FAIL, error=error.code)
                    return
                await trio.sleep(0.05)
                continue
            clients.progress.confirmed += 1
            history.returned(op, world.now_ns, OK, seq=receipt.seq, duplicate=receipt.duplicate)
            return


class ConsumerBody:
    """Receives, and settles most of what it gets at once, some late, some in another way, some never."""

    def __init__(self, clients: Clients, name: str, queue: str) -> None:
        self._clients = clients
        self._name = name
        self._queue = queue

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        stream = self._clients.world.random("workload", self._name)
        while True:
            try:
                await self._consume(broker, stream)
            except Error:
                await trio.sleep(0.1)

    async def _consume(self, broker: Broker, stream: Stream) -> None:
        async with (
            broker.queue(self._queue).consume(credit=1 + stream.randrange(20)) as deliveries,
            trio.open_nursery() as nursery,
        ):
            async for message in deliveries:
                self._clients.progress.delivered += 1
                part, _row = message.row
                self._clients.history.delivered(
                    self._name,
                    self._queue,
                    message.body,
                    self._clients.world.now_ns,
                    seq=message.seq,
                    attempt=message.attempt,
                    consumer=self._name,
                    term=part.term,
                    counter=part.counter,
                )
                nursery.start_soon(self._settle, message, stream.random(), stream.random())

    async def _settle(self, message: Message, kind: float, delay: float) -> None:
        await trio.sleep(delay * delay * 0.2)
        if kind < 0.85:
            await self._record("ack", message, message.ack)
        elif kind < 0.93:
            await self._record("nack", message, lambda: message.nack(delay=delay))
        else:
            await self._record("release", message, message.release)

    async def _record(self, kind: Any, message: Message, settle: Callable[[], Awaitable[None]]) -> None:
        world, history = self._clients.world, self._clients.history
        op: Op = history.call(self._name, kind, self._queue, None, world.now_ns, seq=message.seq)
        try:
            await settle()
        except LeaseLost as error:
            history.returned(op, world.now_ns, FAIL, error=error.code)
        except Error as error:
            history.returned(op, world.now_ns, INFO, error=error.code)
        else:
            self._clients.progress.settled += 1
            history.returned(op, world.now_ns, OK)


class WatcherBody:
    """Asks how the queues are."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        clients = self._clients
        world, history = clients.world, clients.history
        stream = world.random("workload", self._name)
        for queue in clients.queues:
            await clients.declare(self._name, broker, queue)
        while True:
            queue = clients.queues[stream.randrange(len(clients.queues))]
            op = history.call(self._name, "info", queue, None, world.now_ns)
            try:
                info = await broker.queue(queue).info()
            except Error as error:
                history.returned(op, world.now_ns, INFO, error=error.code)
            else:
                history.returned(
                    op,
                    world.now_ns,
                    OK,
                    ready=info.ready,
                    leased=info.leased,
                    delayed=info.delayed,
                    dead=info.dead,
                    first_seq=info.first_seq,
                    next_seq=info.next_seq,
                )
            await trio.sleep(stream.expovariate(3.0))
