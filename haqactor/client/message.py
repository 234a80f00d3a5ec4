"""A delivered message, and what a consumer may do with it.

One rule: leaving ``async with message`` decides it: clean acknowledges, an exception gives it back as failed,
a cancellation gives it back unharmed; and the decision is handed over before anything can be cancelled.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

import trio

from haqactor.batch import Content, Extras
from haqactor.client.arguments import HeaderValue, span_ns, text
from haqactor.client.part import GONE, HANDED, Part
from haqactor.client.renewing import Hold
from haqactor.client.settling import ACK, NACK, REJECT, RELEASE, VERBS, Settlement
from haqactor.client.waiting import judged, result
from haqactor.errors import Conflict, LeaseLost

if TYPE_CHECKING:
    from haqactor.client.consumer import Consumer

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_HEADERS: Final[Mapping[str, HeaderValue]] = {}
QUEUES_BACKOFF: Final = -1


def wall_time(time_ns: int) -> datetime:
    """Nanoseconds since 1970 as a datetime in UTC."""
    return EPOCH + timedelta(microseconds=time_ns // 1000)


def message_id_of(extras: Extras | None, uid: int, seq: int) -> str:
    """The id that the publisher gave, else one made of the queue's incarnation and the place in it."""
    if extras is not None and extras[2] is not None:
        return extras[2]
    return f"{uid}-{seq}"


def _members(group: BaseException) -> tuple[BaseException, ...]:
    members: tuple[BaseException, ...] = getattr(group, "exceptions", ())
    return members


def verdict(error: BaseException | None) -> int:
    """What leaving a body with ``error`` means: ACK, NACK, or (cancelled, or the program is ending)
    RELEASE."""
    if error is None:
        return ACK
    if isinstance(error, BaseExceptionGroup):
        return (
            NACK
            if any(verdict(inner) == NACK for inner in _members(cast("BaseException", error)))
            else RELEASE
        )
    return NACK if isinstance(error, Exception) else RELEASE


def reason_of(error: BaseException) -> str:
    """A failure in a few words, for the queue's books."""
    return text("reason", f"{type(error).__name__}: {error}"[:200])


class PeekedMessage:
    """A message that was looked at: not leased, not to be settled."""

    __slots__ = ("_enqueued_ns", "_extras", "_uid", "attempt", "body", "seq")

    def __init__(self, content: Content, uid: int, seq: int, failures: int, enqueued_ns: int) -> None:
        self._extras = content.extras
        self._uid = uid
        self._enqueued_ns = enqueued_ns
        self.body = content.body
        self.seq = seq
        self.attempt = failures + 1

    @property
    def id(self) -> str:
        """The publisher's id, or the queue's."""
        return message_id_of(self._extras, self._uid, self.seq)

    @property
    def key(self) -> str | None:
        """The publisher's key."""
        return None if self._extras is None else self._extras[0]

    @property
    def headers(self) -> Mapping[str, HeaderValue]:
        """The publisher's headers."""
        return NO_HEADERS if self._extras is None else self._extras[1] or NO_HEADERS

    @property
    def redelivered(self) -> bool:
        """Did it fail before?"""
        return self.attempt > 1

    @property
    def enqueued_at(self) -> datetime:
        """When the queue stored it (UTC)."""
        return wall_time(self._enqueued_ns)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.id} seq={self.seq} attempt={self.attempt} {len(self.body)} bytes>"
        )


