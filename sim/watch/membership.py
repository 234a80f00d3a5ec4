"""Watches one node's membership: what it says of itself, and believes of others.

One rule: it looks before anything leaves the node; what others hear has been told to the checkers by then.
"""

from collections.abc import Callable
from typing import Any

from haqactor.nodes.gossip import Gossip
from haqactor.sim.watch.observed import Event, Membership
from haqactor.swim.effects import Changed
from haqactor.swim.member import Member


class MembershipWatch:
    """From the beginning of one start to the crash."""

    def __init__(
        self, gossip: Gossip, host: str, now_ns: Callable[[], int], tell: Callable[[Event], None]
    ) -> None:
        self._gossip = gossip
        self._host = host
        self._now_ns = now_ns
        self._tell = tell
        self._me = gossip.core.me
        self._say(self._me, own=True, begins=True)
        watched: Any = gossip
        perform = watched._perform  # every call of the core ends there

        def standing() -> None:
            self._look()
            perform()

        watched._perform = standing

    def _look(self) -> None:
        core = self._gossip.core
        if core.me is not self._me:
            self._me = core.me
            self._say(self._me, own=True)
        for effect in core._state.effects:
            if isinstance(effect, Changed):
                self._say(effect.member)

    def _say(self, member: Member, *, own: bool = False, begins: bool = False) -> None:
        status = member.status.name.lower()
        self._tell(
            Membership(
                self._now_ns(),
                self._host,
                member.key.hex(),
                member.node,
                status,
                member.incarnation,
                own,
                begins,
            )
        )
