"""Who holds which messages of a queue, and which of them are on their way through the log.

One rule: a message is leased to one consumer at most, and not at all while a settlement or a return of it is
in the log (frozen).

A lease is (term, counter); the higher one wins. One lease covers all that was sent to a consumer in one go. A
renewal of a part of it splits the record, not the id.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from haqactor.machine.commands import Range
from haqactor.machine.intervals import IntervalSet

LeaseId = tuple[int, int]
Key = tuple[bytes, int]
"""A consumer: (session, number within it)."""
_SPARE: Final = 1024


class Lease:
    """A record of a lease, or of a part of one that was renewed by itself. ``alone``: it holds a suspect."""

    __slots__ = ("alone", "expires_ns", "held", "id", "key", "serial", "uid")

    def __init__(self, lease_id: LeaseId, uid: int, key: Key, serial: int, expires_ns: int) -> None:
        self.id = lease_id
        self.uid = uid
        self.key = key
        self.serial = serial
        self.expires_ns = expires_ns
        self.held = IntervalSet()
        self.alone = False


class Expiry:
    """When leases end, over all queues of a group; what was renewed or settled meanwhile is passed over, and
    cleared away once it is about as much as what is held: one lease that lasts must not keep all that ended
    behind it."""

    __slots__ = ("_clear_at", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Lease]] = []
        self._clear_at = _SPARE

    def __len__(self) -> int:
        """How many records are kept, those included that do not count any more."""
        return len(self._heap)

    def watch(self, lease: Lease, expires_ns: int) -> None:
        """It ends then, whatever was said before."""
        if len(self._heap) >= self._clear_at:
            self._clear()
        lease.expires_ns = expires_ns
        heappush(self._heap, (expires_ns, lease.serial, lease))

    def _clear(self) -> None:
        """Forget what does not count; each record is looked at for every few that are added. A lease that
        holds nothing has ended: a new one holds something before the next is watched."""
        live = {row[1]: row for row in self._heap if row[2].held.total and row[2].expires_ns == row[0]}
        self._heap = list(live.values())
        heapify(self._heap)
        self._clear_at = 2 * len(self._heap) + _SPARE

    def next_ns(self) -> int | None:
        """When the next lease ends."""
        while self._heap:
            expires_ns, _serial, lease = self._heap[0]
            if lease.held.total and lease.expires_ns == expires_ns:
                return expires_ns
            heappop(self._heap)
        return None

    def pop(self, now_ns: int) -> Lease | None:
        """A lease that has ended, if there is one."""
        expires_ns = self.next_ns()
        if expires_ns is None or expires_ns > now_ns:
            return None
        return heappop(self._heap)[2]


class LeaseTable:
    """The leases of one queue."""

    __slots__ = ("_expiry", "acking", "by_id", "frozen", "leased")

    def __init__(self, expiry: Expiry) -> None:
        self.by_id: dict[LeaseId, list[Lease]] = {}
        self.leased = IntervalSet()
        self.frozen = IntervalSet()  #: in a return, nack, reject or release that is not applied yet
        self.acking = IntervalSet()  #: in an acknowledgement that is not applied yet: as good as gone
        self._expiry = expiry

    def add(self, lease: Lease) -> None:
        """A new record; ``hold`` gives it messages."""
        self.by_id.setdefault(lease.id, []).append(lease)
        self._expiry.watch(lease, lease.expires_ns)

    def hold(self, lease: Lease, low: int, high: int) -> None:
        """``low..high`` is leased by it from now on."""
        lease.held.add(low, high)
        self.leased.add(low, high)

    def let_go(self, lease: Lease, low: int, high: int) -> bool:
        """``low..high`` is not leased by it any more. True if nothing is left of it: the record is gone."""
        lease.held.discard(low, high)
        self.leased.discard(low, high)
        if lease.held.total:
            return False
        self.drop(lease)
        return True

    def drop(self, lease: Lease) -> None:
        """Forget an empty record."""
        records = self.by_id.get(lease.id, [])
        if lease in records:
            records.remove(lease)
        if not records:
            self.by_id.pop(lease.id, None)

    def renew(self, lease: Lease, expires_ns: int) -> None:
        """It ends then, instead."""
        self._expiry.watch(lease, expires_ns)

    def split(self, lease: Lease, ranges: list[Range], serial: int) -> Lease:
        """A record of its own, under the same id, for a part of what the lease holds."""
        part = Lease(lease.id, lease.uid, lease.key, serial, lease.expires_ns)
        part.alone = lease.alone
        for low, high in ranges:
            lease.held.discard(low, high)
            part.held.add(low, high)
        self.by_id[lease.id].append(part)
        return part
