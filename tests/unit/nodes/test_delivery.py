"""Deliveries keep their order per consumer, and none leaves unconfirmed or after the term's end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from haqactor import batch, wire
from haqactor.entry import Entry, Kind, build
from haqactor.ids import GroupId, Index, Term
from haqactor.machine.actions import Deliver, Part
from haqactor.nodes.delivery import Delivery, cut, load, read_ahead
from haqactor.nodes.group import GroupActor
from haqactor.nodes.outbox import Outbox
from haqactor.nodes.pressure import Pressure
from tests.builders.node_context import node_context

GROUP = GroupId(1)


class FakeCore:
    """Rounds as the test says."""

    def __init__(self) -> None:
        self.round = 0
        self.covered = 0

    def cover(self, now_ns: int) -> int:
        self.round += 1
        return self.round


class Session:
    """A connection that keeps what is sent to it."""

    def __init__(self) -> None:
        self.got: list[tuple[int, list[bytes]]] = []
        self.rows: list[Any] = []
        self.outbox = Outbox()

    def send(self, message: wire.Deliver, *blobs: bytes) -> None:
        self.got.append((message.consumer, [bytes(blob) for blob in blobs]))
        self.rows += message.parts


class Place:
    """A delivery with a journal that is read only when the test lets it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.context, self.journal = node_context()
        self.gate = trio.Event()
        self.core = FakeCore()
        self.applier = self
        self.group = GROUP
        self.nursery = nursery
        self.session = Session()
        self.sessions: dict[bytes, Any] = {b"s": self.session}
        self.delivery = Delivery(cast(GroupActor, self), Pressure(cast(GroupActor, self), self.sessions))
        read = self.journal.read

        async def gated(group: GroupId, first: Index, last: Index, bytes_max: int) -> tuple[Entry, ...]:
            await self.gate.wait()
            return await read(group, first, last, bytes_max)

        self.journal.read = gated  # type: ignore[method-assign]  # a disk that takes its time

    def store(self, index: int, body: bytes, *, cold: bool = False) -> None:
        entry = build(GROUP, Index(index), Term(1), Kind.COMMAND, b"head", b"...." + body)
        if cold:
            self.journal.entries[GROUP, index] = entry
        else:
            self.context.tail.put(entry)

    def deliver(
        self, *indexes: int, size: int = 3, consumer: int = 1, rows: tuple[int, ...] | None = None
    ) -> None:
        parts = [Part(1, index, index, ((index, index),), (), 5, index, 4, size, rows) for index in indexes]
        self.delivery.add(Deliver(b"s", consumer, 7, 1000, parts))

    def cover(self, covered: int) -> list[tuple[int, list[bytes]]]:
        self.core.covered = covered
        self.delivery.release()
        got, self.session.got = self.session.got, []
        return got


@asynccontextmanager
async def place() -> AsyncGenerator[Place, None]:
    async with trio.open_nursery() as nursery:
        yield Place(nursery)
        nursery.cancel_scope.cancel()


async def test_nothing_leaves_before_its_round() -> None:
    """One round covers all of a turn; a later turn needs a later one."""
    async with place() as here:
        for index in (1, 2, 3):
            here.store(index, b"b%02d" % index)
        here.deliver(1)
        here.deliver(2, consumer=2)
        here.delivery.seal(0)
        here.delivery.seal(0)
        here.deliver(3)
        here.delivery.seal(0)
        assert here.core.round == 2
        assert here.cover(0) == []
        assert here.cover(1) == [(1, [b"b01"]), (2, [b"b02"])]
        assert here.cover(1) == []
        assert here.cover(2) == [(1, [b"b03"])]
        assert here.session.rows[0] == [1, 1, 1, ((1, 1),), (), 5, 3]


async def test_a_cold_batch_holds_its_consumer_only() -> None:
    """What follows it in memory waits behind it; other consumers do not."""
    async with place() as here:
        here.store(1, b"hot")
        here.store(2, b"ice", cold=True)
        here.store(3, b"mid")
        for index in (1, 2, 3):
            here.deliver(index)
        here.deliver(3, consumer=2)
        here.delivery.seal(0)
        await wait_all_tasks_blocked()
        assert here.cover(1) == [(1, [b"hot"]), (2, [b"mid"])]
        here.deliver(1)
        here.delivery.seal(0)
        assert here.cover(2) == []
        here.gate.set()
        await wait_all_tasks_blocked()
        assert here.cover(2) == [(1, [b"ice"]), (1, [b"mid"]), (1, [b"hot"])]
        here.deliver(3)
        here.delivery.seal(0)
        assert here.cover(3) == [(1, [b"mid"])]
        assert here.delivery.idle


async def test_a_cold_batch_that_is_read_early_waits_for_its_round() -> None:
    """Reading it is no permission."""
    async with place() as here:
        here.gate.set()
        here.store(1, b"ice", cold=True)
        here.store(2, b"hot")
        here.deliver(1, 2)
        here.delivery.seal(0)
        await wait_all_tasks_blocked()
        assert here.session.got == []
        assert here.cover(1) == [(1, [b"ice", b"hot"])]


async def test_nothing_leaves_after_the_end() -> None:
    """Neither what waits for its round, nor what comes from the disk late."""
    async with place() as here:
        here.store(1, b"hot")
        here.store(2, b"ice", cold=True)
        here.deliver(2)
        here.delivery.seal(0)
        await wait_all_tasks_blocked()
        assert here.cover(1) == []
        here.deliver(1)
        here.delivery.seal(0)
        here.delivery.close()
        here.gate.set()
        await wait_all_tasks_blocked()
        assert here.cover(9) == []


