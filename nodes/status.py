"""What a node tells of itself to its admin.

One rule: it is a look, taken without waiting; nothing here changes anything.
"""

from dataclasses import asdict
from typing import Any

from haqactor.ids import NodeId
from haqactor.nodes.context import Context
from haqactor.nodes.founding import own_address
from haqactor.nodes.gossip import Gossip
from haqactor.nodes.load import read_meta
from haqactor.swim.member import NEVER_HEARD, Member


def node_status(context: Context, gossip: Gossip | None, *, ready: bool, clients: int) -> dict[str, Any]:
    """Itself, its peers, its groups, its caches; plain values for CBOR and JSON. ``gossip``: None where there
    is none, in a cluster of one without ports."""
    tail, identity = context.tail, context.identity
    looked = tail.hits + tail.misses
    return {
        "ready": ready,
        "node": identity.node_id,
        "cluster": (identity.cluster_id or b"").hex(),
        "address": own_address(context.config),
        "boot": context.boot,
        "nodes": _nodes(context, gossip),
        "groups": context.status_rows(),
        "leaders": context.leaders.rows(),
        "clients": clients,
        "cache": {
            "hits": tail.hits,
            "misses": tail.misses,
            "hit_rate": tail.hits / looked if looked else 1.0,
        },
        "journal": asdict(context.journal.statistics()),
        "counters": dict(sorted(context.gauges.items())),
        "gossip": {} if gossip is None else gossip.status(),
    }


def _nodes(context: Context, gossip: Gossip | None) -> list[dict[str, Any]]:
    """One row a member. ``status``: what gossip believes of it (alive, suspect, dead, left; unknown while
    nothing was heard of it); ``incarnation``: in which it said so, or is said to be; ``versions`` and
    ``load``: what it told last."""
    identity = context.identity
    members = {} if gossip is None else {member.key: member for member in gossip.core.members()}
    return [
        {
            "node": node,
            "address": context.leaders.address(NodeId(node)) or address,
            "connected": node == identity.node_id or context.peers[NodeId(node)].connected,
            **_told(members.get(nonce)),
        }
        for node, address, nonce in identity.members
    ]


def _told(member: Member | None) -> dict[str, Any]:
    if member is None or member.incarnation == NEVER_HEARD:
        return {"status": "unknown", "incarnation": 0, "versions": {}, "load": {}}
    meta = read_meta(member.meta)
    load = meta.pop("load", {})
    status = member.status.name.lower()
    return {"status": status, "incarnation": member.incarnation, "versions": meta, "load": load}
