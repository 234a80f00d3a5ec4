"""The watchdog of a consumer that ought to hear something: it asks the leader whether anything is ready, and
lets the consumer subscribe anew where something is.

One rule: it speaks only after a silence, and waits twice as long after each time that it was of no use; a
delivery ends both. So a queue that has a reason not to deliver costs one request a minute, and an empty one
one request for each ``stall_ns``.

Nothing of this is needed while nodes do what they should: it is for the one that forgot a consumer.
"""

from typing import TYPE_CHECKING, Any, Final, cast

from haqactor import wire
from haqactor.client.link import Link

if TYPE_CHECKING:
    from haqactor.client.consuming import Subscription

_BACKOFF_MAX: Final = 6
"""The longest silence that is waited for, in first ones: a minute where the first is 10 s."""
_GONE: Final = ("not_leader", "not_found")


class Watchdog:
    """One subscription's. ``stall_ns``: the first silence that makes it ask; 0: it never does."""

    __slots__ = ("_asked_ns", "_asking", "_moved_ns", "_subscription", "_wait_ns", "stall_ns")

    def __init__(self, subscription: "Subscription", now_ns: int) -> None:
        self.stall_ns = 0
        self._subscription = subscription
        self._wait_ns = 0
        self._moved_ns = now_ns
        self._asking: _Asked | None = None
        self._asked_ns = now_ns

    def watch(self, stall_ns: int) -> None:
        """Begin with it."""
        self.stall_ns = self._wait_ns = stall_ns

    def heard(self, now_ns: int) -> None:
        """A delivery came: all is well."""
        self._wait_ns = self.stall_ns
        self.moved(now_ns)

    def moved(self, now_ns: int) -> None:
        """The consumer said something new, which the leader may take a while to answer with a delivery."""
        self._moved_ns = now_ns
        self._asking = None

    def tick(self, now_ns: int) -> None:
        """Time passed."""
        subscription = self._subscription
        if not self.stall_ns or now_ns - self._moved_ns < self._wait_ns:
            return
        link = subscription.link
        if link is None or not subscription.hungry:  # no way there, which others see to; or it wants nothing
            self.moved(now_ns)
        elif subscription.lane.probe.bug("client.stalls_unseen"):
            return
        elif self._asking is None:
            self._asking, self._asked_ns = _Asked(self), now_ns
            link.ask(self._asking, wire.Info(0, subscription.lane.group, subscription.uid))
        elif now_ns - self._asked_ns >= self._wait_ns:  # the connection lives, and this is not answered
            self._stalled(now_ns, -1)

    def answered(self, asked: "_Asked", link: Link, result: Any) -> None:
        """To Info: what the leader has for somebody who has heard nothing since."""
        if asked is not self._asking or link is not self._subscription.link:
            return
        now_ns = self._subscription.now_ns()
        ready = cast("dict[str, Any]", result).get("ready") if isinstance(result, dict) else None
        if not self._subscription.hungry or not (type(ready) is int and (ready > 0 or self._unanswered)):
            self.moved(now_ns)
        else:
            self._stalled(now_ns, ready)

    @property
    def _unanswered(self) -> bool:
        """Polls are answered also where nothing is ready."""
        return bool(self._subscription.demand.polls)

    def refused(self, asked: "_Asked", link: Link, answer: wire.Failed) -> None:
        """It leads no more, or has no such queue, and did not say so; or it cannot tell now."""
        if asked is not self._asking or link is not self._subscription.link:
            return
        self.moved(self._subscription.now_ns())
        if answer.code in _GONE:
            self._subscription.lane.probe.mark("client.stale_subscription")
            self._subscription.gone(link, answer.code, answer.message)

    def lost(self, asked: "_Asked") -> None:
        """The connection ended: the consumer subscribes anew in any case."""
        if asked is self._asking:
            self._asking = None

    def _stalled(self, now_ns: int, ready: int) -> None:
        subscription = self._subscription
        silent_ns = now_ns - self._moved_ns
        self._wait_ns = min(2 * self._wait_ns, _BACKOFF_MAX * self.stall_ns)
        self.moved(now_ns)
        subscription.counts.stalls += 1
        subscription.lane.probe.mark("client.stalled")
        subscription.listener.stalled(silent_ns, ready)
        subscription.subscribe_anew()


class _Asked:
    """The answer to one Info."""

    __slots__ = ("_watchdog",)

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        self._watchdog.answered(self, link, result)

    def failed(self, link: Link, answer: wire.Failed) -> None:
        self._watchdog.refused(self, link, answer)

    def lost(self, link: Link) -> None:
        self._watchdog.lost(self)
