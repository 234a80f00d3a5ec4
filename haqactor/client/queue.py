"""A queue as a client holds it: a name, and what can be done with the queue of that name.

One rule: a handle makes no round trip; what it does finds the queue, and follows it when it was declared
anew.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from haqactor import batch, wire
from haqactor.client.arguments import whole
from haqactor.client.consumer import Consumer
from haqactor.client.deliveries import Batches, Deliveries
from haqactor.client.errors import RequestUnknown
from haqactor.client.getter import Getter
from haqactor.client.message import Message, PeekedMessage
from haqactor.client.part import Part
from haqactor.client.statistics import QueueInfo, QueueStatistics
from haqactor.client.structured import OpenNursery
from haqactor.codec import are_numbers
from haqactor.errors import (
    Error,
    InvalidArgument,
    LeaseLost,
    NoQuorum,
    NotFound,
    OutcomeUnknown,
    ProtocolError,
)

if TYPE_CHECKING:
    from haqactor.client.broker import Broker

CREDIT_MAX = 100_000
PEEK_MAX = 10_000


class Queue:
    """A handle. ``changes``: what ``declare`` changed, {setting: (old, new)}; ``created``: whether it made
    the queue."""

    def __init__(
        self,
        broker: "Broker",
        name: str,
        changes: Mapping[str, tuple[Any, Any]] | None = None,
        created: bool = False,
    ) -> None:
        self.name = name
        self.changes = dict(changes or {})
        self.created = created
        self._broker = broker

    def __repr__(self) -> str:
        return f"<Queue {self.name!r}>"

    # -- consuming

    @asynccontextmanager
    async def consume(
        self, *, credit: int | None = None, raise_lease_lost: bool = False
    ) -> AsyncGenerator[Deliveries]:
        """A channel of messages. ``credit``: how many may be here unsettled, by default what the nodes are
        configured for (512); small values for slow work. ``raise_lease_lost``: a refused acknowledgement of a
        clean exit is raised once, at the next receive. Leaving waits for the confirmation of all settlements.
        Raises NotFound, NoQuorum."""
        async with self._consuming(credit, raise_lease_lost) as consumer:
            yield Deliveries(consumer)

    @asynccontextmanager
    async def consume_batches(
        self, *, credit: int | None = None, raise_lease_lost: bool = False
    ) -> AsyncGenerator[Batches]:
        """The fast path: a channel of batches whose messages are settled together; else as ``consume``."""
        async with self._consuming(credit, raise_lease_lost) as consumer:
            yield Batches(consumer)

    @asynccontextmanager
    async def _consuming(self, credit: int | None, raise_lease_lost: bool) -> AsyncGenerator[Consumer]:
        core = self._broker.session.core
        messages = core.credit_messages if credit is None else whole("credit", credit, 1, CREDIT_MAX)
        if self._broker.session.environment.probe.buggify("client.credit_of_one"):
            messages = 1
        flag: object = raise_lease_lost
        if not isinstance(flag, bool):
            raise InvalidArgument(f"raise_lease_lost is {flag!r}, but must be True or False")
        size = max(core.credit_bytes, core.message_bytes_max)
        consumer = await self._subscribe((messages, size))
        consumer.raise_lease_lost = raise_lease_lost
        try:
            yield consumer
            await consumer.leave()
        finally:
            await consumer.leave_in_grace()
            self._broker.consumer_ended(consumer)

    async def _subscribe(self, credit: tuple[int, int]) -> Consumer:
        """A consumer that a leader knows of; a queue that was declared anew is followed once."""
        session = self._broker.session
        for again in (True, False):
            target = await self._broker.resolve(self.name)
            session.check_open()  # a queue that is known is found without asking anybody
            consumer = Consumer(session, self.name, target.group, target.uid, credit)
            try:
                await consumer.start()
            except NotFound:
                self._broker.forget(self.name, target.uid)
                if not again or (await self._broker.resolve(self.name)).uid == target.uid:
                    raise
            except BaseException:
                await consumer.leave_in_grace()
                raise
            else:
                self._broker.consumer_began(consumer)
                return consumer
        raise NotFound(f"there is no queue {self.name!r}")

    async def serve(
        self,
        handler: Callable[[Message], Awaitable[object]],
        *,
        concurrency: int = 16,
        credit: int | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Call ``handler`` for each message, up to ``concurrency`` at a time, until cancelled: return
        acknowledges, an exception gives the message back as failed and is logged, and the others go on. With
        ``nursery.start`` it is ready once subscribed. Raises as ``consume`` and ``receive``."""
        count = whole("concurrency", concurrency, 1, CREDIT_MAX)
        if not callable(handler):
            raise InvalidArgument(
                f"handler is {handler!r}, but must be an async function that takes a message"
            )
        wanted = self._broker.session.core.credit_messages if credit is None else credit
        ended: list[Error] = []  # every worker meets the end of the consumer, and one error says it all
        async with self.consume(credit=max(wanted, count)) as deliveries:
            async with OpenNursery() as nursery:

                async def work() -> None:
                    try:
                        await self._work(deliveries, handler)
                    except Error as error:
                        ended.append(error)
                        nursery.cancel_scope.cancel()

                for _ in range(count):
                    nursery.start_soon(work)
                task_status.started()
            if ended:
                raise ended[0]

    async def _work(self, deliveries: Deliveries, handler: Callable[[Message], Awaitable[object]]) -> None:
        log = self._broker.session.log
        async for message in deliveries:
            try:
                async with message:
                    await handler(message)
            except LeaseLost as error:
                log.warning("lease lost", queue=self.name, message=message.id, error=str(error))
            except Exception as error:
                log.exception(
                    "handler failed",
                    queue=self.name,
                    message=message.id,
                    attempt=message.attempt,
                    error=str(error),
                )

    async def get(self) -> Message:
        """Wait for one message, and lease it; through elections too, for as long as the caller's scope lets
        it. Raises NotFound, ConnectionLost."""
        while True:
            try:
                message = await self._take(polling=False)
            except NoQuorum:
                continue  # it took the whole patience to say so
            if message is not None:
                return message

    async def poll(self) -> Message | None:
        """One message if any is ready; None only when a leader that has opened the queue has nothing ready.
        One round trip; it waits out an election and the grace. Raises NotFound, NoQuorum where there is no
        leader for 5 s."""
        return await self._take(polling=True)

    async def _take(self, *, polling: bool) -> Message | None:
        session = self._broker.session
        again = True
        while True:
            target = await self._broker.resolve(self.name)
            getter = self._broker.getters.get((target.uid, polling))
            if getter is None:
                getter = Getter(session, self.name, target.group, target.uid, polling=polling)
                self._broker.getters[(target.uid, polling)] = getter
            try:
                return await getter.take()
            except NotFound:
                self._broker.getters.pop((target.uid, polling), None)
                self._broker.forget(self.name, target.uid)
                if not again or (await self._broker.resolve(self.name)).uid == target.uid:
                    raise
                again = False

    # -- looking and ruling

    async def _ask(self, make: Callable[[int, int], Any], *, mutates: bool = False) -> tuple[Any, bytes, int]:
        target = await self._broker.resolve(self.name)
        try:
            result, blob = await self._broker.session.ask_blob(
                target.group, make(target.group, target.uid), mutates=mutates
            )
            return result, blob, target.uid
        except NotFound:
            self._broker.forget(self.name, target.uid)
            moved = await self._broker.resolve(self.name)
            if moved.uid == target.uid:
                raise
            result, blob = await self._broker.session.ask_blob(
                moved.group, make(moved.group, moved.uid), mutates=mutates
            )
            return result, blob, moved.uid

    async def info(self) -> QueueInfo:
        """The leader's view, confirmed by a quorum."""
        result, _blob, _uid = await self._ask(lambda group, uid: wire.Info(0, group, uid))
        return QueueInfo.of(self.name, result)

    def statistics(self) -> QueueStatistics:
        """This client's view: its consumers of this queue."""
        return self._broker.statistics_of(self.name)

    async def peek(self, *, limit: int = 10) -> list[PeekedMessage]:
        """Look at the first messages without leasing them. ``limit``: up to 10,000. Raises NotFound,
        NoQuorum."""
        count = whole("limit", limit, 1, PEEK_MAX)
        found, looked = await self._peek(0, count)
        while len(found) < count:
            more, uid = await self._peek(found[-1].seq + 1, count - len(found)) if found else ([], looked)
            if not more or uid != looked:  # the end, or another queue of this name by now
                break
            found += more
        return found[:count]

    async def _peek(self, first: int, count: int) -> tuple[list[PeekedMessage], int]:
        """The messages from ``first`` on, as many as one answer holds, and the queue's uid."""
        rows, blob, uid = await self._ask(lambda group, uid: wire.Peek(0, group, uid, count, first))
        found: list[PeekedMessage] = []
        at = 0
        for row in rows:
            part = Part(row, b"", 0)
            part.blob = blob[at : at + part.blob_bytes]
            at += part.blob_bytes
            for place in range(part.count):
                seq = part.seq(place)
                found.append(
                    PeekedMessage(
                        part.content(place, batch.UNPACKED_BYTES_MAX),
                        uid,
                        seq,
                        part.failures(seq),
                        part.enqueued_ns,
                    )
                )
        return found, uid

    async def purge(self) -> int:
        """Drop what is ready or deferred, not what is leased; returns how many (of its last try, where a
        leader was lost meanwhile). Raises NotFound, NoQuorum, OutcomeUnknown."""
        try:
            result, _blob, _uid = await self._ask(lambda group, uid: wire.Purge(0, group, uid), mutates=True)
        except OutcomeUnknown as error:
            raise RequestUnknown(str(error), queue=self.name, retry=self.purge) from error
        if not are_numbers((result,)):
            raise ProtocolError(f"the reply to Purge is {result!r:.80}")
        purged: int = result
        return purged
