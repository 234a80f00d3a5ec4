"""What a node tells of itself to its admin.

One rule: it is a look, taken without waiting; nothing here changes anything.
"""

from dataclasses import asdict
from typing import Any

from haqactor.ids import NodeId
from haqactor.nodes.context import Context
from haqactor.nodes.founding import own_address


def node_status(context: Context, *, ready: bool, clients: int) -> dict[str, Any]:
    """Itself, its peers, its groups, its caches; plain values for CBOR and JSON."""
    tail, identity = context.tail, context.identity
    looked = tail.hits + tail.misses
    return {
        "ready": ready,
        "node": identity.node_id,
        "cluster": (identity.cluster_id or b"").hex(),
        "address": own_address(context.config),
        "boot": context.boot,
        "nodes": [
            {
                "node": node,
                "address": address,
                "connected": node == identity.node_id or context.peers[NodeId(node)].connected,
            }
            for node, address, _nonce in identity.members
        ],
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
    }
