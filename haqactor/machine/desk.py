"""One queue as the leader serves it: what is ready, what is leased, who consumes.

One rule: the cursor moves by deliveries and by nothing else. Below it, what is ready again stands in
``returned`` in its order; from it on, everything that stands in the machine's queue has not been delivered in
this term.
"""

from collections.abc import Iterable

from haqactor.env import Probe
from haqactor.machine import commands
from haqactor.machine.actions import LeaseLost
from haqactor.machine.commands import Cause, Command, Range
from haqactor.machine.credit import Consumer
from haqactor.machine.intervals import IntervalSet, merged, minus
from haqactor.machine.leases import Expiry, Key, Lease, LeaseTable
from haqactor.machine.opening import Opening
from haqactor.machine.queue import Queue
from haqactor.machine.receipts import Receipts


class Desk:
    """``consumers`` in the order of their turns."""

    __slots__ = (
        "consumers",
        "cursor",
        "leases",
        "opening",
        "probe",
        "purges",
        "queue",
        "receipts",
        "reserving",
        "returned",
        "uid",
    )

    def __init__(
        self, queue: Queue, opening: Opening, expiry: Expiry, receipts: Receipts, probe: Probe
    ) -> None:
        self.probe = probe
        self.uid = queue.uid
        self.queue = queue
        self.opening = opening
        self.leases = LeaseTable(expiry)
        self.receipts = receipts
        self.consumers: dict[Key, Consumer] = {}
        self.cursor = max(queue.low, min(queue.reserve, queue.next_seq))
        self.returned = IntervalSet()
        self.reserving = False  #: a raise of the reserve mark is on its way
        self.purges = 0  #: purges on their way: nothing is leased meanwhile
        if opening.open:
            self.put_back(queue.standing(queue.low, self.cursor - 1))

    def put_back(self, ranges: Iterable[Range]) -> None:
        """These are ready (again)."""
        for low, high in ranges:
            if low < self.cursor:
                for piece in minus([(low, min(high, self.cursor - 1))], self.leases.acking):
                    self.returned.add(*piece)

    def release(self, lease: Lease, low: int, high: int) -> None:
        """A consumer does not hold ``low..high`` any more."""
        if self.leases.let_go(lease, low, high):
            consumer = self.consumers.get(lease.key)
            if consumer is not None:
                consumer.leases.pop(lease.serial, None)

    def give_back(self, consumer: Consumer, leases: list[Lease], cause: Cause) -> tuple[Command, LeaseLost]:
        """Take leases back through the log: the command that returns them, and the notice. Charged are
        messages that the consumer said it had started; suspects are those that it may have started, having
        died or let the lease expire without a word on it (a handler that hangs has no other voice)."""
        if cause is Cause.EXPIRED:
            self.probe.mark("dispatcher.lease_expired")
        elif cause is Cause.SESSION_LOST:
            self.probe.mark("dispatcher.session_given_up")
        plain: list[Range] = []
        charged: list[Range] = []
        suspects: list[Range] = []
        rows: list[list[int]] = []
        for lease in leases:
            silent = lease.id > consumer.reported
            for low, high in lease.held:
                rows.append([*lease.id, low, high])
                self.leases.frozen.add(low, high)
                if cause is Cause.UNSUBSCRIBED:
                    plain.append((low, high))
                    continue
                charged += consumer.started.within(low, high)
                (suspects if silent else plain).extend(consumer.started.missing(low, high))
                self.leases.leased.discard(low, high)
            self._forget(consumer, lease)
        if self.probe.bug("machine.returned_before_commit"):
            self.put_back([(row[2], row[3]) for row in rows])
        command = commands.return_(self.uid, cause, merged(plain), merged(charged), merged(suspects))
        return command, LeaseLost(consumer.key[0], consumer.key[1], self.uid, rows)

    def _forget(self, consumer: Consumer, lease: Lease) -> None:
        for low, high in lease.held:
            self.leases.leased.discard(low, high)
        lease.held = IntervalSet()
        self.leases.drop(lease)
        consumer.leases.pop(lease.serial, None)

    def unclaimed(self) -> list[Range]:
        """What existed below the reserve mark, stands, and is neither claimed nor being settled."""
        ranges = self.queue.standing(self.queue.low, self.cursor - 1)
        for taken in (self.leases.leased, self.leases.acking, self.leases.frozen):
            ranges = minus(ranges, taken)
        if ranges:
            self.probe.mark("dispatcher.unclaimed_at_opening")
        return ranges

    def leased_count(self) -> int:
        """Messages that are leased, or whose settlement is on its way."""
        return self.leases.leased.total + self.leases.frozen.total + self.leases.acking.total