async def test_a_session_that_came_back_is_another_one() -> None:
    """What was meant for the old connection is not sent on the new; leases of it are claimed or returned."""
    async with place() as here:
        here.store(1, b"hot")
        here.deliver(1)
        here.delivery.seal(0)
        fresh = here.sessions[b"s"] = Session()
        assert here.cover(1) == []
        assert fresh.got == []
        del here.sessions[b"s"]
        here.deliver(1)
        here.delivery.seal(0)
        assert here.cover(2) == []


async def test_an_entry_that_was_compacted_meanwhile() -> None:
    """Is not sent, and holds up nobody."""
    async with place() as here:
        here.gate.set()
        here.store(2, b"hot")
        here.deliver(1)
        here.deliver(2)
        here.delivery.seal(0)
        await wait_all_tasks_blocked()
        assert here.cover(1) == [(1, [b"hot"])]
        assert here.context.gauges["deliveries_gone"] == 1


async def test_wanted_rows_only() -> None:
    """A part with rows is cut out of its batch."""
    async with place() as here:
        whole = batch.Packer().pack([batch.Content(b"zero"), batch.Content(b"one"), batch.Content(b"two")])
        here.store(1, whole)
        here.deliver(1, size=len(whole), rows=(0, 2))
        here.delivery.seal(0)
        await wait_all_tasks_blocked()
        ((_consumer, (blob,)),) = here.cover(1)
        assert batch.head(blob).count == 2
        assert here.session.rows[0][-1] == len(blob)
        assert here.context.gauges["sliced_batches"] == 1


@pytest.mark.parametrize("count", [1, 5])
async def test_hits_are_counted(count: int) -> None:
    """The cache knows how often it helped."""
    async with place() as here:
        here.store(1, b"hot")
        for _ in range(count):
            here.deliver(1)
        here.delivery.seal(0)
        assert here.context.tail.hits == count


async def test_a_batch_that_does_not_unpack_leaves_as_it_is() -> None:
    """Nobody reads bodies before they are sliced: what a producer packed badly must end no node, and its
    consumer rejects it."""
    async with trio.open_nursery() as nursery:
        place = Place(nursery)
        place.gate.set()
        data = bytearray(batch.Packer().pack([batch.Content(b"%d" % number * 50) for number in range(8)]))
        data[-5:] = bytes(5)
        place.store(1, bytes(data))
        place.deliver(1, size=len(data), rows=(3,))
        place.delivery.seal(0)
        await wait_all_tasks_blocked()
        assert place.cover(1) == [(1, [bytes(data)])]


async def test_many_cold_batches_take_few_reads_with_turns_between() -> None:
    """And what is in memory, or far away, is not read along."""
    async with place() as here:
        here.gate.set()
        cold = [*range(1, 1001), *range(5000, 5003)]
        for index in cold:
            here.store(index, b"%04d" % index, cold=True)
        here.store(500, b"warm")
        reads: list[tuple[int, int]] = []
        inner = here.journal.read

        async def counted(group: GroupId, first: Index, last: Index, bytes_max: int) -> tuple[Entry, ...]:
            reads.append((first, last))
            return await inner(group, first, last, bytes_max)

        here.journal.read = counted  # type: ignore[method-assign]  # counts what the disk is asked for
        parts = [Part(1, index, index, ((index, index),), (), 5, index, 4, 4, None) for index in cold]
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count_turns)
            found = await read_ahead(cast(GroupActor, here), parts)
            nursery.cancel_scope.cancel()
        assert {*cold} - {index for index, _at in found} == {500}
        assert found[700, 4] == b"0700"
        assert len(reads) <= 4
        assert not any(first < 1500 < last for first, last in reads)
        assert turns >= len(reads)


def held(blobs: Any) -> int:
    """Bytes that these keep in memory, those of what they are a part of among them."""
    whole = {id(blob): len(blob) for blob in blobs if isinstance(blob, bytes)}
    whole |= {id(blob.obj): len(bytes(blob.obj)) for blob in blobs if isinstance(blob, memoryview)}
    return sum(whole.values())


async def test_small_cold_batches_do_not_hold_large_entries() -> None:
    """A quiet queue shares its group with a busy one: each of its messages lay in another entry of a MiB, and
    whoever came back with credit for hundreds made the leader hold hundreds of MiB."""
    async with place() as here:
        here.gate.set()
        for index in range(1, 65):
            here.store(index, b"x" * 100 + bytes(1 << 18), cold=True)
        parts = [
            Part(1, index, index, ((index, index),), (), 5, index, 4, 100, None) for index in range(1, 65)
        ]
        found = await read_ahead(cast(GroupActor, here), parts)
        assert held(found.values()) == 64 * 100
        here.store(65, b"y" * 100 + bytes(1 << 18), cold=True)
        alone = await load(cast(GroupActor, here), parts[0]._replace(entry_index=65))
        assert alone == b"y" * 100
        assert held([alone]) == 100


async def test_a_large_batch_is_not_copied() -> None:
    """It is most of its entry, in memory or read for it."""
    async with place() as here:
        here.gate.set()
        here.store(1, b"x" * 100_000, cold=True)
        here.store(2, b"x" * 100_000)
        part = Part(1, 1, 1, ((1, 1),), (), 5, 1, 4, 100_000, None)
        (cold,) = (await read_ahead(cast(GroupActor, here), [part])).values()
        entry = here.context.tail.get(GROUP, Index(2))
        assert entry is not None
        for blob in (cold, cut(entry, part), cut(entry, part._replace(body_bytes=10_000))):
            assert isinstance(blob, memoryview)
        assert isinstance(cut(entry, part._replace(body_bytes=1_000)), bytes)
