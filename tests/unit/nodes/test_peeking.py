"""A peek's batches, from memory or from the disk, within a bound."""

from typing import Any, cast

import trio
from trio.testing import wait_all_tasks_blocked

from haqactor import batch, wire
from haqactor.entry import Kind, build
from haqactor.ids import GroupId, Index, Term
from haqactor.machine.batches import Located
from haqactor.machine.machine import GroupMachine
from haqactor.nodes import peeking
from haqactor.nodes.context import PEEKS_AT_ONCE, PEEKS_WAITING_MAX
from haqactor.nodes.sessions import Request
from tests.builders.service_actor import ServedSession, ServiceActor

GROUP = GroupId(1)


class FakeMachine:
    """Knows where messages are."""

    def __init__(self, located: list[Located]) -> None:
        self.located = located
        self.limits: list[int] = []

    def peek(self, uid: int, limit: int, first: int) -> list[Located]:
        self.limits.append(limit)
        return [row for row in self.located if row.first >= first]

    def failures(self, uid: int, low: int, high: int) -> tuple[tuple[int, int], ...]:
        return tuple((seq, 4) for seq in range(low, high + 1) if seq == 3)


class Place:
    """A group with batches of two messages in memory, on disk, or nowhere."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.actor = ServiceActor(1, nursery=nursery)
        self.session = ServedSession()
        self.located: list[Located] = []
        self.blobs: list[bytes] = []

    def store(self, where: str, size: int = 10) -> None:
        number = len(self.located)
        index = Index(number + 1)
        blob = batch.Packer().pack([batch.Content(number.to_bytes(1, "big") * size)] * 2)
        blob += bytes(max(0, size - len(blob)))
        entry = build(GROUP, index, Term(1), Kind.COMMAND, b"head", b"...." + blob)
        if where == "memory":
            self.actor.context.tail.put(entry)
        elif where == "disk":
            self.actor.journal.entries[GROUP, index] = entry
        first = 2 * number + 1
        values: dict[str, Any] = {
            "first": first,
            "last": first + 1,
            "skip": 0,
            "total": 2,
            "entry_index": index,
            "body_at": 4,
            "body_bytes": len(blob),
            "enqueued_ns": 5,
        }
        self.located.append(Located(**{name: values[name] for name in Located._fields}))
        self.blobs.append(blob)

    def peek(self, limit: int, first: int = 0) -> FakeMachine:
        machine = FakeMachine(self.located)
        request = Request(cast(Any, self.session), wire.Peek(7, GROUP, 3, limit, first), b"")
        peeking.start(self.actor.as_actor, cast(GroupMachine, machine), request)
        return machine


async def test_in_order_from_memory_and_disk() -> None:
    """One row a batch, its bytes in the blob."""
    async with trio.open_nursery() as nursery:
        here = Place(nursery)
        for where in ("memory", "disk", "memory"):
            here.store(where)
        here.peek(10)
    ((rows,),) = here.session.answers.values()
    assert [(row[0], row[1], row[2], row[3], row[6]) for row in rows] == [
        (0, 0, 2 * number + 1, ((2 * number + 1, 2 * number + 2),), len(blob))
        for number, blob in enumerate(here.blobs)
    ]
    assert here.session.blobs == here.blobs


async def test_limits() -> None:
    """Ten thousand at most, none below none; and only so many bytes, but at least one batch: the rest is
    asked for."""
    async with trio.open_nursery() as nursery:
        here = Place(nursery)
        for _ in range(3):
            here.store("disk", 3 << 20)
        machine = here.peek(1 << 60)
    assert machine.limits == [10_000]
    ((rows,),) = here.session.answers.values()
    assert len(rows) == 1
    async with trio.open_nursery() as nursery:
        here.actor.applier.nursery = nursery
        here.peek(10, first=rows[0][3][-1][1] + 1)
    ((_rows, rest),) = here.session.answers.values()
    assert rest[0][3] == ((3, 4),)
    assert rest[0][4] == ((3, 4),), "message 3 failed four times"
    async with trio.open_nursery() as nursery:
        machine = Place(nursery).peek(-5)
    assert machine.limits == [0]


async def test_a_batch_that_is_gone() -> None:
    """It was settled and compacted while the disk was read: the peek fails, nothing else does."""
    async with trio.open_nursery() as nursery:
        here = Place(nursery)
        here.store("memory")
        here.store("nowhere")
        here.peek(10)
    assert here.session.answers == {7: ["not_found"]}


async def test_neighbours_are_read_together_and_hold_no_entries() -> None:
    """Each message had its entry read anew, and kept all of it: a peek of a hundred small ones could take a
    hundred MiB."""
    async with trio.open_nursery() as nursery:
        here = Place(nursery)
        for _ in range(64):
            here.store("disk")
        for (group, index), entry in list(here.actor.journal.entries.items()):
            padded = build(
                GROUP, Index(index), Term(1), Kind.COMMAND, b"head", bytes(entry.body) + bytes(1 << 17)
            )
            here.actor.journal.entries[group, index] = padded
        seen: list[Any] = []
        send = here.session.send

        def kept(message: Any, *blobs: bytes) -> None:
            seen.extend(blobs)
            send(message, *blobs)

        here.session.send = kept  # type: ignore[method-assign]  # sees the blobs as they come
        here.peek(100)
    assert here.session.blobs == here.blobs
    assert all(isinstance(blob, bytes) for blob in seen), "a view would hold its entry"
    assert here.actor.context.gauges["cold_delivery_reads"] <= 4


async def test_pieces_are_bounded() -> None:
    """By the bytes of their batches; messages of one batch stay together."""
    async with trio.open_nursery() as nursery:
        here = Place(nursery)
        for _ in range(5):
            here.store("disk", 500_000)
        reads: list[int] = []
        read = here.actor.journal.read

        async def counted(group: GroupId, first: Index, last: Index, bytes_max: int) -> Any:
            reads.append(last - first + 1)
            return await read(group, first, last, bytes_max)

        here.actor.journal.read = counted  # type: ignore[method-assign]  # counts what the disk is asked for
        here.peek(100)
    assert reads == [2, 2, 1]
    assert len(here.session.blobs) == 5


async def test_few_at_once_and_a_bounded_line() -> None:
    """A thousand peeks of one turn were a thousand tasks with megabytes each. Who finds the line full is told
    to come again; a connection that ended is not read for."""
    async with trio.open_nursery() as nursery:
        here = Place(nursery)
        here.store("disk")
        gate, reading = trio.Event(), 0
        read = here.actor.journal.read

        async def gated(group: GroupId, first: Index, last: Index, bytes_max: int) -> Any:
            nonlocal reading
            reading += 1
            await gate.wait()
            return await read(group, first, last, bytes_max)

        here.actor.journal.read = gated  # type: ignore[method-assign]  # a disk that takes its time
        for _ in range(PEEKS_AT_ONCE + PEEKS_WAITING_MAX + 3):
            here.peek(1)
        await wait_all_tasks_blocked()
        assert reading == PEEKS_AT_ONCE
        assert here.session.answers == {7: ["overloaded"] * 3}
        here.session.open = False
        gate.set()
        await wait_all_tasks_blocked()
        assert reading == PEEKS_AT_ONCE
        here.session.open = True
        here.peek(1)
    assert reading == PEEKS_AT_ONCE + 1
