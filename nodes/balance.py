"""Leaders go back to where they belong, so that a node which was away leads its share again.

One rule: leadership moves only when nothing is lost by it: to a voter that has been connected for a while, is
no suspect and holds the whole log, from a leader that has served for a while, and one group at a time. What
came to nothing is tried ever more seldom, for nothing is stored meanwhile.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from haqactor.ids import Term
from haqactor.nodes.context import Context

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_EVERY_S: Final = 0.5
_CALM_NS: Final = 5_000_000_000
_CALM_NS_MAX: Final = 300_000_000_000


@dataclass(slots=True)
class _Served:
    """How long a group has been led here in ``term`` without an attempt to give it back, and how long it has
    to be."""

    term: Term
    since_ns: int
    calm_ns: int = _CALM_NS


class Balancer:
    """One node's; it looks at the groups that are led here."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._served: dict[int, _Served] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(_EVERY_S)
            for actor in self._context.groups.values():
                if actor.serving and self._context.env.probe.buggify("nodes.give_leadership_away"):
                    actor.mailbox.put(actor.hand_over)
                if self._should_move(actor):
                    self._tried(actor)
                    self._context.log.info(
                        "gives leadership back", group=actor.group, to=actor.core.preferred
                    )
                    self._context.env.probe.mark("nodes.balances")
                    self._context.count("balanced")
                    actor.mailbox.put(actor.give_back)
                    break

    def _should_move(self, actor: "GroupActor") -> bool:
        core, now = actor.core, self._context.now()
        if not actor.serving:
            self._served.pop(actor.group, None)
            return False
        served = self._served.setdefault(actor.group, _Served(core.term, now))
        if served.term != core.term:
            self._served[actor.group] = _Served(core.term, now)
            return False
        preferred = core.preferred
        link = self._context.peers.get(preferred)
        if (
            link is None
            or not link.connected
            or now - link.connected_ns < _CALM_NS
            or now - served.since_ns < served.calm_ns
        ):
            return False
        place = next((peer for peer in core.statistics().peers if peer.node == preferred), None)
        return place is not None and not place.suspect and place.match == core.last_index

    def _tried(self, actor: "GroupActor") -> None:
        served = self._served[actor.group]
        served.since_ns = self._context.now()
        served.calm_ns = min(2 * served.calm_ns, _CALM_NS_MAX)
