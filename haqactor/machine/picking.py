"""Which message goes to whom next.

One rule: messages leave in the order of their sequences, returned ones first, each chunk to the next consumer in turn that takes it; a
chunk that nobody takes now holds up what is behind it.

A chunk is what is ready of one stored batch. A suspect is a chunk of its own, and its consumer gets nothing else while it holds it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from haqactor.machine.actions import Deliver, Part
from haqactor.machine.batches import Located
from haqactor.machine.commands import Range
from haqactor.machine.credit import Consumer, Key
from haqactor.machine.desk import Desk
from haqactor.machine.intervals import IntervalSet
from haqactor.machine.leases import Lease

DELIVER_BYTES: Final = 1024 * 1024
DELIVER_PARTS: Final = 512
CHUNKS_MAX: Final = 2048


class Chunk(NamedTuple):
    """Ready messages of one stored batch. ``fresh``: from the cursor."""

    row: Located
    bytes: int
    suspect: bool
    fresh: bool


class _Outgoing:
    """A Deliver in the making."""

    __slots__ = ("bytes", "lease", "parts")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.parts: list[Part] = []
        self.bytes = 0


class Picker:
    """Fills the credit of a queue's consumers, once. ``begin_lease`` makes a lease record for a consumer."""

    __slots__ = ("_begin_lease", "_desk", "_lease_ns", "_open", "_ready", "_turns", "more")

    def __init__(self, desk: Desk, begin_lease: Callable[[Consumer], Lease]) -> None:
        self._desk = desk
        self._begin_lease = begin_lease
        self._lease_ns: int = desk.queue.settings["lease_ns"]
        self._open: dict[Key, _Outgoing] = {}
        self._ready: list[Deliver] = []
        self._turns = [consumer for consumer in desk.consumers.values() if may_lease(desk, consumer)]
        self.more = False  #: stopped by the bound of one turn

    def run(self) -> list[Deliver]:
        """The deliveries, each consumer's in order."""
        for _ in range(CHUNKS_MAX):
            if not self._turns:
                break
            chunk = next_chunk(self._desk)
            if chunk is None or not self._place(chunk):
                break
        else:
            self.more = True
        for key in list(self._open):
            self._close(key)
        return self._ready

    def one(self, consumer: Consumer) -> Deliver | None:
        """The first message that is ready, for a consumer that asked for one, whatever its credit."""
        chunk = next_chunk(self._desk)
        if chunk is None or (consumer.leases and (chunk.suspect or any(x.alone for x in consumer.leases.values()))):
            return None
        consumer.give(1, chunk.bytes)
        self._give(consumer, chunk, 1)
        self._close(consumer.key)
        consumer.credit_bytes = min(consumer.credit_bytes, consumer.whole_bytes)
        return self._ready.pop()

    def _place(self, chunk: Chunk) -> bool:
        """Give it to the next in turn that takes it."""
        count = chunk.row.last - chunk.row.first + 1
        for turn, consumer in enumerate(self._turns):
            if chunk.suspect and consumer.leases:
                continue
            taken = consumer.fits(count, chunk.bytes)
            if taken:
                self._give(consumer, chunk, taken)
                del self._turns[turn]
                if not chunk.suspect and consumer.credit_messages > 0:
                    self._turns.append(consumer)
                desk = self._desk
                desk.consumers[consumer.key] = desk.consumers.pop(consumer.key)
                return True
        return False

    def _give(self, consumer: Consumer, chunk: Chunk, count: int) -> None:
        desk, key = self._desk, consumer.key
        outgoing = self._open.get(key)
        if outgoing is None:
            outgoing = self._open[key] = _Outgoing(self._begin_lease(consumer))
        row = chunk.row
        low, high = row.first, row.first + count - 1
        if high < row.last:
            row = row._replace(last=high)
        size = _bytes(row)
        consumer.take(count, size)
        outgoing.lease.alone = chunk.suspect
        desk.leases.hold(outgoing.lease, low, high)
        if chunk.fresh:
            desk.cursor = high + 1
        else:
            desk.returned.discard(low, high)
        outgoing.parts.append(part_of(row, outgoing.lease.id, attempts_of(desk, low, high)))
        outgoing.bytes += size
        if outgoing.bytes >= DELIVER_BYTES or len(outgoing.parts) >= DELIVER_PARTS:
            self._close(key)

    def _close(self, key: Key) -> None:
        outgoing = self._open.pop(key)
        self._ready.append(Deliver(*key, self._desk.uid, self._lease_ns, outgoing.parts))


