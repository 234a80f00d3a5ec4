"""What the three kinds of consumer share: a subscription, waiting for it, and leaving it.

One rule: leaving waits for the verdict on everything that was settled; what was not handed out goes back
uncharged. The leader is told that the consumer is gone even where nobody can wait for that any more.
"""

from collections import deque
from copy import copy
from datetime import datetime

import trio

from haqactor.batch import UNPACKED_BYTES_MAX
from haqactor.client.consuming import Subscription
from haqactor.client.errors import Closed
from haqactor.client.lane import Request
from haqactor.client.message import Message, message_id_of, reason_of, wall_time
from haqactor.client.part import Part
from haqactor.client.session import NS, Session
from haqactor.client.waiting import result
from haqactor.errors import Error, LeaseLost, NotFound, ProtocolError


class Consumer:
    """One subscription of a session to a queue."""

    def __init__(self, session: Session, queue: str, group: int, uid: int, credit: tuple[int, int]) -> None:
        self.session = session
        self.queue = queue
        self.uid = uid
        self.lease_lost: deque[LeaseLost] = deque()
        self.raise_lease_lost = False
        self.waiting = trio.lowlevel.ParkingLot()
        self.closed = False
        self._unsubscribed: Request | None = None
        self.subscription: Subscription = session.core.subscribe(group, uid, credit)
        self.subscription.listener = self
        self.holders = self.subscription.renewals.holders
        self.monotonic_ns = session.environment.clock.monotonic_ns

    async def start(self) -> None:
        """Until a leader knows of it. Raises NotFound, NoQuorum."""
        await result(self.subscription.started)

    def wall_at(self, time_ns: int) -> datetime:
        """A monotonic time as this host's wall time."""
        clock = self.session.environment.clock
        return wall_time(clock.wall_ns() + time_ns - clock.monotonic_ns())

    def check_open(self) -> None:
        """Raises Closed, or what ended the consumer."""
        self.session.check_open()
        if self.closed:
            raise self._gone()
        if self.subscription.error is not None:
            raise copy(self.subscription.error)

    def check_receives(self) -> None:
        """The same, and raises Closed once it is being left, since no more comes then."""
        self.check_open()
        if self.subscription.closing:
            raise self._gone()

    def _gone(self) -> Closed:
        return Closed(f"this consumer of {self.queue!r} was closed: its block was left")

    # -- what the core tells

    def arrived(self) -> None:
        """Wake as many tasks as there may be messages."""
        subscription = self.subscription
        if subscription.error is not None or self.closed:
            self.waiting.unpark_all()
        elif self.waiting:
            self.waiting.unpark(count=max(1, sum(part.count - part.taken for part in subscription.buffer)))

    def subscribed(self) -> None:
        """A leader knows of it (again)."""

    def refused(self, rows: list[tuple[Part, int]]) -> None:
        """Acknowledgements of clean exits came too late: count them, log them, and raise them if that is
        wanted."""
        names = [self._name(part, row) for part, row in rows]
        self.session.log.warning(
            "acknowledgements refused: leases lost", queue=self.queue, count=len(rows), ids=names[:10]
        )
        if self.raise_lease_lost:
            for name in names:
                self.lease_lost.append(
                    LeaseLost(f"the lease on message {name} was lost; it will come again", message_id=name)
                )
            self.waiting.unpark_all()

    def stalled(self, silent_ns: int, ready: int) -> None:
        """A leader that has messages sent none: it is asked anew."""
        self.session.log.warning(
            "consumer stalled, subscribes anew",
            queue=self.queue,
            silent_s=round(silent_ns / NS, 3),
            ready=ready,
        )

    def _name(self, part: Part, row: int) -> str:
        try:
            return message_id_of(part.content(row, UNPACKED_BYTES_MAX).extras, self.uid, part.seq(row))
        except ProtocolError:
            return f"{self.uid}-{part.seq(row)}"

    def message(self, part: Part, row: int) -> Message:
        """The message of a row. Raises ProtocolError where the batch does not unpack: all of it is rejected
        then."""
        try:
            body = part.body(row, UNPACKED_BYTES_MAX)
        except ProtocolError as error:
            self.subscription.reject_part(part, reason_of(error))
            self.session.log.warning(
                "rejected a batch that does not unpack", queue=self.queue, first=part.first, error=str(error)
            )
            raise
        return Message(self, part, row, body)

    async def leave(self) -> None:
        """Take no more, wait for all verdicts, and tell the leader. Whoever is cancelled here goes on with
        ``leave_in_grace``. Raises NoQuorum where no leader answers."""
        if self.closed:
            await trio.lowlevel.checkpoint()
            return
        try:
            if self.subscription.error is None:
                await self._drain()
            if self.subscription.error is None:
                self._unsubscribe()
            if self._unsubscribed is not None:
                await result(self._unsubscribed.outcome)
        except trio.Cancelled:
            raise
        except (NotFound, Closed):
            self.close()  # nothing is held there any more
        except BaseException:
            self.close()
            raise
        else:
            self.close()

    async def leave_in_grace(self) -> None:
        """The same for whoever is cancelled or failed: within the grace, and without an error of its own."""
        if self.closed:
            return
        try:
            with trio.move_on_after(self.session.options.grace_ns / NS, shield=True):
                await self.leave()
        except Error as error:
            self.session.log.warning("consumer left without confirmation", queue=self.queue, error=str(error))
        finally:
            self.close()

    async def _drain(self) -> None:
        drained = self.subscription.drain()
        self.waiting.unpark_all()
        await result(drained)
        while self.subscription.error is None and self.subscription.settlements:  # a body ended since then
            await result(self.subscription.drain())

    def _unsubscribe(self) -> None:
        """Tell the leader: nothing is held from now on. The session sees to it that it is told."""
        self._unsubscribed = self.session.core.unsubscribe(self.subscription)
        self.subscription.end(self._gone())

    def close(self) -> None:
        """At once, waiting for nobody."""
        if not self.closed:
            self.closed = True
            if self.subscription.error is None:
                self._unsubscribe()
            self.waiting.unpark_all()

    def statistics_row(self) -> dict[str, int]:
        """This consumer's counters, for ``queue.statistics()``."""
        subscription, counts = self.subscription, self.subscription.counts
        acked, nacked, rejected, released = counts.settled
        return {
            "buffered": sum(part.count - part.taken for part in subscription.buffer),
            "unsettled": subscription.holdings.held,
            "tasks_waiting_receive": len(self.waiting),
            "delivered": counts.delivered,
            "received": counts.handed,
            "acked": acked,
            "nacked": nacked,
            "rejected": rejected,
            "released": released,
            "refused": counts.refused,
            "dropped": counts.dropped,
            "stalls": counts.stalls,
        }
