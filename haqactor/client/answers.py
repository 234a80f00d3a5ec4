"""What waits for the answers to a subscription's own requests.

One rule: an answer belongs to the sending that it answers; one to an older sending changes nothing.
"""

from typing import TYPE_CHECKING, Any

from haqactor import wire
from haqactor.client.link import Link
from haqactor.client.settling import Settlement

if TYPE_CHECKING:
    from haqactor.client.consuming import Subscription


class Judged:
    """The answer to one sending of a settlement. What it accepts is settled, whichever sending it is of; what
    it refuses is refused where it is the last one."""

    __slots__ = ("rid", "settlement", "subscription")

    def __init__(self, subscription: "Subscription", settlement: Settlement) -> None:
        self.subscription = subscription
        self.settlement = settlement
        self.rid = 0

    def _is_last(self, link: Link) -> bool:
        return self.settlement.link is link and self.settlement.rid == self.rid

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        """Judged, message by message."""
        self.subscription.judged(self.settlement, result, final=self._is_last(link))

    def failed(self, link: Link, answer: wire.Failed) -> None:
        """Not judged."""
        if self._is_last(link):
            self.subscription.settle_failed(self.settlement, link, answer)

    def lost(self, link: Link) -> None:
        """Again, at the next leader."""
        if self._is_last(link):
            self.settlement.sent = False
        if self.subscription.lane.probe.bug("client.lost_settlement_counts"):
            self.subscription.judged(self.settlement, [], final=True)


class Subscribed:
    """The answer to one Subscribe. ``attempt``: its number."""

    __slots__ = ("_attempt", "_subscription")

    def __init__(self, subscription: "Subscription", attempt: int) -> None:
        self._subscription = subscription
        self._attempt = attempt

    def replied(self, link: Link, result: Any, blob: bytes) -> None:
        """{lease_ns, lost}."""
        if self._counts(link):
            self._subscription.accepted(link, result)
        else:
            self._subscription.lane.probe.mark("client.subscribe_overtaken")

    def failed(self, link: Link, answer: wire.Failed) -> None:
        """Refused."""
        if self._counts(link):
            self._subscription.declined(link, answer)
        else:
            self._subscription.lane.probe.mark("client.subscribe_overtaken")

    def lost(self, link: Link) -> None:
        """Not answered."""
        if self._counts(link):
            self._subscription.unheard()

    def _counts(self, link: Link) -> bool:
        return self._subscription.awaits(link, self._attempt)