class Message(PeekedMessage):
    """A message with a lease. ``attempt`` counts from 1. Enter it to handle it, or settle it by hand.
    ``waited_for``: its ``receive`` gave other tasks their turn, so leaving its body need not do so again."""

    __slots__ = ("_consumer", "_deadline_ns", "_hold", "_part", "_row", "_settlement", "_verb", "waited_for")

    def __init__(self, consumer: "Consumer", part: Part, row: int, body: bytes) -> None:
        seq = part.first + row if part.seqs is None else part.seqs[row]
        self._extras = part.extras(row)  # set here, not by the base class: this is the hot path of consuming
        self._uid = consumer.uid
        self._enqueued_ns = part.enqueued_ns
        self.body = body
        self.seq = seq
        self.attempt = part.failures(seq) + 1 if part.attempt_rows else 1
        self._consumer = consumer
        self._part = part
        self._row = row
        self._deadline_ns = part.deadline_ns
        self._hold: Hold | None = None
        self._verb: int | None = None
        self._settlement: Settlement | None = None
        self.waited_for = False

    @property
    def lease_expires_at(self) -> datetime:
        """When the lease ends unless it is renewed (UTC, by this host's clock)."""
        until_ns = self._deadline_ns if self._hold is None else max(self._hold.deadline_ns, self._deadline_ns)
        return self._consumer.wall_at(until_ns)

    @property
    def row(self) -> tuple[Part, int]:
        """Its place in the lease, for settling it together with others."""
        return self._part, self._row

    # -- the body

    async def __aenter__(self) -> "Message":
        if self._hold is not None or self._verb is not None:
            raise Conflict(f"message {self.id} was entered or settled before")
        if self._part.states[self._row] != HANDED:
            raise self._lost()
        row = self._row
        scope = trio.CancelScope()
        hold = self._hold = Hold(self._part, row, row, self._deadline_ns, scope)
        self._consumer.holders[hold] = None
        scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        hold = self._hold
        holders = self._consumer.holders
        if hold is None or hold not in holders:
            raise Conflict("a message was left that was not entered")
        del holders[hold]
        swallowed = hold.scope.__exit__(kind, error, traceback)
        if hold.lost and (error is None or swallowed):
            raise self._lost()
        if self._verb is None and self._part.states[self._row] == HANDED:
            subscription = self._consumer.subscription
            if error is None:
                self._verb = ACK
                self._settlement = subscription.settlements.pending
                subscription.ack(self._part, self._row)
            else:
                verb = self._verb = verdict(error)
                more = [QUEUES_BACKOFF, reason_of(error)] if verb == NACK else []
                self._settlement = subscription.settle(verb, self._part, self._row, self._row, more, False)
        if error is None:
            if self.waited_for:
                await trio.lowlevel.checkpoint_if_cancelled()
            else:
                await trio.lowlevel.checkpoint()
        return False

    def _lost(self) -> LeaseLost:
        return LeaseLost(f"the lease on message {self.id} was lost; it will come again", message_id=self.id)

    # -- by hand

    def give_back(self) -> None:
        """Release it with the next batch, waiting for nothing."""
        if self._part.states[self._row] == HANDED:
            self._verb = RELEASE
            self._settlement = self._consumer.subscription.settle(
                RELEASE, self._part, self._row, self._row, [], False
            )

    async def ack(self) -> None:
        """It is done; returns once a quorum has that on disk. Raises LeaseLost; OutcomeUnknown where no
        leader says so within 5 s: it goes on being sent, and ``await error.retry()`` waits for its outcome.
        So do the others."""
        await self._settle(ACK, [])

    async def nack(self, *, delay: float | None = None, reason: str = "") -> None:
        """It failed: counts as an attempt; it comes again after ``delay`` seconds (None: the queue's
        backoff). Raises LeaseLost."""
        delay_ns = QUEUES_BACKOFF if delay is None else span_ns("delay", delay)
        await self._settle(NACK, [delay_ns, text("reason", reason)])

    async def reject(self, *, reason: str = "") -> None:
        """It can never be done: to the dead-letter queue with it. Raises LeaseLost."""
        await self._settle(REJECT, [text("reason", reason)])

    async def release(self) -> None:
        """Give it back unharmed: no attempt is charged. Raises LeaseLost."""
        await self._settle(RELEASE, [])

    async def _settle(self, verb: int, more: list[Any]) -> None:
        if self._verb is not None and self._verb != verb:
            await trio.lowlevel.checkpoint()
            raise Conflict(f"message {self.id} was settled before: {VERBS[self._verb]}")
        if self._settlement is None:
            state = self._part.states[self._row]
            if state != HANDED:
                await trio.lowlevel.checkpoint()
                if state == GONE:
                    raise self._lost()
                return  # settled with its batch
            self._consumer.check_open()
            self._verb = verb
            self._settlement = self._consumer.subscription.settle(
                verb, self._part, self._row, self._row, more, True
            )
        await self._judged(self._settlement)  # whoever was cancelled may wait for the same verdict again

    async def _judged(self, settlement: Settlement) -> None:
        if self.seq in await judged((settlement,), self._consumer.queue, lambda: self._judged(settlement)):
            raise self._lost()

    async def extend(self, seconds: float) -> None:
        """Keep the lease for ``seconds`` from now. Raises LeaseLost, NoQuorum where there is no leader for 5
        s."""
        duration_ns = span_ns("seconds", seconds, low=0.001)
        if self._part.states[self._row] != HANDED:
            await trio.lowlevel.checkpoint()
            raise self._lost()
        extension = self._consumer.subscription.renewals.extend(self._part, self._row, self._row, duration_ns)
        if self.seq in await result(extension.outcome):
            raise self._lost()
        self._deadline_ns = extension.sent_ns + duration_ns
        if self._hold is not None:
            self._hold.deadline_ns = self._deadline_ns
