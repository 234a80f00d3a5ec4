"""What a replica that does not lead says to clients.

One rule: a group that waits for a voter to cure its suspects names that voter, for only starting it helps;
one whose majority is damaged says so, for nothing but a decision helps.
"""

from typing import Final

from haqactor.errors import NotLeader
from haqactor.ids import NO_NODE, GroupId, NodeId
from haqactor.nodes.context import Context
from haqactor.raft.core import RaftCore

_SHOWN: Final = 3


def not_leader(context: Context, group: GroupId, core: RaftCore) -> NotLeader:
    """Where to go; ``reason`` is "damaged" where nobody can lead before some voter is back."""
    leader, term = core.leader, core.term
    if leader != NO_NODE:
        return NotLeader(f"node {leader} leads group {group}", leader=leader, term=term)
    state = core.cure_state()
    awaited = [node for node in state.missing or core.configuration.deciders() if _is_away(context, node)]
    too_many = len(state.suspects) > (len(core.configuration.deciders()) - 1) // 2
    # A sound replica does not know how much the others have lost; torn tails alone are cured in a moment.
    if too_many and (state.damaged or not (state.suspect or awaited)):
        return NotLeader(
            _given_up_by_nobody(context, group, core), leader=leader, term=term, reason="damaged"
        )
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


def _given_up_by_nobody(context: Context, group: GroupId, core: RaftCore) -> str:
    suspects = ", ".join(f"node {node}" for node in core.cure_state().suspects)
    here = [each.what for each in context.journal.damages if each.groups is None or group in each.groups]
    found = f" Here: {'; '.join(here[:_SHOWN])}; sound up to entry {core.last_index}." if here else ""
    return (
        f"group {group} cannot elect a leader: too many replicas of it have lost something ({suspects}), and "
        f"only an operator may give that up.{found} Restore the files, or run `haq group recover {group} "
        "--accept-loss` on each of these nodes while it is stopped"
    )


def _is_away(context: Context, node: NodeId) -> bool:
    link = context.peers.get(node)
    return link is not None and not link.connected
