"""Leaders go back to where they belong, so that a node which was away leads its share again.

One rule: leadership moves only when nothing is lost by it: to a voter that has been connected for a while, is
no suspect and holds the whole log, from a leader that has served for a while, and one group at a time. What
came to nothing is tried ever more seldom, for nothing is stored meanwhile.

A node that lost a leadership while it was here all the time has let it go for a reason: its disk was slow, as
a rule (``haqactor.nodes.slowness``). It waits longer, and from the last time on that its log stood still.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from haqactor.ids import Term
from haqactor.nodes.context import Context

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_NS: Final = 1_000_000_000
_EVERY_S: Final = 0.5
_CALM_NS: Final = 5_000_000_000
_WARY: Final = 30
"""Times ``disk_slow``: how long a disk that was slow has to be fast."""
_CALM_NS_MAX: Final = 300_000_000_000


@dataclass(slots=True)
class _Served:
    """How long a group has been led here in ``term`` without an attempt to give it back, and how long it has
    to be. ``match``: how far the preferred voter's log was when it last moved or had nothing to do, at
    ``moved_ns``; ``goal``: how far the leader's was then."""

    term: Term
    since_ns: int
    calm_ns: int = _CALM_NS
    match: int = -1
    goal: int = 0
    moved_ns: int = 0


class Balancer:
    """One node's; it looks at the groups that are led here."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._served: dict[int, _Served] = {}
        self._slow_ns = round(context.limits.disk_slow * _NS)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(_EVERY_S)
            for actor in self._context.groups.values():
                if actor.serving and self._context.env.probe.buggify("nodes.give_leadership_away"):
                    actor.mailbox.put_once(actor.hand_over)
                if self._should_move(actor):
                    self._tried(actor)
                    self._context.log.info(
                        "gives leadership back", group=actor.group, to=actor.core.preferred
                    )
                    self._context.env.probe.mark("nodes.balances")
                    self._context.count("balanced")
                    actor.mailbox.put_once(actor.give_back)
                    break

    def _should_move(self, actor: "GroupActor") -> bool:
        core, now = actor.core, self._context.now()
        if not actor.serving:
            self._served.pop(actor.group, None)
            return False
        preferred = core.preferred
        link = self._context.peers.get(preferred)
        served = self._served.get(actor.group)
        if served is None or served.term != core.term:
            served = self._served[actor.group] = _Served(core.term, now)
            if link is not None and link.connected and link.connected_ns < now:  # it was here, and let go
                served.calm_ns = max(served.calm_ns, _WARY * self._slow_ns)
            return False
        if (
            link is None
            or not link.connected
            or self._stands_still(actor, served, now)
            or now - link.connected_ns < _CALM_NS
            or now - served.since_ns < served.calm_ns
        ):
            return False
        place = next((peer for peer in core.statistics().peers if peer.node == preferred), None)
        return place is not None and not place.suspect and place.match == core.last_index

    def _stands_still(self, actor: "GroupActor", served: _Served, now: int) -> bool:
        """Has the preferred voter been at one write for too long? Then it has to be fast for a while."""
        core = actor.core
        place = next((peer for peer in core.statistics().peers if peer.node == core.preferred), None)
        if place is None:
            return False
        if place.match != served.match or place.match >= served.goal:
            served.match, served.goal, served.moved_ns = place.match, core.last_index, now
        if now - served.moved_ns <= self._slow_ns:
            return False
        served.since_ns = now
        served.calm_ns = max(served.calm_ns, _WARY * self._slow_ns)
        return True

    def _tried(self, actor: "GroupActor") -> None:
        served = self._served[actor.group]
        served.since_ns = self._context.now()
        served.calm_ns = min(2 * served.calm_ns, _CALM_NS_MAX)
