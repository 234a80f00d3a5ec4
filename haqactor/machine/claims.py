"""Re-assertion: a consumer that comes back says which leases it still holds.

One rule: of two claims to a message the higher lease id wins, and the other consumer is told. Older terms'
leases can be claimed only until the queue's opening begins.
"""

from collections.abc import Callable

from haqactor.machine.actions import LeaseLost
from haqactor.machine.commands import Range
from haqactor.machine.credit import Consumer
from haqactor.machine.desk import Desk
from haqactor.machine.intervals import IntervalSet, merged, minus
from haqactor.machine.judge import held_by
from haqactor.machine.leases import Lease, LeaseId
from haqactor.wire import Rows


class Claims:
    """The claims of one subscription, being weighed. ``kept``: what it holds; ``lost``: what it must not
    handle further."""

    __slots__ = ("_consumer", "_desk", "_expires_ns", "_next_serial", "_term", "kept", "lost", "notices")

    def __init__(
        self, desk: Desk, consumer: Consumer, term: int, expires_ns: int, next_serial: Callable[[], int]
    ) -> None:
        self._desk = desk
        self._consumer = consumer
        self._term = term
        self._expires_ns = expires_ns
        self._next_serial = next_serial
        self.kept = IntervalSet()
        self.lost: list[Range] = []
        self.notices: list[LeaseLost] = []

    def weigh(self, rows: Rows) -> list[Range]:
        """Rows ``[term, counter, first, last, started]``. Returns what is lost."""
        claimed: dict[LeaseId, IntervalSet] = {}
        for term, counter, low, high, started in rows:
            if started:
                self._consumer.started.add(low, high)
            claimed.setdefault((term, counter), IntervalSet()).add(low, high)
        for lease_id, ranges in claimed.items():
            if lease_id[0] <= self._term:
                self._consumer.reported = max(self._consumer.reported, lease_id)
            self._weigh_lease(lease_id, list(ranges))
        self.lost = merged(self.lost)
        if self.lost:
            self._desk.probe.mark("dispatcher.claim_lost")
        if self.kept:
            self._desk.probe.mark("dispatcher.claim_kept")
        return self.lost

    def _weigh_lease(self, lease_id: LeaseId, ranges: list[Range]) -> None:
        """All that is claimed under one lease: one record, however many ranges it comes in."""
        rest = ranges
        for lease in held_by(self._desk, self._consumer.key, lease_id):
            for first, last in rest:
                for piece in lease.held.within(first, last):
                    self.kept.add(*piece)
            rest = minus(rest, lease.held)
            self._desk.leases.renew(lease, max(lease.expires_ns, self._expires_ns))
        end = self._desk.cursor - 1
        open_claims: list[Range] = []
        for first, last in rest:
            if last > end:
                self.lost.append((max(first, end + 1), last))
            standing = self._desk.queue.standing(first, min(last, end))
            self._lose_what_waits(first, min(last, end), standing)
            open_claims += minus(standing, self._desk.leases.acking)
        if open_claims:
            self._claim(lease_id, open_claims)

    def _lose_what_waits(self, low: int, high: int, standing: list[Range]) -> None:
        """Deferred or parked messages went back; those that are gone were settled, which is no loss."""
        for first, last in minus(
            self._desk.queue.gone.missing(max(low, self._desk.queue.low), high), IntervalSet(standing)
        ):
            self.lost.append((first, last))

    def _claim(self, lease_id: LeaseId, ranges: list[Range]) -> None:
        desk = self._desk
        if not desk.opening.waiting or lease_id[0] >= self._term:
            self.lost += ranges
            return
        self._take_from_lower(lease_id, ranges)
        for low, high in ranges:
            self.lost += desk.leases.frozen.within(low, high)
            self.lost += desk.leases.leased.within(low, high)
        free = minus(minus(ranges, desk.leases.frozen), desk.leases.leased)
        if not free:
            return
        lease = Lease(lease_id, desk.uid, self._consumer.key, self._next_serial(), self._expires_ns)
        for piece in free:
            if not desk.probe.bug("machine.claim_stays_ready"):
                desk.returned.discard(*piece)  # its deferral may have ended while the queue was opening
            desk.leases.hold(lease, *piece)
            self.kept.add(*piece)
        desk.leases.add(lease)
        self._consumer.leases[lease.serial] = lease

    def _take_from_lower(self, lease_id: LeaseId, ranges: list[Range]) -> None:
        """Take the messages from lower claims, which are told."""
        leases = self._desk.leases
        if not any(leases.leased.overlaps(low, high) for low, high in ranges):
            return
        for other in [lease for records in leases.by_id.values() for lease in records]:
            taken = [piece for low, high in ranges for piece in other.held.within(low, high)]
            if not taken or other.id >= lease_id:
                continue
            self._desk.probe.mark("dispatcher.claim_overtaken")
            for piece in taken:
                self._desk.release(other, *piece)
            rows = [[*other.id, *piece] for piece in taken]
            self.notices.append(LeaseLost(*other.key, self._desk.uid, rows))
