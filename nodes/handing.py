"""Giving up leadership: to whoever is furthest along, or to the voter that should lead.

One rule: nothing is proposed while leadership is on its way, so a handover that is under way is not begun
anew, and one that came to nothing is tried with everybody else before it is tried with that node again: a
node that repairs its log holds all of it and may not stand for election yet.
"""

from typing import TYPE_CHECKING

from haqactor.ids import NO_NODE, NodeId, Term

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor


class Handing:
    """One group's."""

    def __init__(self, actor: "GroupActor") -> None:
        self._actor = actor
        self._term = Term(0)
        self._tried: dict[NodeId, None] = {}

    def over(self, now: int) -> None:
        """To the peer that is furthest along of those that were not tried yet in this term."""
        actor, core = self._actor, self._actor.core
        if not core.is_leader or core.transferee != NO_NODE:
            return
        if self._term != core.term:
            self._term, self._tried = core.term, {}
        voters = core.configuration.deciders()
        reachable = [
            peer
            for peer in core.statistics().peers
            if peer.node in voters and actor.context.peers[peer.node].connected and not peer.suspect
        ]
        if not reachable:
            return
        untried = [peer for peer in reachable if peer.node not in self._tried]
        if not untried:
            self._tried = {}
        best = max(untried or reachable, key=lambda peer: (peer.match, -peer.node))
        self._tried[best.node] = None
        actor.context.env.probe.mark("nodes.hands_over")
        core.transfer(best.node, now)

    def back(self, now: int) -> None:
        """To the preferred voter, if it is still ours to hand over, and unless that one has said in this very
        turn that it repairs its log."""
        core, preferred = self._actor.core, self._actor.core.preferred
        if not self._actor.serving or preferred == core.node:
            return
        if any(peer.node == preferred and not peer.suspect for peer in core.statistics().peers):
            core.transfer(preferred, now)
