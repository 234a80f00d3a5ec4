"""Renewing leases: of bodies that run, and of what waits in the buffer of a consumer that is alive.

One rule: a lease is renewed once a third of it is gone, from the time at which the renewal was sent; one that
ran out is lost.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from haqactor import wire
from haqactor.client.lane import TRANSIENT
from haqactor.client.link import Link
from haqactor.client.outcome import Outcome
from haqactor.client.part import BUFFERED, HANDED, Part, joined
from haqactor.client.settling import Refused
from haqactor.errors import Error, ProtocolError, from_wire

if TYPE_CHECKING:
    from haqactor.client.consuming import Subscription

TICKS_A_LEASE: Final = 12
ROWS_MAX: Final = 4096
"""Of one renewal, 37 bytes each; what is due beside them follows with the next."""
_REFUSED_MAX: Final = 1 << 20


class Scope(Protocol):
    """What ends a body; ``trio.CancelScope`` is one."""

    def cancel(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...


class Hold:
    """A message or batch whose body runs: rows ``first..last`` of ``part``. ``scope``: the body's,
    cancelled once a lease is lost."""

    __slots__ = ("deadline_ns", "first", "last", "lost", "part", "scope")

    def __init__(self, part: Part, first: int, last: int, deadline_ns: int, scope: Scope) -> None:
        self.part = part
        self.first = first
        self.last = last
        self.deadline_ns = deadline_ns
        self.scope = scope
        self.lost = False


class Extension:
    """One Extend: for holders and parts that it renews, or for a caller who waits. ``rest``: more was due."""

    __slots__ = (
        "_owner", "duration_ns", "holders", "link", "outcome", "parts", "rest", "rows", "sent_ns",
        "since_ns",
    )  # fmt: skip

    def __init__(self, owner: "Renewals", rows: wire.Rows, duration_ns: int) -> None:
        self._owner = owner
        self.rows = rows
        self.duration_ns = duration_ns
        self.holders: list[Hold] = []
        self.parts: list[Part] = []
        self.rest = False
        self.outcome: Outcome[Refused] = Outcome()
        self.link: Link | None = None
        self.sent_ns = 0
        self.since_ns: int | None = None

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        """Ranges refused."""
        if link is self.link:
            try:
                refused: Refused = {}
                for first, last in result:
                    if len(refused) > _REFUSED_MAX:
                        raise ProtocolError("the reply to Extend refuses more than was held")
                    refused.update(dict.fromkeys(range(first, min(last, first + 65_535) + 1)))
            except (TypeError, ValueError) as error:
                raise ProtocolError(f"the reply to Extend is {result!r:.80}") from error
            self._owner.renewed(self, refused)

    def failed(self, link: Link, answer: wire.Failed) -> None:
        """Renewals try again by themselves; a caller hears what the group says."""
        if link is self.link:
            self._owner.failed(self, link, answer)

    def lost(self, link: Link) -> None:
        """The way changes; see ``Renewals.detach``."""


class Renewals:
    """The renewals of one consumer. ``holders``: whose bodies run."""

    __slots__ = ("_subscription", "_waiting", "background", "holders")

    def __init__(self, subscription: "Subscription") -> None:
        self._subscription = subscription
        self._waiting: list[Extension] = []
        self.background: Extension | None = None
        self.holders: dict[Hold, None] = {}

    def lost(self, part: Part, row: int) -> None:
        """A lease of a body that runs is lost: the body ends."""
        for hold in list(self.holders):
            if hold.part is part and hold.first <= row <= hold.last:
                hold.lost = True
                hold.scope.cancel()

    def extend(self, part: Part, first: int, last: int, duration_ns: int) -> Extension:
        """A caller wants rows extended."""
        extension = Extension(self, part.spans(first, last), duration_ns)
        self._waiting.append(extension)
        self._subscription.lane.touch(self._subscription)
        return extension

    def tick(self, now_ns: int) -> int | None:
        """Renew what is due, give up what ran out; returns when to come again (None: nothing is held)."""
        subscription = self._subscription
        lease_ns = subscription.lease_ns
        if not lease_ns or not subscription.parts:
            return None
        for holder in list(self.holders):
            if holder.deadline_ns <= now_ns:
                for row in range(holder.first, holder.last + 1):
                    subscription.lose(holder.part, row)
        alive = now_ns - subscription.received_ns < lease_ns
        if not alive and subscription.buffer:
            subscription.pause()
        if subscription.link is not None and self.background is None:
            self._renew(now_ns, lease_ns)
        return now_ns + max(lease_ns // TICKS_A_LEASE, 5_000_000)

    def _renew(self, now_ns: int, lease_ns: int) -> None:
        subscription = self._subscription
        due_ns = now_ns + lease_ns * 2 // 3
        extension = Extension(self, [], lease_ns)
        for holder in self.holders:
            if holder.deadline_ns <= due_ns and len(extension.rows) < ROWS_MAX:
                extension.holders.append(holder)
                for first, last in holder.part.runs(HANDED):
                    if first <= holder.last and last >= holder.first:
                        rows = holder.part.spans(max(first, holder.first), min(last, holder.last))
                        extension.rows.extend(rows)
        for part in subscription.buffer:
            if now_ns < part.deadline_ns <= due_ns and len(extension.rows) < ROWS_MAX:
                extension.parts.append(part)
                for first, last in part.runs(BUFFERED):
                    extension.rows.extend(part.spans(first, last))
        extension.rest = len(extension.rows) >= ROWS_MAX
        extension.rows = joined(extension.rows)
        if extension.rows:
            self.background = extension
            subscription.lane.touch(subscription)

    def fill(self, link: Link) -> None:
        """Write what is not written yet."""
        subscription = self._subscription
        todo = self._waiting if self.background is None else [*self._waiting, self.background]
        for extension in todo:
            if extension.link is None:
                extension.link = link
                extension.sent_ns = subscription.now_ns()
                group, uid, consumer = subscription.lane.group, subscription.uid, subscription.consumer
                link.ask(
                    extension, wire.Extend(0, group, uid, consumer, extension.rows, extension.duration_ns)
                )

    def renewed(self, extension: Extension, refused: Refused) -> None:
        """The leader renewed all but the refused."""
        until_ns = extension.sent_ns + extension.duration_ns
        if extension is self.background:
            self.background = None
        elif extension in self._waiting:
            self._waiting.remove(extension)
        for part in extension.parts:
            part.deadline_ns = max(part.deadline_ns, until_ns)
        for holder in extension.holders:
            holder.deadline_ns = max(holder.deadline_ns, until_ns)
        if refused:
            self._refuse(extension, refused)
        self._subscription.lane.answered()
        extension.outcome.resolve(refused)
        if extension.rest and self.background is None:
            self._renew(self._subscription.now_ns(), self._subscription.lease_ns)

    def _refuse(self, extension: Extension, refused: Refused) -> None:
        for term, counter, first, last in extension.rows:
            lost = [[term, counter, seq, seq] for seq in refused if first <= seq <= last]
            self._subscription.lease_lost(lost)

    def failed(self, extension: Extension, link: Link, answer: wire.Failed) -> None:
        """Not renewed."""
        if extension is self.background:
            self.background = None
        elif answer.code not in TRANSIENT:
            self._waiting.remove(extension)
            extension.outcome.fail(from_wire(answer.code, answer.message, answer.fields))
        else:
            extension.link = None
        if answer.code in TRANSIENT:
            self._subscription.gone(link, answer.code, answer.message)

    def claimed(self, now_ns: int) -> None:
        """A leader knows of all that is held: the leases run anew."""
        until_ns = now_ns + self._subscription.lease_ns
        for part in self._subscription.parts:
            part.deadline_ns = max(part.deadline_ns, until_ns)
        for holder in self.holders:
            holder.deadline_ns = max(holder.deadline_ns, until_ns)

    def detach(self) -> None:
        """The way changed: a caller's extension goes again, the background's is made anew."""
        self.background = None
        for extension in self._waiting:
            extension.link = None

    def expire(self, now_ns: int, patience_ns: int, error: Error) -> None:
        """No leader: a caller who waited for long enough hears so."""
        for extension in list(self._waiting):
            extension.since_ns = self._subscription.lane.since(extension.since_ns, now_ns)
            if now_ns - extension.since_ns >= patience_ns:
                self._waiting.remove(extension)
                extension.outcome.fail(error)

    def end(self, error: Error) -> None:
        """The consumer is over."""
        for extension in self._waiting:
            extension.outcome.fail(error)
        self._waiting.clear()
