"""What a replica that does not lead says to clients.

One rule: a group that waits for a voter to cure its suspects names that voter, for only starting it helps.
"""

from haqactor.errors import NotLeader
from haqactor.ids import NO_NODE, GroupId, NodeId
from haqactor.nodes.context import Context
from haqactor.raft.core import RaftCore


def not_leader(context: Context, group: GroupId, core: RaftCore) -> NotLeader:
    """Where to go; ``reason`` is "damaged" where nobody can lead before some voter is back."""
    leader, term = core.leader, core.term
    if leader != NO_NODE:
        return NotLeader(f"node {leader} leads group {group}", leader=leader, term=term)
    state = core.cure_state()
    awaited = [node for node in state.missing or core.configuration.deciders() if _is_away(context, node)]
    if not state.suspects or not awaited:
        return NotLeader(f"no leader of group {group} is known", leader=leader, term=term)
    missing = ", ".join(f"node {node} ({context.leaders.address(node)})" for node in awaited)
    suspects = ", ".join(f"node {node}" for node in state.suspects)
    return NotLeader(
        f"group {group} cannot elect a leader: the journal's end was lost on {suspects}, "
        f"so every voter has to report; start {missing}",
        leader=leader,
        term=term,
        reason="damaged",
    )


def _is_away(context: Context, node: NodeId) -> bool:
    link = context.peers.get(node)
    return link is not None and not link.connected
