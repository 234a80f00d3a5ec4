"""Elections (section 5.2), always after a pre-vote (thesis 9.6) unless the leader itself hands over.

One rule: nobody's term rises for an election that cannot be won, and a candidate's own vote counts once it
is durable (R1).
"""

from haqactor.ids import NO_NODE, NodeId, Term
from haqactor.raft import follower, leader
from haqactor.raft.messages import RequestVote, TimeoutNow, Vote
from haqactor.raft.quorum import Verdict, election
from haqactor.raft.state import RaftState, Role


def pre_campaign(state: RaftState) -> None:
    """Ask whether an election could be won, without disturbing anybody."""
    if not _may_campaign(state):
        follower.become(state, state.hard.term, NO_NODE)
        return
    state.set_role(Role.PRE_CANDIDATE, NO_NODE)
    state.votes = {state.node: True}
    _draw_retry(state)
    alone = election(state.configuration, state.votes) is Verdict.WON
    if alone or state.probe.bug("raft.no_pre_vote"):
        campaign(state)
        return
    log = state.log
    asked = RequestVote(
        Term(state.hard.term + 1), state.node, log.last_index, log.last_term, pre=True, boot=state.boot
    )
    for voter in state.others():
        state.send_now(voter, asked)


def campaign(state: RaftState, transfer: bool = False) -> None:
    """Stand for election in a new term."""
    if not _may_campaign(state):
        return
    state.probe.mark("raft.campaign")
    state.set_role(Role.CANDIDATE, NO_NODE)
    state.set_hard(Term(state.hard.term + 1), state.node)
    state.votes = {}
    state.draw_deadline()
    log = state.log
    asked = RequestVote(
        state.hard.term, state.node, log.last_index, log.last_term, transfer=transfer, boot=state.boot
    )
    early = state.probe.bug("raft.campaign_before_durable")
    for voter in state.others():
        (state.send_now if early else state.send_after)(voter, asked)
    if early:
        own_vote_durable(state)


def _may_campaign(state: RaftState) -> bool:
    if not state.is_voter or state.disk_is_slow():
        return False
    log = state.log
    term = Term(state.hard.term + 1)
    return state.recovery.may_vote(term, log.last_index, log.last_term, state.others())


def own_vote_durable(state: RaftState) -> None:
    """The candidate's own vote is on the disk."""
    if state.role is Role.CANDIDATE and state.hard.vote == state.node:
        state.votes[state.node] = True
        _judge(state)


def on_vote(state: RaftState, sender: NodeId, vote: Vote) -> None:
    """An answer to either question."""
    if vote.term > state.hard.term and not (vote.pre and vote.granted):
        follower.become(state, vote.term, NO_NODE)
        return
    if vote.pre:
        if state.role is not Role.PRE_CANDIDATE or (vote.granted and vote.term != state.hard.term + 1):
            return
    elif state.role is not Role.CANDIDATE or vote.term != state.hard.term:
        return
    state.votes[sender] = state.votes.get(sender, False) or vote.granted
    _judge(state)


def _judge(state: RaftState) -> None:
    verdict = election(state.configuration, state.votes)
    if verdict is Verdict.WON:
        if state.role is Role.PRE_CANDIDATE:
            campaign(state)
        else:
            leader.become(state)
    elif verdict is Verdict.LOST:
        follower.become(state, state.hard.term, NO_NODE)
        _draw_retry(state)


def _draw_retry(state: RaftState) -> None:
    """The next try: soon where the others are expected to come round at once, else an ordinary wait."""
    state.draw_deadline()
    if state.eager and state.hard.term == 0:
        state.deadline_ns = state.now_ns + state.config.heartbeat_ns
    elif state.suspicion_rank >= 0 and state.suspicion_tries > 0:
        state.suspicion_tries -= 1
        # rank 0 asks again before rank 1 asks first: some notice the death a little later than the quickest
        step, part = state.config.suspicion_step_ns, max(state.config.suspicion_step_ns // 4, 1)
        state.deadline_ns = state.now_ns + part + step * state.suspicion_rank + state.random.below(part)


def on_timeout_now(state: RaftState, sender: NodeId, message: TimeoutNow) -> None:
    """Thesis 3.10: the leader hands over."""
    if message.term == state.hard.term and state.leader == sender and state.role is Role.FOLLOWER:
        campaign(state, transfer=True)


def suspect_leader(state: RaftState) -> None:
    """The leader's process is gone as far as this node saw: forget it, campaign after a wait by rank."""
    if state.role is not Role.FOLLOWER or state.leader == NO_NODE:
        return
    rivals = [voter for voter in state.configuration.deciders() if voter != state.leader]
    state.set_role(Role.FOLLOWER, NO_NODE)
    if state.node not in rivals:
        return
    state.suspicion_rank = state.ranked(rivals).index(state.node)
    state.suspicion_tries = 8
    wait_ns = state.now_ns + state.suspicion_rank * state.config.suspicion_step_ns
    state.deadline_ns = min(state.deadline_ns, wait_ns)


def campaign_soon(state: RaftState) -> None:
    """A fresh group: its preferred voter campaigns at once, and again with every beat until somebody
    leads."""
    if state.hard.term > 0 or state.role is Role.LEADER or not state.is_voter:
        return
    if state.ranked(state.configuration.deciders())[0] == state.node:
        state.eager = True
        state.deadline_ns = state.now_ns
