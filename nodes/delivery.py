"""Deliveries of one group on their way from the dispatcher's choice to the consumers' connections.

One rule: a delivery leaves only once a round of this term, sent after it was chosen, has a quorum (a deposed
leader delivers nothing); and what goes to one consumer keeps its order, though one batch may have to come
from the disk and the next is in memory."""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from haqactor import batch, wire
from haqactor.entry import Entry
from haqactor.errors import NotFound, ProtocolError
from haqactor.ids import Index
from haqactor.machine.actions import Deliver, Part
from haqactor.nodes.pressure import Pressure

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor
    from haqactor.nodes.sessions import ClientSession

_READ_BYTES: Final = 256 * 1024
_READ_ENTRIES: Final = 512
_READ_GAP: Final = 8
_HOT_SHARE: Final = 16
"""A batch is copied where it is less than this part of an entry that memory holds in any case, for now: then
it costs little."""
_COLD_SHARE: Final = 2
"""And of one that was read for it, or that it may be kept longer than."""


class _Parcel:
    """One Deliver; ``blobs`` is None until all its batches are at hand, or one of them is ``gone``."""

    __slots__ = ("blobs", "deliver", "gone", "round", "session")

    def __init__(self, deliver: Deliver, covering_round: int, session: "ClientSession") -> None:
        self.deliver = deliver
        self.round = covering_round
        self.session = session
        self.blobs: list[bytes | memoryview] | None = None
        self.gone = False


