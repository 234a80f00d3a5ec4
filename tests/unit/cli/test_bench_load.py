"""What ``haq bench`` sends, and how it finds that something is lost, stored twice or changed."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio

from haqactor.cli.bench_load import LOADS, BenchFailed, Load, Shape
from haqactor.cli.exits import FAILED, exit_code


class Memory:
    """Broker, producer, queue and consumer at once; ``drop``, ``twice``: what becomes of a message."""

    def __init__(self, *, drop: int | None = None, twice: int | None = None) -> None:
        self.name = "q"
        self.publishes: list[int] = []
        self._drop, self._twice = drop, twice
        self._send, self._receive = trio.open_memory_channel[bytes](100_000)

    def producer(self, _name: str) -> "Memory":
        return self

    def consume_batches(self, *, credit: int) -> "Memory":
        assert credit > 0
        return self

    async def __aenter__(self) -> "Memory":
        return self

    async def __aexit__(self, *_error: object) -> None:
        return None

    async def publish(self, queue: str, body: bytes) -> None:
        await self.publish_many(queue, [body])

    async def publish_many(self, _queue: str, bodies: list[bytes]) -> None:
        await trio.sleep(0.001)
        self.publishes.append(len(bodies))
        for body in bodies:
            number = int.from_bytes(body[:8], "big")
            for _ in range(0 if number == self._drop else 2 if number == self._twice else 1):
                self._send.send_nowait(body)

    async def receive(self) -> "Delivered":
        return Delivered(await self._receive.receive())


class Delivered:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.messages = [self]

    async def __aenter__(self) -> "Delivered":
        return self

    async def __aexit__(self, *_error: object) -> None:
        return None


async def measured(what: str, shape: Shape, memory: Memory | None = None) -> Any:
    memory = memory or Memory()
    return await LOADS[what](Load(shape), cast("Any", memory), cast("Any", memory))


@pytest.mark.parametrize("what", ["publish", "end-to-end", "latency"])
async def test_every_message_is_counted(what: str) -> None:
    found = await measured(what, Shape(messages=250, batch=100, producers=2, in_flight=2, rate=5_000))
    assert (found.what, found.messages) == (what, 250)
    assert found.messages_per_s == pytest.approx(250 / found.seconds)
    assert found.mb_per_s == pytest.approx(found.messages_per_s * 100 / 1e6)
    assert 1 <= found.confirm_p50_ms <= found.confirm_p99_ms <= found.confirm_p999_ms <= found.confirm_max_ms


async def test_the_last_batch_is_what_is_left() -> None:
    memory = Memory()
    await measured("publish", Shape(messages=250, batch=100, in_flight=1), memory)
    assert memory.publishes == [100, 100, 50]


async def test_it_ends_in_time_where_no_number_is_given() -> None:
    found = await measured("publish", Shape(batch=1, in_flight=2, seconds=0.05))
    assert 0.05 <= found.seconds < 5
    assert found.messages > 2


async def test_latency_counts_from_when_a_publish_was_due() -> None:
    """Those that are started late have waited already: nothing is left out."""
    found = await measured("latency", Shape(rate=100, seconds=0.1))
    assert found.messages == 10
    assert found.seconds >= 0.09


@pytest.mark.parametrize("what", ["publish", "end-to-end", "latency"])
async def test_what_is_stored_twice_is_found(what: str) -> None:
    shape = Shape(messages=50, batch=10, rate=5_000)
    with pytest.raises(BaseExceptionGroup) as found:
        await measured(what, shape, Memory(twice=7))
    assert found.group_contains(BenchFailed, match="message 7 arrived twice")


async def test_what_is_lost_is_found(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(BaseExceptionGroup) as found:
        await measured("end-to-end", Shape(messages=50, batch=10), Memory(drop=7))
    assert found.group_contains(BenchFailed, match="50 messages are confirmed, only 49 came")


@pytest.mark.parametrize("size", [8, 9, 100, 70_000])
def test_bodies_have_their_size_and_are_all_different(size: int) -> None:
    load = Load(Shape(size=size))
    bodies = [load.body(number) for number in range(1_000)]
    assert {len(body) for body in bodies} == {size}
    assert len(set(bodies)) == 1_000


def shorter(body: bytes) -> bytes:
    return body[:-1]


def changed(body: bytes) -> bytes:
    return body[:-1] + b"!"


def another(body: bytes) -> bytes:
    return b"x" * len(body)


@pytest.mark.parametrize("change", [shorter, changed, another])
def test_what_was_never_sent_is_found(change: Callable[[bytes], bytes]) -> None:
    load = Load(Shape(), _taken=10)
    load.take(load.body(3))
    with pytest.raises(BenchFailed, match="not sent"):
        load.take(change(load.body(4)))
    with pytest.raises(BenchFailed, match="arrived twice"):
        load.take(load.body(3))


def test_a_wrong_figure_is_a_failure() -> None:
    assert exit_code(BenchFailed("x")) == FAILED
