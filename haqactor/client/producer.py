"""Publishing: producers with a name, exact across restarts, and the anonymous one that every broker has.

One rule: what has left is driven to its outcome by the session; cancelling a publish ends only the waiting.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast, final

import trio

from haqactor import wire
from haqactor.batch import COUNT_MAX, PACKED_BYTES_MAX, Content, Contents, are_bodies
from haqactor.client.arguments import HeaderValue, content_of, whole
from haqactor.client.errors import Closed, PublishUnknown
from haqactor.client.parcel import Item, Parcel, unpacked_bytes
from haqactor.client.producing import Identity, Stream
from haqactor.client.receipt import Receipt, Receipts
from haqactor.client.waiting import Waiter
from haqactor.codec import are_numbers, is_list
from haqactor.config import check_name
from haqactor.errors import Error, InvalidArgument, NotFound, ProtocolError

if TYPE_CHECKING:
    from haqactor.client.broker import Broker

__all__ = ["Outgoing", "Outstanding", "Producer", "Publisher", "Receipt", "Receipts", "split"]

IDLE_NS = 9 * 60 * 1_000_000_000
_SEQ_MAX = (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for ``publish_many``."""

    body: bytes
    key: str | None = None
    headers: Mapping[str, HeaderValue] | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Messages that were sent and whose outcome is not known: ``count`` of them from ``producer_seq``."""

    queue: str
    producer_seq: int
    count: int


async def _confirmed(
    queue: str, parcel: Parcel, item: Item | None, *, single: bool = False, expired: int | None = None
) -> Parcel:
    """Until the parcel is decided, or the piece of it that has the item; returns that. Raises what refused
    it, or OutcomeUnknown once the session's patience is over; its ``retry`` gives one receipt for a
    ``single`` message or an item, else all. ``expired``: how often that was so when the caller began to
    wait, for it or for others before it (None: that is now)."""
    if expired is None:
        expired = parcel.expired
    while not parcel.done:
        if parcel.expired != expired:
            raise _unknown(queue, parcel, item, single=single)
        signal = parcel.signal
        if signal is None:
            signal = parcel.signal = trio.Event()
        await signal.wait()
    if item is not None and item.parcel is not parcel:
        return await _confirmed(queue, item.parcel, item)
    if parcel.error is not None:
        raise copy(parcel.error)
    return parcel


def _unknown(queue: str, parcel: Parcel, item: Item | None, *, single: bool) -> PublishUnknown:
    async def retry() -> Receipt | Receipts:
        decided = await _confirmed(queue, parcel, item, single=single)
        if item is None and not single:
            return Receipts(queue, [decided])
        return Receipt(queue, decided, 0 if item is None else item.offset)

    return PublishUnknown(
        f"{queue!r}: sent, and no leader answers; it may be stored",
        queue=queue,
        producer_seq=parcel.first + (item.offset if item is not None else 0),
        retry=retry,
    )


def split(contents: Contents) -> list[Contents]:
    """Batches of at most 256 messages and 256 KiB unpacked (a larger message alone); the same for the same
    messages, so that a retry has the same boundaries."""
    if not contents:
        return []
    plain = are_bodies(contents)
    sizes = list(map(len if plain else unpacked_bytes, cast("Any", contents)))
    if len(contents) <= COUNT_MAX and sum(sizes) <= PACKED_BYTES_MAX:
        return [contents]
    begins: list[int] = []
    size = 0
    for row, more in enumerate(sizes):
        if not begins or row - begins[-1] == COUNT_MAX or size + more > PACKED_BYTES_MAX:
            begins.append(row)
            size = 0
        size += more
    return [contents[begin:end] for begin, end in pairwise([*begins, len(contents)])]


class Publisher:
    """Streams of one identity to any queues."""

    def __init__(self, broker: "Broker", identity: Identity) -> None:
        self._broker = broker
        self._identity = identity
        self._streams: dict[str, Stream] = {}
        self._closed = False
        self.identities: dict[tuple[int, bytes], None] = {}

    async def _stream(self, queue: str) -> Stream:
        stream = self._streams.get(queue)
        if stream is not None and not stream.waits and self._broker.is_superseded(queue, stream.uid):
            stream.lane.drop(stream)  # it was declared anew: no need to be told that the former one is gone
            del self._streams[queue]
            stream = None
        if stream is not None and stream.error is None:
            if self._identity.epoch or stream.waits or not self._is_idle(stream):
                return stream
            stream.lane.drop(stream)
        if stream is not None and not self._identity.epoch:
            # a server may still know its numbers, and nobody tells the anonymous where they go on
            self._identity = Identity(self._broker.session.environment.random.token(16), 0)
        check_name(queue)
        target = await self._broker.resolve(queue)
        current = self._streams.get(queue)
        if current is not None and current is not stream:
            return current
        self._check_open()
        stream = self._streams[queue] = self._broker.session.core.stream(
            target.group, queue, target.uid, self._identity
        )
        self.identities[(target.group, self._identity.producer)] = None
        return stream

    def _is_idle(self, stream: Stream) -> bool:
        return self._broker.session.now_ns() - stream.used_ns > IDLE_NS

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("this producer was closed: its block was left")
        self._broker.session.check_open()

    async def send(self, queue: str, content: Content, seq: int | None) -> Receipt:
        """One message."""
        if self._closed or self._broker.session.ended is not None:
            self._check_open()
        again = True
        while True:
            stream = self._streams.get(queue)
            if stream is None or stream.error is not None or not (stream.gathering or stream.parcels):
                stream = await self._stream(queue)
            item: Item | None = None
            if seq is None:
                size = len(content.body) if content.extras is None else unpacked_bytes(content)
                item = stream.add(content, size)
                parcel = item.parcel
            else:
                parcel = stream.add_parcel([content], seq)
            expired = parcel.expired
            try:
                if item is not None:  # mostly that is all: without a coroutine more for each message
                    item.wake = waiter = Waiter()
                    await trio.lowlevel.wait_task_rescheduled(waiter)
                if item is None or not parcel.done or parcel.error is not None or item.parcel is not parcel:
                    parcel = await _confirmed(queue, parcel, item, single=True, expired=expired)
            except NotFound:
                if not again or not await self._moved(queue, stream):
                    raise
                again = False
                continue
            except trio.Cancelled:
                stream.withdraw(parcel, item)
                raise
            return Receipt(queue, parcel, 0 if item is None else item.offset)

    async def _moved(self, queue: str, stream: Stream) -> bool:
        """The queue that the stream knew is gone: is there another one of that name?"""
        if self._streams.get(queue) is stream:
            del self._streams[queue]
        self._broker.forget(queue, stream.uid)
        return (await self._broker.resolve(queue)).uid != stream.uid

    async def send_many(self, queue: str, contents: Contents, seq: int | None) -> Receipts:
        """Messages in batches of their own. An error carries ``receipts`` of those known stored."""
        self._check_open()
        stream = await self._stream(queue)
        parcels: list[Parcel] = []
        for batch in split(contents):
            parcels.append(stream.add_parcel(batch, seq))
            seq = None if seq is None else seq + len(batch)
        stored: list[Parcel] = []
        failed: Error | None = None
        for at, parcel in enumerate(parcels):
            try:
                await _confirmed(queue, parcel, None, expired=0)
            except trio.Cancelled:
                for other in parcels[at:]:
                    stream.withdraw(other, None)
                raise
            except Error as error:
                failed = failed or error
            else:
                stored.append(parcel)
        if failed is not None:
            if not stored and isinstance(failed, NotFound) and await self._moved(queue, stream):
                return await self.send_many(queue, contents, seq if seq is None else seq - len(contents))
            failed.receipts = Receipts(queue, stored)  # type: ignore[attr-defined]  # documented: an error carries .receipts
            raise failed
        return Receipts(queue, stored)

    def outstanding(self) -> list[Outstanding]:
        """What was sent and is not confirmed, oldest first within each queue."""
        return [
            Outstanding(queue, parcel.first, parcel.count)
            for queue, stream in self._streams.items()
            for parcel in stream.parcels
            if not parcel.done
        ]

    async def settle_all(self) -> None:
        """Until the outcome of all that was sent is known, or nobody has told it for the patience."""
        waiting = [
            (queue, parcel, parcel.expired)
            for queue, stream in self._streams.items()
            for parcel in [*stream.parcels, *stream.gathering]
        ]
        for queue, parcel, expired in waiting:
            try:
                await _confirmed(queue, parcel, None, expired=expired)
            except Error:
                continue  # whoever published it heard of it
            waiting += [(queue, piece, piece.expired) for piece in parcel.pieces]

    def close(self) -> None:
        """Nothing more is published."""
        self._closed = True
        for stream in self._streams.values():
            if stream.error is None:
                stream.end(Closed("this producer was closed: its block was left"))


@final
class Producer:
    """A named producer: its publishes are stored exactly once, across retries, failovers and restarts."""

    def __init__(self, broker: "Broker", name: str, publisher: Publisher, identity: Identity) -> None:
        self.name = name
        self._broker = broker
        self._publisher = publisher
        self._identity = identity

    async def publish(
        self,
        queue: str,
        body: bytes,
        *,
        key: str | None = None,
        headers: Mapping[str, HeaderValue] | None = None,
        message_id: str | None = None,
        seq: int | None = None,
    ) -> Receipt:
        """Store one message; returns once a quorum has it on disk. ``seq``: its number in this session (None:
        the next); a number already used is a retry, and gets the first receipt. Raises NoQuorum,
        OutcomeUnknown, Overloaded, SequenceGap, SequenceConflict, SequenceExpired, Fenced, NotFound,
        TooLarge, InvalidArgument."""
        content = content_of(body, key, headers, message_id, self._broker.session.core.message_bytes_max)
        return await self._publisher.send(
            queue, content, None if seq is None else whole("seq", seq, 1, _SEQ_MAX)
        )

    async def publish_many(
        self, queue: str, messages: Sequence[bytes | Outgoing], *, seq: int | None = None
    ) -> Receipts:
        """Store messages in order; each batch (256 messages, 256 KiB) whole or not at all. ``seq``: the
        number of the first."""
        contents = contents_of(messages, self._broker.session.core.message_bytes_max)
        return await self._publisher.send_many(
            queue, contents, None if seq is None else whole("seq", seq, 1, _SEQ_MAX)
        )

    def outstanding(self) -> list[Outstanding]:
        """What was sent and is not confirmed."""
        return self._publisher.outstanding()

    async def last_seq(self, queue: str) -> int:
        """The highest number stored so far in ``queue`` under this name; 0: none. Where a restarted process
        goes on."""
        target = await self._broker.resolve(check_name(queue))
        message = wire.Begin(0, target.group, target.uid, self._identity.producer, self._identity.epoch)
        result: Any = await self._broker.session.ask(target.group, message)
        if not is_list(result) or len(result) != 2 or not are_numbers(result):
            raise ProtocolError(f"the reply to Begin is {result!r:.80}")
        last: int = result[1]
        return last


def contents_of(messages: Sequence[bytes | Outgoing], body_bytes_max: int) -> Contents:
    """Checked contents."""
    given: object = messages
    if isinstance(given, bytes | str | Mapping) or not isinstance(given, Sequence):
        raise InvalidArgument(f"messages are a list of bytes or Outgoing, not {type(given).__name__}")
    if set(map(type, messages)) == {bytes}:
        bodies = cast("Sequence[bytes]", messages)
        if max(map(len, bodies)) <= body_bytes_max:
            return list(bodies)
    return [
        content_of(message.body, message.key, message.headers, message.message_id, body_bytes_max)
        if isinstance(message, Outgoing)
        else content_of(message, None, None, None, body_bytes_max)
        for message in messages
    ]
