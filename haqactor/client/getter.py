"""Messages asked for one by one: ``queue.get()`` and ``queue.poll()``.

One rule: as many messages are asked for as tasks wait; one that comes when nobody waits any more goes back
uncharged.
"""

from collections import deque
from typing import Any, Final

import trio

from haqactor import wire
from haqactor.client.consumer import Consumer
from haqactor.client.lane import TRANSIENT
from haqactor.client.link import Link
from haqactor.client.message import Message
from haqactor.client.outcome import Outcome
from haqactor.client.session import Session
from haqactor.client.waiting import result
from haqactor.errors import Error, ProtocolError, from_wire

CREDIT_BYTES: Final = 4 * 1024 * 1024


class _Poll:
    """The answer to one Poll."""

    __slots__ = ("_getter", "link", "since_ns")

    def __init__(self, getter: "Getter") -> None:
        self._getter = getter
        self.link: Link | None = None
        self.since_ns: int | None = None

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        if link is self.link:
            self._getter.polled(self, bool(result))

    def failed(self, link: Link, answer: wire.Failed) -> None:
        subscription = self._getter.subscription
        if link is not self.link:
            return
        if answer.code in TRANSIENT:
            subscription.poll(self)
            subscription.gone(link, answer.code, answer.message)
        else:
            self.ended(from_wire(answer.code, answer.message, answer.fields))

    def lost(self, link: Link) -> None:
        """The way changes; it is sent again there."""

    def ended(self, error: Error) -> None:
        self._getter.poll_ended(self, error)


class Getter(Consumer):
    """A consumer without standing credit, for ``get`` or for ``poll``. Who began to wait first gets the first
    message."""

    def __init__(self, session: Session, queue: str, group: int, uid: int, *, polling: bool) -> None:
        self._waiters: deque[Outcome[Message | None]] = deque()
        self._polling = polling
        self._promised = 0  #: messages that polls were answered with, less those that came
        self._came = 0
        super().__init__(session, queue, group, uid, (0, CREDIT_BYTES))

    def arrived(self) -> None:
        """Hand out what came; give back what nobody waits for."""
        subscription = self.subscription
        if subscription.error is not None:
            for waiter in self._waiters:
                waiter.fail(subscription.error)
            self._waiters.clear()
            return
        delivered = subscription.counts.delivered
        self._promised -= delivered - self._came
        self._came = delivered
        now_ns = self.session.now_ns()
        while self._waiters:
            taken = subscription.take(now_ns)
            if taken is None:  # where one ran out on its way, somebody waits for another
                self._ask()
                return
            waiter = self._waiters.popleft()
            self._leave()
            try:
                message = self.message(*taken)
            except ProtocolError as error:
                waiter.fail(error)
            else:
                waiter.resolve(message)
        subscription.release_buffer()

    @property
    def _unprovided(self) -> int:
        """Tasks that poll, and for which none can be on its way."""
        return len(self._waiters) - len(self.subscription.demand.polls) - max(0, self._promised)

    def _ask(self) -> None:
        """For whoever waits, and nothing is on its way."""
        if not self._polling:
            self.subscription.want(0)
            return
        for _ in range(self._unprovided):
            self.subscription.poll(_Poll(self))

    def _leave(self) -> None:
        """One fewer waits."""
        if not self._polling:
            self.subscription.want(-1)

    def subscribed(self) -> None:
        """At a new leader every waiting poll is asked again."""
        self._promised = 0
        self.subscription.demand.shorten(len(self._waiters))
        self._ask()

    async def take(self) -> Message | None:
        """A message; None (only when polling): nothing is ready."""
        self.check_open()
        waiter: Outcome[Message | None] = Outcome()
        self._waiters.append(waiter)
        if self._polling:
            self.subscription.poll(_Poll(self))
        else:
            self.subscription.want(1)
        try:
            return await result(waiter)
        except trio.Cancelled:
            message = waiter.get() if waiter.done and waiter.error is None else None
            if message is not None:
                message.give_back()
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                self._leave()
                self.subscription.demand.shorten(len(self._waiters))

    def polled(self, poll: _Poll, ready: bool) -> None:
        """True: a message precedes or follows. False: a task for which none can be on its way gets
        nothing."""
        self.subscription.demand.polls.pop(poll, None)
        self._promised += ready
        if ready:
            self._ask()
        elif self._unprovided > 0:
            self._waiters.pop().resolve(None)

    def poll_ended(self, poll: _Poll, error: Error) -> None:
        """It cannot be answered."""
        self.subscription.demand.polls.pop(poll, None)
        if self._waiters:
            self._waiters.pop().fail(error)
