"""The loads of ``haq bench``: publish, end to end, and single publishes at a fixed rate.

One rule: a figure counts only once every message that was confirmed has arrived again, whole and once; the
clock stops before that is looked at.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import trio

from haqactor.errors import Error
from haqactor.runtime.real.pace import Pace

if TYPE_CHECKING:
    from haqactor.client.broker import Broker
    from haqactor.client.producer import Producer
    from haqactor.client.queue import Queue

NUMBER_BYTES: Final = 8
SECONDS: Final = 5.0
_CREDIT: Final = 10_000
_PATIENCE_S: Final = 30.0
_LEAD_S: Final = 0.05
_AT_ONCE_MAX: Final = 10_000
_FILLING: Final = bytes(range(256))


class BenchFailed(Error):
    """What arrived is not what was confirmed, or nothing arrived any more: the figures would be worthless."""

    code = "bench_failed"


@dataclass(frozen=True, slots=True)
class Shape:
    """``size``: bytes of a body; ``batch``: messages in one publish, of which each of ``producers`` has
    ``in_flight`` under way; ``rate``: single publishes a second, where latency is measured. It ends after
    ``messages``, or once ``seconds`` have passed where that is None."""

    size: int = 100
    batch: int = 100
    producers: int = 1
    in_flight: int = 32
    rate: float = 100.0
    messages: int | None = None
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Measured:
    """``confirm_*_ms``: from a publish (at a fixed rate: from when it was due) to its confirm."""

    what: str
    messages: int
    seconds: float
    messages_per_s: float
    mb_per_s: float
    confirm_p50_ms: float
    confirm_p99_ms: float
    confirm_p999_ms: float
    confirm_max_ms: float


@dataclass(slots=True)
class Load:
    """One load on one empty queue. ``confirmed``: so many by now; ``waits_s``: of each publish."""

    shape: Shape
    confirmed: int = 0
    waits_s: list[float] = field(default_factory=list[float])
    _taken: int = 0
    _seen: bytearray = field(default_factory=bytearray)
    _arrived: int = 0
    _expected: int | None = None
    _complete: trio.Event = field(default_factory=trio.Event)

    # -- the three loads

    async def publish(self, broker: "Broker", queue: "Queue") -> Measured:
        """As fast as the shape allows; everything is consumed and checked afterwards."""
        seconds = await self._publish_all(broker, queue.name)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._consume, queue)
            await self._all_arrived()
            nursery.cancel_scope.cancel()
        return self._measured("publish", seconds)

    async def end_to_end(self, broker: "Broker", queue: "Queue") -> Measured:
        """The same, consumed and acknowledged at once; to the last acknowledgement."""
        begun = time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._consume, queue)
            await self._publish_all(broker, queue.name)
            await self._all_arrived()
            seconds = time.monotonic() - begun
            nursery.cancel_scope.cancel()
        return self._measured("end-to-end", seconds)

    async def latency(self, broker: "Broker", queue: "Queue") -> Measured:
        """Single publishes at even times, each whether or not those before are confirmed."""
        shape = self.shape
        wanted = shape.messages or max(1, round(shape.rate * shape.seconds))
        begun = time.monotonic()
        async with broker.producer(f"{queue.name}.0") as producer, trio.open_nursery() as nursery:
            with Pace(shape.rate, _LEAD_S) as pace:
                while self._taken < wanted:
                    for number in await pace.wait():
                        if number < wanted:
                            nursery.start_soon(self._one, producer, queue.name, number, pace.due_s(number))
                            self._taken = number + 1
                    if self._taken - self.confirmed > _AT_ONCE_MAX:
                        raise BenchFailed(
                            f"{_AT_ONCE_MAX:,} publishes wait for their confirms: too fast a rate"
                        )
        seconds = time.monotonic() - begun
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._consume, queue)
            await self._all_arrived()
            nursery.cancel_scope.cancel()
        return self._measured("latency", seconds)

    # -- what they are made of

    def body(self, number: int) -> bytes:
        """Its number, and what fills it up, different for each of 256 neighbours."""
        at = number % len(_FILLING)
        filled = self.shape.size - NUMBER_BYTES
        return number.to_bytes(NUMBER_BYTES, "big") + (_FILLING[at:] + _FILLING[:at])[:filled].ljust(filled)

    async def _publish_all(self, broker: "Broker", queue: str) -> float:
        """Seconds from the first publish to the last confirm."""
        begun = time.monotonic()
        async with trio.open_nursery() as nursery:
            for number in range(self.shape.producers):
                nursery.start_soon(self._produce, broker, queue, number, begun + self.shape.seconds)
        return time.monotonic() - begun

    async def _produce(self, broker: "Broker", queue: str, number: int, deadline: float) -> None:
        async with broker.producer(f"{queue}.{number}") as producer, trio.open_nursery() as nursery:
            for _ in range(self.shape.in_flight):
                nursery.start_soon(self._lane, producer, queue, deadline)

    async def _lane(self, producer: "Producer", queue: str, deadline: float) -> None:
        while numbers := self._next(deadline):
            bodies = [self.body(number) for number in numbers]
            begun = time.monotonic()
            if len(bodies) == 1:
                await producer.publish(queue, bodies[0])
            else:
                await producer.publish_many(queue, bodies)
            self.waits_s.append(time.monotonic() - begun)
            self.confirmed += len(bodies)

    async def _one(self, producer: "Producer", queue: str, number: int, due: float) -> None:
        await producer.publish(queue, self.body(number))
        self.waits_s.append(time.monotonic() - due)
        self.confirmed += 1

    def _next(self, deadline: float) -> range:
        """The numbers of the next publish; none once it is over."""
        if self.shape.messages is None:
            more = self.shape.batch if time.monotonic() < deadline else 0
        else:
            more = min(self.shape.batch, self.shape.messages - self._taken)
        found = range(self._taken, self._taken + more)
        self._taken += more
        return found

    async def _consume(self, queue: "Queue") -> None:
        """Until cancelled."""
        async with queue.consume_batches(credit=_CREDIT) as batches:
            for _ in count():
                batch = await batches.receive()
                async with batch:
                    for message in batch.messages:
                        self.take(message.body)
                if self._expected is not None and self._arrived >= self._expected:
                    self._complete.set()

    def take(self, body: bytes) -> None:
        """One that arrived. Raises BenchFailed for one that came before, or was never sent."""
        number = int.from_bytes(body[:NUMBER_BYTES], "big")
        if number >= self._taken or body != self.body(number):
            raise BenchFailed("a message arrived that was not sent")
        if number >= len(self._seen):
            self._seen.extend(bytes(max(number + 1 - len(self._seen), len(self._seen))))
        if self._seen[number]:
            raise BenchFailed(f"message {number} arrived twice")
        self._seen[number] = 1
        self._arrived += 1

    async def _all_arrived(self) -> None:
        """Until all that is confirmed has been acknowledged. Raises BenchFailed."""
        self._expected = self.confirmed
        before = -1
        while self._arrived < self._expected and before < self._arrived:
            before = self._arrived
            with trio.move_on_after(_PATIENCE_S):
                await self._complete.wait()
        if self._arrived < self._expected:
            raise BenchFailed(f"{self._expected} messages are confirmed, only {self._arrived} came")

    def _measured(self, what: str, seconds: float) -> Measured:
        if self._arrived != self.confirmed:
            raise BenchFailed(f"{self.confirmed} messages are confirmed, {self._arrived} came")
        waits = sorted(self.waits_s) or [0.0]
        parts = [waits[min(len(waits) - 1, int(len(waits) * part))] * 1e3 for part in (0.5, 0.99, 0.999, 1)]
        rate = self.confirmed / seconds
        return Measured(what, self.confirmed, seconds, rate, rate * self.shape.size / 1e6, *parts)


LOADS: Final[dict[str, Callable[[Load, Any, Any], Any]]] = {
    "publish": Load.publish,
    "end-to-end": Load.end_to_end,
    "latency": Load.latency,
}
"""By name, in the order in which they run."""
