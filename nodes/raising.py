"""When a group goes on to the next version of its machine.

One rule: only once every replica has said that it knows it, on a connection that stands; one step at a time,
by an entry of the group's own log.
"""

from typing import TYPE_CHECKING

from haqactor.machine import commands
from haqactor.machine.commands import Command

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor


class Raising:
    """One group's, on its leader."""

    def __init__(self, actor: "GroupActor") -> None:
        self._actor = actor
        self._asked = 0
        self._looked = False  # of a planted bug

    def begin(self) -> None:
        """A term begins here: whatever an earlier one asked for has applied, or is gone."""
        self._asked = 0
        self._looked = False

    def wanted(self, version: int) -> Command | None:
        """What to propose where the machine has ``version``: nothing for most of a cluster's life."""
        following = version + 1
        if following > self._actor.context.versions.newest or following <= self._asked:
            return None
        if self._looked and self._actor.context.env.probe.bug("nodes.raise_looked_once"):
            return None
        self._looked = True
        if not (self._known(following) or self._actor.context.env.probe.bug("nodes.raised_unasked")):
            self._actor.context.env.probe.mark("nodes.raise_waits")
            return None
        self._asked = following
        self._actor.context.log.info("raises the machine", group=self._actor.group, version=following)
        return commands.raise_version(following)

    def _known(self, version: int) -> bool:
        """By every replica, learners included: whoever does not know it has to stop. A new connection is an
        occasion to ask again (see ``Intake.link_up``)."""
        actor = self._actor
        peers = actor.context.peers
        for member in actor.core.configuration.members():
            if member != actor.context.node:
                link = peers.get(member)
                if link is None or not link.connected or link.versions.newest < version:
                    return False
        return True
