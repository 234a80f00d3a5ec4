"""Which message goes to whom next.

One rule: messages leave in the order of their sequences, returned ones first, each chunk to the next consumer
in turn that takes it; a chunk that nobody takes now holds up what is behind it.

A chunk is what is ready of one stored batch; a turn is a few of them. A suspect is a turn of its own, and its
consumer gets nothing else while it holds it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from haqactor.machine.actions import Deliver, Part
from haqactor.machine.batches import Located
from haqactor.machine.commands import Range
from haqactor.machine.credit import Consumer
from haqactor.machine.desk import Desk
from haqactor.machine.intervals import IntervalSet
from haqactor.machine.leases import Key, Lease
from haqactor.machine.room import Room

DELIVER_BYTES: Final = 1024 * 1024
DELIVER_PARTS: Final = 512
TURNS_MAX: Final = 256
_QUANTUM: Final = 32


class Window(NamedTuple):
    """Neighbouring messages that are ready. ``fresh``: from the cursor. ``suspect``: one message, to be
    delivered alone."""

    low: int
    high: int
    fresh: bool
    suspect: bool


class _Outgoing:
    """A Deliver in the making."""

    __slots__ = ("bytes", "lease", "parts")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.parts: list[Part] = []
        self.bytes = 0


class Picker:
    """Fills the credit of a queue's consumers, once. ``begin_lease`` makes a lease record for a consumer."""

    __slots__ = ("_begin_lease", "_desk", "_lease_ns", "_open", "_ready", "_room", "_turns", "more")

    def __init__(self, desk: Desk, begin_lease: Callable[[Consumer], Lease], room: Room) -> None:
        self._desk = desk
        self._room = room
        self._begin_lease = begin_lease
        self._lease_ns: int = desk.queue.settings["lease_ns"]
        self._open: dict[Key, _Outgoing] = {}
        self._ready: list[Deliver] = []
        self._turns: list[Consumer] = []
        self.more = False  #: stopped by a bound of one call, or of one turn, having given something

    def run(self) -> list[Deliver]:
        """The deliveries, each consumer's in order."""
        desk = self._desk
        self._turns = [
            consumer
            for consumer in desk.consumers.values()
            if may_lease(desk, consumer) and self.has_room(consumer)
        ]
        turns = 0
        while self._turns and (window := next_window(desk)) is not None and self._place(window):
            turns += 1
            if turns >= TURNS_MAX or desk.probe.buggify("dispatcher.one_turn"):
                self.more = True
                break
        for key in list(self._open):
            self._close(key)
        return self._ready

    def has_room(self, consumer: Consumer) -> bool:
        """May its connection be given more now? If only the turn's share is used up, ``more`` is set."""
        session = consumer.key[0]
        if self._room.had_enough(session):
            self.more = True
            return False
        return self._room.takes(session)

    def one(self, consumer: Consumer) -> Deliver | None:
        """The first message that is ready, for a consumer that asked for one, whatever its credit."""
        window = next_window(self._desk)
        if window is None or (consumer.leases and (window.suspect or is_alone(consumer))):
            return None
        messages, size = consumer.credit_messages, consumer.credit_bytes
        consumer.credit_messages, consumer.credit_bytes = 1, DELIVER_BYTES * 1024
        given = self._fill(consumer, window._replace(high=window.low), 1)
        consumer.credit_messages, consumer.credit_bytes = messages, size
        if not given:
            return None
        if consumer.key in self._open:  # else so large that it was closed as it was filled
            self._close(consumer.key)
        return self._ready.pop()

    def _place(self, window: Window) -> bool:
        """Give what is next to the next in turn that takes it."""
        desk = self._desk
        share = (window.high - window.low + 1) // (4 * len(self._turns))
        quantum = max(1, min(_QUANTUM, share)) if len(self._turns) > 1 else DELIVER_PARTS
        for turn, consumer in enumerate(self._turns):
            if window.suspect and consumer.leases:
                continue
            if self._room.had_enough(consumer.key[0]):
                self.more = True
                continue
            if self._fill(consumer, window, quantum):
                del self._turns[turn]
                if not window.suspect and consumer.credit_messages > 0 and self.has_room(consumer):
                    self._turns.append(consumer)
                desk.consumers[consumer.key] = desk.consumers.pop(consumer.key)
                return True
        return False

    def _fill(self, consumer: Consumer, window: Window, quantum: int) -> bool:
        """Lease chunks from the window's start to a consumer, until it or ``quantum`` messages are full.
        False: it takes none."""
        desk = self._desk
        batches = desk.queue.batches
        reserve = desk.queue.reserve
        outgoing: _Outgoing | None = self._open.get(consumer.key)
        low, given = window.low, 0
        for position in range(batches.find(low), len(batches.first)):
            first = batches.first[position]
            if low > window.high or given >= quantum or first > low:
                break
            high = first + batches.count[position] - 1
            high = min(high, window.high)
            if high >= reserve:
                break
            count, total = high - low + 1, batches.total[position]
            size = batches.size[position]
            if count != total:
                size = -(-size * count // total)
            if consumer.credit_messages < count or consumer.credit_bytes < size:
                taken = consumer.fits(count, size)
                if not taken:
                    break
                size = -(-size * taken // count)
                count = taken
            if outgoing is None:
                outgoing = self._open[consumer.key] = _Outgoing(self._begin_lease(consumer))
            consumer.credit_messages -= count
            consumer.credit_bytes -= size
            outgoing.bytes += size
            self._room.give(consumer.key[0], size)
            outgoing.parts.append(self._part(position, low, low + count - 1, outgoing.lease.id))
            low += count
            given += count
            if outgoing.bytes >= DELIVER_BYTES or len(outgoing.parts) >= DELIVER_PARTS:
                break
        if outgoing is None or not given:
            return False
        self._lease(outgoing, window, low - 1)
        if outgoing.bytes >= DELIVER_BYTES or len(outgoing.parts) >= DELIVER_PARTS:
            self._close(consumer.key)
        return True

    def _lease(self, outgoing: _Outgoing, window: Window, high: int) -> None:
        desk = self._desk
        desk.leases.hold(outgoing.lease, window.low, high)
        outgoing.lease.alone = window.suspect
        if window.fresh:
            desk.cursor = high + 1
        else:
            desk.returned.discard(window.low, high)

    def _part(self, position: int, low: int, high: int, lease_id: tuple[int, int]) -> Part:
        batches = self._desk.queue.batches
        count = high - low + 1
        skip = batches.skip[position] + low - batches.first[position]
        base = low - skip
        rows = None
        if base < 0 or count * 2 < batches.total[position]:
            rows, base = tuple(range(skip, skip + count)), -1
        term, counter = lease_id
        return Part(
            term,
            counter,
            base,
            ((low, high),),
            self._desk.queue.failures_of(low, high),
            batches.enqueued[position],
            batches.entry[position],
            batches.at[position],
            batches.size[position],
            rows,
        )

    def _close(self, key: Key) -> None:
        outgoing = self._open.pop(key)
        self._ready.append(Deliver(*key, self._desk.uid, self._lease_ns, outgoing.parts))


def is_alone(consumer: Consumer) -> bool:
    """Does it hold a suspect?"""
    return any(lease.alone for lease in consumer.leases.values())


def may_lease(desk: Desk, consumer: Consumer) -> bool:
    """Is it connected, named in the log, with credit, and not alone with a suspect?"""
    if not consumer.connected or consumer.credit_messages <= 0 or consumer.key not in desk.queue.holders:
        return False
    return not desk.queue.suspects.total or not is_alone(consumer)


def may_poll(desk: Desk, consumer: Consumer) -> bool:
    """Is it connected, and named in the log?"""
    return consumer.connected and consumer.key in desk.queue.holders


def next_window(desk: Desk) -> Window | None:
    """The first messages that may be leased, if there are some below the reserve mark."""
    queue = desk.queue
    back = desk.returned.next_present(0)
    if back is not None and desk.cursor < queue.next_seq and desk.probe.bug("machine.redelivered_last"):
        back = None
    if back is None:
        low = desk.cursor
        if queue.gone.total or queue.deferred.total or queue.low > low:
            low = skip_settled(desk)
        if low >= queue.next_seq or low >= queue.reserve:
            return None
        high = queue.next_seq - 1
        for marks in (queue.gone, queue.deferred, queue.parked):
            if marks.total:
                stop = marks.next_present(low)
                if stop is not None:
                    high = min(high, stop[0] - 1)
    else:
        low, high = back
    if queue.suspects.total:
        mark = queue.suspects.next_present(low)
        if mark is not None and mark[0] == low:
            return Window(low, low, back is None, True)
        if mark is not None:
            high = min(high, mark[0] - 1)
    return Window(low, high, back is None, False)


def skip_settled(desk: Desk) -> int:
    """Move the cursor over what was purged, or waits, before it was ever delivered."""
    queue = desk.queue
    low = max(desk.cursor, queue.low)
    while True:
        after = queue.gone.next_missing(low)
        if queue.deferred.total:
            after = queue.deferred.next_missing(after)
        if queue.parked.total:
            after = queue.parked.next_missing(after)
        if after == low:
            break
        low = after
    desk.cursor = low
    return low


def peek_part(row: Located, failures: tuple[Range, ...]) -> Part:
    """A part without a lease, for ``wire.Peek``."""
    count = row.last - row.first + 1
    base = row.first - row.skip
    rows = None
    if base < 0 or count * 2 < row.total:
        rows, base = tuple(range(row.skip, row.skip + count)), -1
    ranges = ((row.first, row.last),)
    place = (row.entry_index, row.body_at, row.body_bytes)
    return Part(0, 0, base, ranges, failures, row.enqueued_ns, *place, rows)


def anything_ready(desk: Desk) -> bool:
    """Is a message ready that only the reserve mark, or a rule, holds back?"""
    queue = desk.queue
    if desk.returned:
        return True
    low = skip_settled(desk) if (queue.gone or queue.deferred or queue.low > desk.cursor) else desk.cursor
    return low < queue.next_seq


def busy(desk: Desk) -> IntervalSet:
    """What a purge has to spare: all that is leased or on its way through the log."""
    spare = IntervalSet()
    for marks in (desk.leases.leased, desk.leases.frozen, desk.leases.acking):
        for low, high in marks:
            spare.add(low, high)
    return spare