def may_lease(desk: Desk, consumer: Consumer) -> bool:
    """Is it connected, named in the log, with credit, and not alone with a suspect?"""
    if not consumer.connected or consumer.credit_messages <= 0 or consumer.key not in desk.queue.holders:
        return False
    if not desk.queue.suspects:
        return True
    return not any(lease.alone for lease in consumer.leases.values())


def next_chunk(desk: Desk) -> Chunk | None:
    """The first chunk that may be leased, if there is one below the reserve mark."""
    queue = desk.queue
    back = desk.returned.next_present(0)
    fresh = back is None
    if back is None:
        low = desk.cursor
        if queue.gone or queue.deferred or queue.low > low:
            low = _skip(desk)
        if low >= queue.next_seq or low >= queue.reserve:
            return None
        high = queue.next_seq - 1
        for marks in (queue.gone, queue.deferred, queue.parked):
            if marks:
                stop = marks.next_present(low)
                if stop is not None:
                    high = min(high, stop[0] - 1)
    else:
        low, high = back
    row = queue.batches.at_or_after(low, high)
    if row is None or row.first > low:
        return None
    if row.last >= queue.reserve:
        if fresh:
            return None
        row = row._replace(last=queue.reserve - 1)
    suspect = False
    if queue.suspects:
        mark = queue.suspects.next_present(low)
        if mark is not None and mark[0] == low:
            suspect = True
            row = row._replace(last=low)
        elif mark is not None and mark[0] <= row.last:
            row = row._replace(last=mark[0] - 1)
    return Chunk(row, _bytes(row), suspect, fresh)


def _skip(desk: Desk) -> int:
    """Move the cursor over what was purged, or waits, before it was ever delivered."""
    queue = desk.queue
    low = max(desk.cursor, queue.low)
    while True:
        after = queue.parked.next_missing(queue.deferred.next_missing(queue.gone.next_missing(low)))
        if after == low:
            break
        low = after
    desk.cursor = low
    return low


def _bytes(row: Located) -> int:
    """The bytes that a delivery of these rows is counted as."""
    count = row.last - row.first + 1
    return row.body_bytes if count == row.total else -(-row.body_bytes * count // row.total)


def attempts_of(desk: Desk, low: int, high: int) -> tuple[Range, ...]:
    """(sequence, failures so far) where there were some."""
    failures = desk.queue.failures
    if not len(failures):
        return ()
    return tuple(
        (sequence, value) for first, last, value in failures.runs(low, high) if value for sequence in range(first, last + 1)
    )


def part_of(row: Located, lease_id: tuple[int, int], attempts: tuple[Range, ...]) -> Part:
    """The part that carries these rows: the stored batch as it is where they are at least half of it, else a slice."""
    count = row.last - row.first + 1
    base = row.first - row.skip
    ranges = ((row.first, row.last),)
    if base < 0 or count * 2 < row.total:
        rows = tuple(range(row.skip, row.skip + count))
        return Part(*lease_id, -1, ranges, attempts, row.enqueued_ns, row.entry_index, row.body_at, row.body_bytes, rows)
    return Part(*lease_id, base, ranges, attempts, row.enqueued_ns, row.entry_index, row.body_at, row.body_bytes, None)


def peek_parts(rows: list[Located], failures: list[tuple[Range, ...]] | None = None) -> list[Part]:
    """Parts without leases, for ``wire.Peek``."""
    return [part_of(row, (0, 0), failures[at] if failures else ()) for at, row in enumerate(rows)]


def anything_ready(desk: Desk) -> bool:
    """Is a message ready that the reserve mark alone may hold back?"""
    queue = desk.queue
    if desk.returned:
        return True
    low = _skip(desk) if (queue.gone or queue.deferred or queue.low > desk.cursor) else desk.cursor
    return low < queue.next_seq


def unsettled_below(desk: Desk) -> IntervalSet:
    """What a purge has to spare: all that is leased or on its way through the log."""
    spare = IntervalSet()
    for marks in (desk.leases.leased, desk.leases.frozen, desk.leases.acking):
        for low, high in marks:
            spare.add(low, high)
    return spare