class Delivery:
    """Parcels of one term; dropped with it."""

    def __init__(self, actor: "GroupActor", pressure: Pressure) -> None:
        self._actor = actor
        self._pressure = pressure
        self._sessions = pressure.sessions
        self._fresh: list[Deliver] = []
        self._uncovered: deque[_Parcel] = deque()
        self._lanes: dict[tuple[bytes, int], deque[_Parcel]] = {}
        self.closed = False
        self._uncovered_leaves = actor.context.env.probe.bug("nodes.delivery_uncovered")

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return not (self._fresh or self._uncovered or self._lanes)

    def add(self, deliver: Deliver) -> None:
        """The dispatcher chose."""
        self._fresh.append(deliver)
        self._pressure.chose(deliver)

    def seal(self, now: int) -> None:
        """End of the turn's choices: ask for one covering round for all of them."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        covering = self._actor.core.cover(now)
        for deliver in fresh:
            session = self._sessions.get(deliver.session)
            if session is None:
                self._pressure.dropped(deliver)
                continue
            parcel = _Parcel(deliver, covering, session)
            self._uncovered.append(parcel)
            self._pack(parcel)

    def release(self) -> None:
        """Send what is covered."""
        covered = self._actor.core.covered
        queue = self._uncovered
        while queue and (queue[0].round <= covered or self._uncovered_leaves):
            parcel = queue.popleft()
            key = (parcel.deliver.session, parcel.deliver.consumer)
            lane = self._lanes.get(key)
            if lane is None:
                if parcel.blobs is not None:
                    self._send(parcel)
                    continue
                lane = self._lanes[key] = deque()
            lane.append(parcel)
            self._drain(key, lane)
        self._pressure.look()

    def forget(self, session: bytes, consumer: int) -> None:
        """The consumer subscribes anew and names what it holds: what it has not been sent yet went back with
        that."""
        key = (session, consumer)

        def stays(deliver: Deliver) -> bool:
            if (deliver.session, deliver.consumer) != key:
                return True
            self._pressure.dropped(deliver)
            return False

        self._fresh = [deliver for deliver in self._fresh if stays(deliver)]
        self._uncovered = deque(parcel for parcel in self._uncovered if stays(parcel.deliver))
        for parcel in self._lanes.pop(key, ()):
            self._pressure.dropped(parcel.deliver)

    def close(self) -> None:
        """The term ended: nothing of it may leave any more."""
        self.closed = True
        self._uncovered.clear()
        self._lanes.clear()
        self._fresh.clear()
        self._pressure.close()

    def _drain(self, key: tuple[bytes, int], lane: "deque[_Parcel]") -> None:
        while lane and lane[0].blobs is not None:
            self._send(lane.popleft())
        if not lane:
            self._lanes.pop(key, None)

    def _send(self, parcel: _Parcel) -> None:
        deliver, blobs = parcel.deliver, parcel.blobs
        self._pressure.dropped(deliver)
        if self.closed or parcel.gone or blobs is None:
            return
        if self._sessions.get(deliver.session) is not parcel.session:
            return
        rows: list[list[Any]] = [
            [part.term, part.counter, part.base, part.ranges, part.attempts, part.enqueued_ns, len(blob)]
            for part, blob in zip(deliver.parts, blobs, strict=True)
        ]
        parcel.session.send(
            wire.Deliver(self._actor.group, deliver.consumer, deliver.uid, deliver.lease_ns, rows), *blobs
        )

    def _pack(self, parcel: _Parcel) -> None:
        blobs: list[bytes | memoryview] = []
        tail, group = self._actor.context.tail, self._actor.group
        for part in parcel.deliver.parts:
            entry = tail.get(group, Index(part.entry_index)) if part.rows is None else None
            if entry is None:
                nursery = self._actor.applier.nursery
                if nursery is not None:
                    nursery.start_soon(self._load, parcel)
                return
            blobs.append(cut(entry, part))
        parcel.blobs = blobs

    async def _load(self, parcel: _Parcel) -> None:
        try:
            entries = await read_ahead(self._actor, parcel.deliver.parts)
            parcel.blobs = [await load(self._actor, part, entries) for part in parcel.deliver.parts]
        except NotFound:
            self._actor.context.count("deliveries_gone")
            parcel.blobs, parcel.gone = [], True
        key = (parcel.deliver.session, parcel.deliver.consumer)
        lane = self._lanes.get(key)
        if lane is not None:
            self._drain(key, lane)
        self._pressure.look()


def cut(entry: Entry, part: Part, share: int = _HOT_SHARE) -> bytes | memoryview:
    """The batch of a part within its entry, which it holds; a copy where it is less than one ``share``-th of
    that."""
    data = entry.body[part.body_at : part.body_at + part.body_bytes]
    return bytes(data) if part.body_bytes * share < entry.size else data


Ahead: TypeAlias = dict[tuple[int, int], bytes | memoryview]
"""Batches that were read ahead, by entry and place in it."""


async def read_ahead(actor: "GroupActor", parts: Sequence[Part]) -> Ahead:
    """The batches of many parts that memory no longer has, in few reads, between which others get their turn:
    ten thousand small batches read one by one would hold the loop for seconds. Of an entry nothing else is
    kept: of a quiet queue's many messages each may lie in another one of a MiB."""
    context, group = actor.context, actor.group
    tail = context.tail
    wanted: dict[int, list[Part]] = {}
    for part in parts:
        if part.entry_index in wanted:
            wanted[part.entry_index].append(part)
        elif tail.get(group, Index(part.entry_index)) is None:
            wanted[part.entry_index] = [part]
    indexes = sorted(wanted)
    found: Ahead = {}
    at = 0
    while at < len(indexes):
        first = last = indexes[at]
        for index in indexes[at + 1 : at + _READ_ENTRIES]:
            if index > last + _READ_GAP:
                break
            last = index
        entries = await context.journal.read(group, Index(first), Index(last), _READ_BYTES)
        for entry in entries:
            for part in wanted.get(entry.index, ()):
                found[entry.index, part.body_at] = cut(entry, part, _COLD_SHARE)
        context.env.probe.mark("nodes.cold_delivery_ahead")
        context.count("cold_delivery_reads")
        top = entries[-1].index if entries else last
        while at < len(indexes) and indexes[at] <= top:
            at += 1
        await trio.lowlevel.checkpoint()
    return found


_NONE_AHEAD: Final[Ahead] = {}


async def load(actor: "GroupActor", part: Part, ahead: Ahead = _NONE_AHEAD) -> bytes | memoryview:
    """A part's batch, from memory (or what was read ahead) or disk, sliced off the loop where only some rows
    are wanted. Raises NotFound."""
    context = actor.context
    index = Index(part.entry_index)
    data = ahead.get((index, part.body_at))
    if data is None:
        entry = context.tail.get(actor.group, index)
        data = None if entry is None else cut(entry, part, _COLD_SHARE)
    if data is None or context.env.probe.buggify("nodes.deliver_from_disk"):
        context.env.probe.mark("nodes.cold_delivery")
        context.count("cold_delivery_reads")
        found = await context.journal.read(actor.group, index, index, 1)
        if not found:  # settled by somebody else and compacted while we were about to read
            raise NotFound(f"entry {index} of group {actor.group} is gone")
        data = cut(found[0], part, _COLD_SHARE)
    rows = part.rows
    if rows is None:
        return data
    context.count("sliced_batches")
    whole = bytes(data)
    size = len(whole)
    try:
        return await context.env.offload.run(
            lambda: batch.select(whole, rows, batch.UNPACKED_BYTES_MAX), cost_bytes=size
        )
    except ProtocolError:  # its producer packed nonsense: as it is, for whoever gets it to reject
        context.count("batches_unreadable")
        return data
