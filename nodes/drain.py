"""How a node leaves in order: clients are told, leaderships are handed to peers that can take them.

One rule: leaving is bounded in time; whatever is still led then is left to an election.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from haqactor.nodes.context import Context

_DRAIN_S: Final = 3.0
_AGAIN_EVERY_S: Final = 0.2


async def drain(context: Context, changed: Callable[[], Awaitable[None]]) -> None:
    """Return once this node leads nothing, no peer is there to lead, or the time is over. ``changed`` returns
    at the next change of leaders."""
    context.env.probe.mark("nodes.drains")
    context.log.info("drains")
    with trio.move_on_after(_DRAIN_S):
        while _hand_over(context):
            with trio.move_on_after(_AGAIN_EVERY_S):
                await changed()
    context.log.info("drained", leads_still=sum(actor.leading for actor in context.groups.values()))


def _hand_over(context: Context) -> bool:
    if not any(link.connected for link in context.peers.values()):
        return False
    left = False
    for actor in context.groups.values():
        if actor.leading:
            left = True
            actor.mailbox.put_once(actor.hand_over)
    return left
