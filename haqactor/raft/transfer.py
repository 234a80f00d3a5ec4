"""Leadership transfer (thesis 3.10).

One rule: the leader takes no proposals until the target holds its whole log and was told to campaign, or the
time is up; then it goes on as if nothing had been.
"""

from haqactor.errors import InvalidArgument, NotLeader
from haqactor.ids import NO_NODE, NodeId
from haqactor.raft.messages import TimeoutNow
from haqactor.raft.state import NO_DEADLINE_NS, RaftState, Role


def begin(state: RaftState, target: NodeId) -> None:
    """Hand over to ``target``; no effect, and no more time, where it is under way to it. Raises NotLeader;
    InvalidArgument for one that cannot lead."""
    if state.role is not Role.LEADER:
        raise NotLeader(leader=state.leader, term=state.hard.term)
    if target in (state.node, state.transferee):
        return
    progress = state.progress.get(target)
    if progress is None or target not in state.configuration.deciders():
        raise InvalidArgument(f"node {target} is no voter of group {state.group}")
    if progress.suspect:
        raise InvalidArgument(f"node {target} is being repaired and cannot lead group {state.group} yet")
    state.probe.mark("raft.transfer")
    state.transferee = target
    state.transfer_ns = state.now_ns + state.config.election_min_ns
    state.sending = True
    proceed(state)


def proceed(state: RaftState) -> None:
    """Tell the target as soon as it holds everything."""
    progress = state.progress[state.transferee]
    if progress.match == state.log.last_index:
        state.send_now(state.transferee, TimeoutNow(state.hard.term))


def abort(state: RaftState) -> None:
    """The time is up: lead on."""
    state.probe.mark("raft.transfer_over")
    state.transferee = NO_NODE
    state.transfer_ns = NO_DEADLINE_NS
