"""Producers: named and anonymous, single messages and batches, numbered by themselves or by their session;
they ask again until they know, and come back after a crash.

One rule: no body is published twice as two messages, so that whatever is delivered tells where it came from.
"""

from typing import Any

import trio

from haqactor.client.broker import Broker
from haqactor.client.errors import RequestUnknown
from haqactor.client.producer import Outgoing, Producer, Receipt
from haqactor.client.receipt import Receipts
from haqactor.errors import Error, Fenced, SequenceExpired
from haqactor.sim.keyed import Stream
from haqactor.sim.watch.history import Op
from haqactor.sim.workload.clients import TRANSIENT, Clients, stream_uid

_AGAIN_S = 0.05
_BATCH_MAX = 10
_PIPELINE_MAX = 6
_LARGE_BYTES = 1500
_BURST = 8
"""Calls without a pause, on average."""
_LOOKS = 0.2
"""Share of the calls before which a producer with a rival asks again what was stored last."""


class ProducerBody:
    """A client that publishes until the run has published ``operations`` messages in all, one call every
    ``pause_s`` on average. ``session``: the producer's name, "" for an anonymous one."""

    def __init__(
        self, clients: Clients, name: str, operations: int, *, session: str = "", pause_s: float
    ) -> None:
        self._clients = clients
        self._name = name
        self._operations = operations
        self._session = session
        self._pause_s = pause_s
        self._sizes = clients.stream(f"{name} sizes")
        self._looks = clients.stream(f"{name} looks")
        self._number = 0  # of its bodies, over all its starts

    @property
    def finished(self) -> bool:
        """Nothing more will be begun."""
        progress = self._clients.progress
        return progress.begun >= self._operations or progress.stopping

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        clients = self._clients
        stream = clients.stream(self._name)
        await clients.declare_all(self._name, broker)
        if not self._session:
            await self._anonymous(broker, stream)
            return
        while not self.finished:
            try:
                async with broker.producer(self._session) as producer:
                    await self._named(producer, stream)
            except Fenced:
                await trio.sleep(0.3 + stream.random())
            except TRANSIENT:
                await trio.sleep(_AGAIN_S)

    def _bodies(self, queue: str, count: int, stream: Stream) -> list[bytes]:
        progress = self._clients.progress
        bodies: list[bytes] = []
        for _ in range(count):
            self._number += 1
            progress.begun += 1
            large = b"." * stream.randrange(_LARGE_BYTES) if stream.random() < 0.1 else b""
            large = self._large(large)
            bodies.append(b"%s/%s/%d" % (self._name.encode(), queue.encode(), self._number) + large)
        return bodies

    def _large(self, usual: bytes) -> bytes:
        """Some fill several sectors of a disk, and nobody can pack them; or they are so monotonous that a
        journal packs them, and too short for their client to do it."""
        work, stream = self._clients.work, self._sizes
        if stream.random() < 0.6:
            return usual
        if "monotonous" in work:
            return b"." * (150 + stream.randrange(80))
        return b"." + stream.randbytes(stream.randrange(_LARGE_BYTES)) if "large" in work else usual

    def _queue(self, stream: Stream) -> str:
        names = list(self._clients.queues)
        return names[stream.randrange(len(names))]

    async def _pause(self, stream: Stream) -> None:
        pause_s = stream.expovariate(1 / self._pause_s)
        if "bursts" in self._clients.work:
            pause_s = _BURST * pause_s if stream.random() < 1 / _BURST else 0.0
        await trio.sleep(pause_s)

    # -- anonymous

    async def _anonymous(self, broker: Broker, stream: Stream) -> None:
        while not self.finished:
            queue = self._queue(stream)
            many = "pipelines" in self._clients.work and stream.random() < 0.3
            many = many or "bursts" in self._clients.work
            async with trio.open_nursery() as nursery:
                for body in self._bodies(queue, 1 + many * stream.randrange(_PIPELINE_MAX), stream):
                    nursery.start_soon(publish_once, self._clients, self._name, broker, queue, body)
            await self._pause(stream)

    # -- named

    async def _named(self, producer: Producer, stream: Stream) -> None:
        clients = self._clients
        implicit = "implicit" in clients.work and stream.random() < 0.5
        numbers: dict[str, int] = {}
        while not self.finished:
            queue = self._queue(stream)
            looks = "rivals" in clients.work and self._looks.random() < _LOOKS
            if not implicit and (looks or queue not in numbers):
                numbers[queue] = await producer.last_seq(queue)
            batch = "batches" in clients.work and stream.random() < 0.4
            batch = batch or (implicit and "pipelines" in clients.work and stream.random() < 0.4)
            count = 2 + stream.randrange(_BATCH_MAX - 1) if batch else 1
            bodies = self._bodies(queue, count, stream)
            if implicit and "pipelines" in clients.work and stream.random() < 0.5:
                await self._publish_at_once(producer, queue, [[body] for body in bodies])
            elif implicit and "bursts" in clients.work:
                await self._publish_at_once(producer, queue, [bodies, *self._more(queue, stream)])
            else:
                first = None if implicit else numbers[queue] + 1
                await self._publish(producer, queue, bodies, first)
            if not implicit:
                numbers[queue] += count
            await self._pause(stream)

    def _more(self, queue: str, stream: Stream) -> list[list[bytes]]:
        """Batches: each is sent as it is, and does not wait for those before it."""
        return [self._bodies(queue, 2, stream) for _ in range(stream.randrange(_PIPELINE_MAX))]

    async def _publish_at_once(self, producer: Producer, queue: str, calls: list[list[bytes]]) -> None:
        """Each for itself, and all under way together."""
        refused: list[Error] = []

        async def one(bodies: list[bytes]) -> None:
            try:
                await self._publish(producer, queue, bodies, None)
            except Error as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            for bodies in calls:
                nursery.start_soon(one, bodies)
        if refused:
            raise refused[0]

    async def _publish(self, producer: Producer, queue: str, bodies: list[bytes], first: int | None) -> None:
        """Until it is known; where the session numbers, a publish that was not stored is let go."""
        clients = self._clients
        ops: list[Op] = []
        for row, body in enumerate(bodies):
            known: dict[str, Any] = {}
            if first is not None:
                known = {"producer": self._session, "producer_seq": first + row}
            ops.append(clients.call(self._name, "publish", queue, body, **known))
        try:
            receipts = await self._until_known(producer, queue, bodies, first)
        except Error as error:
            for op in ops:
                clients.failed(op, error)
            if isinstance(error, TRANSIENT):
                return
            raise
        clients.progress.confirmed += len(ops)
        uid = stream_uid(producer._publisher, queue)
        for op, receipt in zip(ops, receipts, strict=True):
            number = receipt.producer_seq
            clients.done(
                op,
                seq=receipt.seq,
                duplicate=receipt.duplicate,
                uid=uid,
                producer=self._session,
                producer_seq=number,
            )

    async def _until_known(
        self, producer: Producer, queue: str, bodies: list[bytes], first: int | None
    ) -> list[Receipt]:
        again: RequestUnknown | None = None
        while True:
            try:
                if again is not None:
                    found = await again.retry()
                elif len(bodies) == 1:
                    found = await producer.publish(queue, bodies[0], seq=first)
                else:
                    messages: list[bytes | Outgoing] = [
                        bodies[0],
                        *(Outgoing(body, key=queue) for body in bodies[1:]),
                    ]
                    found = await producer.publish_many(queue, messages, seq=first)
            except RequestUnknown as error:
                again = error if first is None else None
            except TRANSIENT:
                if first is None:
                    raise
                again = None
            else:
                return list(found) if isinstance(found, Receipts) else [found]
            await trio.sleep(_AGAIN_S)


async def publish_once(clients: Clients, name: str, broker: Broker, queue: str, body: bytes) -> None:
    """One message of the broker's own session; every other unknown outcome is waited for."""
    op = clients.call(name, "publish", queue, body)
    try:
        try:
            receipt = await broker.publish(queue, body)
        except RequestUnknown as error:
            if op.i % 2:
                raise
            receipt = await error.retry()
    except (*TRANSIENT, SequenceExpired) as error:
        clients.failed(op, error)
        return
    clients.progress.confirmed += 1
    uid = stream_uid(broker._anonymous, queue)
    clients.done(op, seq=receipt.seq, duplicate=receipt.duplicate, uid=uid)
