"""What ``consume()`` and ``consume_batches()`` yield: receive channels of messages, or of whole batches.

One rule: taking from the buffer is synchronous and comes after the checkpoint, so a cancelled receive loses
nothing.
"""

from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, final

import trio

from haqactor.client.arguments import span_ns, text
from haqactor.client.consumer import Consumer
from haqactor.client.message import QUEUES_BACKOFF, Message, reason_of, verdict
from haqactor.client.part import HANDED, Part
from haqactor.client.renewing import Hold
from haqactor.client.settling import ACK, NACK, REJECT, RELEASE, Settlement
from haqactor.client.waiting import judged
from haqactor.errors import Conflict, InvalidArgument, LeaseLost


@final
class Deliveries(trio.abc.ReceiveChannel[Message]):
    """Messages, one by one. Several tasks may receive."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    # receive() never raises EndOfChannel, so the base class's coroutine around it is not needed
    def __anext__(self) -> Coroutine[Any, Any, Message]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.receive()

    async def receive(self) -> Message:
        """The next message. Raises Closed after the block, NotFound where the queue was deleted, LeaseLost if
        that was asked for; ProtocolError where a batch does not unpack (it is rejected, the channel stays
        usable)."""
        await trio.lowlevel.checkpoint()
        consumer = self._consumer
        while True:
            message = self._take()
            if message is not None:
                message.waited_for = True
                return message
            consumer.check_receives()
            await consumer.waiting.park()

    def receive_nowait(self) -> Message:
        """The next message of the buffer; raises ``trio.WouldBlock`` where there is none."""
        message = self._take()
        if message is None:
            self._consumer.check_receives()
            raise trio.WouldBlock
        return message

    def _take(self) -> Message | None:
        consumer = self._consumer
        if consumer.lease_lost:
            raise consumer.lease_lost.popleft()
        if consumer.closed:
            return None
        taken = consumer.subscription.take(consumer.monotonic_ns())
        if taken is None:
            return None
        return consumer.message(*taken)

    async def aclose(self) -> None:
        """Give back what is buffered and wait for the verdict on what was settled."""
        await self._consumer.leave()


@final
class Batch:
    """Messages that came together and are settled together; enter it to handle them."""

    __slots__ = ("_consumer", "_hold", "_messages", "_part", "_runs", "_scope", "_settled")

    def __init__(self, consumer: Consumer, part: Part, runs: list[tuple[int, int]]) -> None:
        self._consumer = consumer
        self._part = part
        self._runs = runs
        self._messages: list[Message] | None = None
        self._hold: Hold | None = None
        self._scope: trio.CancelScope | None = None
        self._settled = False

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._runs)

    @property
    def messages(self) -> list[Message]:
        """The messages; unpacked at the first look. Raises ProtocolError where that cannot be done; then all
        are rejected."""
        if self._messages is None:
            message, part = self._consumer.message, self._part
            self._messages = [
                message(part, row) for first, last in self._runs for row in range(first, last + 1)
            ]
        return self._messages

    async def __aenter__(self) -> "Batch":
        if self._hold is not None or self._settled:
            raise Conflict("this batch was entered or settled before")
        scope = self._scope = trio.CancelScope()
        part = self._part
        self._hold = Hold(part, self._runs[0][0], self._runs[-1][1], part.deadline_ns, scope)
        self._consumer.holders[self._hold] = None
        scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        scope, hold = self._scope, self._hold
        if scope is None or hold is None:
            raise Conflict("a batch was left that was not entered")
        del self._consumer.holders[hold]
        self._scope = None
        swallowed = scope.__exit__(kind, error, traceback)
        lost = hold.lost and (error is None or swallowed)
        verb = RELEASE if lost else verdict(error)
        self._hand_over(
            verb,
            [QUEUES_BACKOFF, reason_of(error)] if verb == NACK and error is not None else [],
            None,
            False,
        )
        if lost:
            raise self._lost()
        if error is None:
            await trio.lowlevel.checkpoint()
        return False

    def _lost(self) -> LeaseLost:
        seq = self._part.seq(self._runs[0][0])
        return LeaseLost(f"leases of the batch from seq {seq} were lost; its messages will come again")

    def _hand_over(
        self, verb: int, more: list[object], messages: Sequence[Message] | None, loud: bool
    ) -> list[Settlement]:
        subscription, part = self._consumer.subscription, self._part
        runs = self._runs if messages is None else self._runs_of(messages)
        self._settled = self._settled or messages is None
        found: list[Settlement] = []
        for first, last in runs:
            if part.states.count(HANDED, first, last + 1) == last - first + 1:
                found.append(subscription.settle(verb, part, first, last, more, loud))
                continue
            for row in range(first, last + 1):
                if part.states[row] == HANDED:
                    found.append(subscription.settle(verb, part, row, row, more, loud))
        return found

    def _runs_of(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        runs: list[tuple[int, int]] = []
        for message in messages:
            part, row = message.row
            if part is not self._part:
                raise InvalidArgument(f"message {message.id} is not of this batch")
            if runs and runs[-1][1] + 1 == row:
                runs[-1] = (runs[-1][0], row)
            else:
                runs.append((row, row))
        return runs

    async def _settle(self, verb: int, more: list[object], messages: Sequence[Message] | None) -> None:
        self._consumer.check_open()
        states = self._part.states
        lost = (
            self._lost_rows() if messages is None else any(states[each.row[1]] > HANDED for each in messages)
        )
        await self._judged(list(dict.fromkeys(self._hand_over(verb, more, messages, True))), lost)

    def _lost_rows(self) -> bool:
        """Were there any since the last time?"""
        lost = self._part.lost
        rows = [row for row in lost if any(first <= row <= last for first, last in self._runs)]
        for row in rows:
            del lost[row]
        return bool(rows)

    async def _judged(self, settlements: list[Settlement], lost: bool) -> None:
        refused = await judged(settlements, self._consumer.queue, lambda: self._judged(settlements, lost))
        if lost or any(self._part.row(seq) >= 0 for seq in refused):
            raise self._lost()
        await trio.lowlevel.checkpoint()

    async def ack(self, messages: Sequence[Message] | None = None) -> None:
        """These (None: all that are open) are done; returns once that is confirmed. Raises LeaseLost where
        some had been lost, the others count; OutcomeUnknown as ``Message.ack`` does."""
        await self._settle(ACK, [], messages)

    async def nack(
        self, messages: Sequence[Message] | None = None, *, delay: float | None = None, reason: str = ""
    ) -> None:
        """These failed; they come again after ``delay`` seconds (None: the queue's backoff)."""
        delay_ns = QUEUES_BACKOFF if delay is None else span_ns("delay", delay)
        await self._settle(NACK, [delay_ns, text("reason", reason)], messages)

    async def reject(self, messages: Sequence[Message] | None = None, *, reason: str = "") -> None:
        """These can never be done."""
        await self._settle(REJECT, [text("reason", reason)], messages)

    async def release(self, messages: Sequence[Message] | None = None) -> None:
        """Give these back unharmed."""
        await self._settle(RELEASE, [], messages)


@final
class Batches(trio.abc.ReceiveChannel[Batch]):
    """Batches as they were delivered. Several tasks may receive."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def receive(self) -> Batch:
        """The next batch. Raises as ``Deliveries.receive`` does."""
        await trio.lowlevel.checkpoint()
        consumer = self._consumer
        while True:
            batch = self._take()
            if batch is not None:
                return batch
            consumer.check_receives()
            await consumer.waiting.park()

    def receive_nowait(self) -> Batch:
        """The next batch of the buffer; raises ``trio.WouldBlock`` where there is none."""
        batch = self._take()
        if batch is None:
            self._consumer.check_receives()
            raise trio.WouldBlock
        return batch

    def _take(self) -> Batch | None:
        consumer = self._consumer
        if consumer.lease_lost:
            raise consumer.lease_lost.popleft()
        if consumer.closed:
            return None
        taken = consumer.subscription.take_part(consumer.session.now_ns())
        return None if taken is None else Batch(consumer, *taken)

    async def aclose(self) -> None:
        """Give back what is buffered and wait for the verdict on what was settled."""
        await self._consumer.leave()
