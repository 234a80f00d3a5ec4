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
from haqactor.machine.leases import Lease
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
        for term, counter, low, high, started in rows:
            if started:
                self._consumer.started.add(low, high)
            if term <= self._term:
                self._consumer.reported = max(self._consumer.reported, (term, counter))
            self._weigh_one((term, counter), low, high)
        self.lost = merged(self.lost)
        return self.lost

    def _weigh_one(self, lease_id: tuple[int, int], low: int, high: int) -> None:
        rest: list[Range] = [(low, high)]
        for lease in held_by(self._desk, self._consumer.key, lease_id):
            for first, last in rest:
                for piece in lease.held.within(first, last):
                    self.kept.add(*piece)
            rest = minus(rest, lease.held)
            self._desk.leases.renew(lease, max(lease.expires_ns, self._expires_ns))
        queue = self._desk.queue
        end = self._desk.cursor - 1
        if high > end:
            self.lost.append((max(low, end + 1), high))
        for first, last in rest:
            standing = queue.standing(first, min(last, end))
            self._lose_what_waits(first, min(last, end), standing)
            for piece in minus(standing, self._desk.leases.acking):
                self._claim(lease_id, *piece)

    def _lose_what_waits(self, low: int, high: int, standing: list[Range]) -> None:
        """Deferred or parked messages went back; those that are gone were settled, which is no loss."""
        for first, last in minus(
            self._desk.queue.gone.missing(max(low, self._desk.queue.low), high), IntervalSet(standing)
        ):
            self.lost.append((first, last))

    def _claim(self, lease_id: tuple[int, int], low: int, high: int) -> None:
        desk = self._desk
        if not desk.opening.waiting or lease_id[0] >= self._term:
            self.lost.append((low, high))
            return
        free = minus([(low, high)], desk.leases.frozen)
        self.lost += desk.leases.frozen.within(low, high)
        for first, last in desk.leases.leased.within(low, high):
            for sequence in range(first, last + 1):
                if self._wins(lease_id, sequence):
                    free.append((sequence, sequence))
                else:
                    self.lost.append((sequence, sequence))
        free = minus(merged(free), desk.leases.leased)
        if not free:
            return
        lease = Lease(lease_id, desk.uid, self._consumer.key, self._next_serial(), self._expires_ns)
        for piece in free:
            desk.leases.hold(lease, *piece)
            self.kept.add(*piece)
        desk.leases.add(lease)
        self._consumer.leases[lease.serial] = lease

    def _wins(self, lease_id: tuple[int, int], sequence: int) -> bool:
        """Take a message from a lower claim, which is told."""
        other = self._desk.leases.owner(sequence)
        if other is None or other.id >= lease_id:
            return False
        self._desk.release(other, sequence, sequence)
        rows = [[*other.id, sequence, sequence]]
        self.notices.append(LeaseLost(*other.key, self._desk.uid, rows))
        return True
