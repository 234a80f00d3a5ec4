"""Where the members are: what gossip says of their addresses, for links, clients and the next start.

One rule: gossip moves an address and shortens a wait, nothing else: who is a member stands in the directory
that the cluster was founded with, and a link believes nobody before the handshake.
"""

from dataclasses import replace
from typing import Final

import trio

from haqactor.config import gossip_address
from haqactor.errors import ConfigError
from haqactor.ids import NodeId
from haqactor.journal.identity import Identity
from haqactor.nodes.context import Context
from haqactor.swim.member import Member, Status
from haqactor.swim.table import LIVE

_STORE_EVERY: Final = 10
"""Probe intervals between two writes of what has moved."""


class Addresses:
    """Of the members of the identity; changes are written to it now and then."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nonces = {node: nonce for node, _address, nonce in context.identity.members}
        self._moved = trio.Event()

    def changed(self, member: Member, was: Member | None) -> None:
        """Something else is believed of a member. Strangers, and those that are not there, move nothing."""
        context, node = self._context, NodeId(member.node)
        if member.status not in LIVE or self._nonces.get(member.node) != member.key:
            return
        link = context.peers.get(node)
        if link is None:
            return
        if member.address != context.leaders.address(node):
            if not _is_place(member.address):
                context.log.warning(
                    "a member says an address that is none", peer=node, address=member.address
                )
                return
            context.log.info("a member moved", peer=node, address=member.address)
            context.env.probe.mark("nodes.member_moved")
            context.leaders.moved(node, member.address)
            link.address = member.address
            link.redial()
            self._moved.set()
        elif member.status is Status.ALIVE and (was is None or was.status is not Status.ALIVE):
            link.redial()

    async def run(self) -> None:
        """Write what has moved, until cancelled."""
        context = self._context
        while True:
            await self._moved.wait()
            self._moved = trio.Event()
            await context.journal.update_identity(self._updated)
            await trio.sleep(_STORE_EVERY * context.limits.probe_interval)

    def _updated(self, identity: Identity) -> Identity:
        known = self._context.leaders.address
        members = tuple((node, known(NodeId(node)) or at, nonce) for node, at, nonce in identity.members)
        return replace(identity, members=members)


def _is_place(address: str) -> bool:
    """Are there ports for clients, peers and gossip? Gossip itself takes any text for an address, and a link
    to one that is none would end the node."""
    try:
        gossip_address(address)
    except ConfigError:
        return False
    return True
