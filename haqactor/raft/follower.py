"""A follower: answers, and keeps its log like the leader's (sections 5.2 to 5.4).

One rule: it acknowledges what it has verified against this term's leader and holds durably, never its mere
last index (R3), and cuts its log only at a real conflict above what is committed (R4).
"""

from typing import Final

from haqactor.entry import Entry, Kind
from haqactor.errors import InvariantViolation
from haqactor.ids import NO_NODE, Index, NodeId, Term
from haqactor.raft import hello
from haqactor.raft.membership import decode
from haqactor.raft.messages import Append, AppendReply, InstallSnapshot, RequestVote, Vote
from haqactor.raft.state import NO_DEADLINE_NS, RaftState, Role

_NOWHERE: Final = Index(0)
_NO_TERM: Final = Term(0)


def become(state: RaftState, term: Term, leader: NodeId) -> None:
    """Follow in ``term``; ``leader`` may be unknown. Whatever another role held is given up."""
    if term > state.hard.term:
        state.set_hard(term, NO_NODE)
    if state.role is Role.LEADER:
        state.progress.clear()
        state.cures.clear()
        state.unapplied.clear()
        state.unapplied_bytes = 0
        state.reads.reset()
        state.transferee = NO_NODE
        state.transfer_ns = state.check_ns = NO_DEADLINE_NS
        state.sending = False
    state.votes.clear()
    state.set_role(Role.FOLLOWER, leader)
    state.draw_deadline()


def heard(state: RaftState, leader: NodeId, term: Term) -> bool:
    """A message of ``term``'s leader arrived. False where that leader's time is over."""
    if term < state.hard.term:
        return False
    if term > state.hard.term or state.role is not Role.FOLLOWER or state.leader != leader:
        if term == state.hard.term and state.role is Role.LEADER:
            raise InvariantViolation(
                f"group {state.group} has two leaders in term {term}: {state.node} and {leader}"
            )
        become(state, term, leader)
    else:
        state.draw_deadline()
    state.leader_seen_ns = state.now_ns
    state.suspicion_rank = -1
    state.eager = False
    return True


# -- votes


def on_request_vote(state: RaftState, sender: NodeId, asked: RequestVote) -> None:
    """Sections 5.2, 5.4.1; pre-vote: thesis 9.6; stickiness: thesis 4.2.3."""
    own = state.hard.term
    sticky = state.leader_is_live() and not asked.transfer
    if asked.term < own or sticky or (asked.pre and asked.term == own):
        state.send_after(sender, Vote(own, False, asked.pre, state.boot))
        return
    suitable = (
        state.is_voter
        and (
            state.log.up_to_date(asked.last_index, asked.last_term)
            or state.probe.bug("raft.vote_without_log_check")
        )
        and state.recovery.may_vote(asked.term, asked.last_index, asked.last_term, state.others())
    )
    if asked.pre:
        if suitable:
            state.send_now(sender, Vote(asked.term, True, True, state.boot))
        else:
            state.send_after(sender, Vote(own, False, True, state.boot))
        return
    if asked.term > own:
        become(state, asked.term, NO_NODE)
    free = state.hard.vote == sender or (state.hard.vote == NO_NODE and state.leader == NO_NODE)
    granted = suitable and (free or state.probe.bug("raft.vote_twice"))
    if granted:
        if state.hard.vote != sender:
            state.set_hard(asked.term, sender)
        state.draw_deadline()
    early = state.probe.bug("raft.vote_before_durable")
    (state.send_now if early else state.send_after)(sender, Vote(asked.term, granted, False, state.boot))


# -- the log


def on_append(state: RaftState, sender: NodeId, message: Append) -> None:
    """Section 5.3: agree at prev, cut a conflict, append the rest, follow the commit index."""
    if not heard(state, sender, message.term):
        state.send_after(sender, AppendReply(state.hard.term, False, Index(0), boot=state.boot))
        return
    entries = message.entries
    log = state.log
    last = Index(message.prev_index + len(entries))
    if entries and (entries[0].index != message.prev_index + 1 or entries[-1].index != last):
        return  # not a message that any leader of ours sends
    context = message.read_context
    state.heard_context = max(state.heard_context, context)
    if message.prev_index < log.snapshot.index:
        # A late message about a part that is compacted, and so committed, here.
        entries = tuple(entry for entry in entries if entry.index > log.snapshot.index)
        last = max(last, min(state.commit, log.durable_index))
    elif log.term_at(message.prev_index) != message.prev_term:
        _refuse(state, sender, message)
        return
    if entries:
        _store(state, message.term, entries)
    state.matched = max(state.matched, last)
    state.ack_due = True
    state.ack_context = max(state.ack_context, context)
    follow_commit(state, message.commit)


def _refuse(state: RaftState, sender: NodeId, message: Append) -> None:
    hint, hint_term = state.log.last_not_above(message.prev_index, message.prev_term)
    reply = AppendReply(
        state.hard.term, False, Index(0), hint, hint_term, message.read_context,
        message.prev_index, state.boot, not state.recovery.acknowledges,
    )  # fmt: skip
    state.send_after(sender, reply)


def _store(state: RaftState, term: Term, entries: tuple[Entry, ...]) -> None:
    log = state.log
    if entries[0].index <= log.last_index:
        fresh = len(entries)
        for position, entry in enumerate(entries):
            held = log.term_at(entry.index)
            if held is None or (held != entry.term and not state.probe.bug("raft.conflict_not_cut")):
                fresh = position
                break
        if fresh == len(entries) and state.probe.bug("raft.cut_behind_match"):
            _cut(state, Index(entries[-1].index + 1))
        if fresh < len(entries) and entries[fresh].index <= log.last_index:
            _cut(state, entries[fresh].index)
        if not state.recovery.acknowledges:
            _look_for_noop(state, term, entries)
        entries = entries[fresh:]
    elif not state.recovery.acknowledges:
        _look_for_noop(state, term, entries)
    log.append(entries)
    for entry in entries:
        if entry.kind is Kind.CONFIG:
            state.configurations.append(entry.index, decode(bytes(entry.header)))


def _cut(state: RaftState, first: Index) -> None:
    """A real conflict (R4). Configurations of the cut part are rolled back (R8)."""
    if first <= state.commit:
        raise InvariantViolation(
            f"group {state.group}: term {state.hard.term}'s leader {state.leader} conflicts at {first}, "
            f"but {state.commit} is committed here"
        )
    state.probe.mark("raft.truncate")
    state.log.truncate(first)
    state.configurations.truncate(first)
    state.dropped_from = first if state.dropped_from is None else min(state.dropped_from, first)


def _look_for_noop(state: RaftState, term: Term, entries: tuple[Entry, ...]) -> None:
    for entry in entries:
        if entry.term == term and entry.kind is Kind.NOOP:
            state.noop_index = entry.index


def follow_commit(state: RaftState, commit: Index) -> None:
    """The leader has committed ``commit``; here that holds only as far as the log is known to agree with its
    own."""
    if commit > state.matched and not state.probe.bug("raft.commit_unmatched"):
        commit = state.matched
    state.commit = max(state.commit, commit)


def acknowledge(state: RaftState, writing: bool) -> None:
    """Put the answer to this turn's Appends together. ``writing``: entries go to the disk with this turn,
    and with them everything before; else only what is durable already may be acknowledged."""
    if not (writing and state.ack_due) and not ack_ready(state):
        return
    durable = state.log.durable_index
    matched = state.matched
    recovery = state.recovery
    early = state.probe.bug("raft.ack_before_durable")
    if durable < matched and not (writing and recovery.acknowledges) and not early:
        matched = durable
    if recovery.suspect:
        hello.stored(state, min(durable, matched))
    if matched == state.matched:
        state.ack_due = False
    state.ack_sent = matched
    reply = AppendReply(
        state.hard.term, True, matched, _NOWHERE, _NO_TERM, state.ack_context,
        _NOWHERE, state.boot, not recovery.acknowledges,
    )  # fmt: skip
    (state.send_now if early else state.send_after)(state.leader, reply)


def ack_ready(state: RaftState) -> bool:
    """Is there something to acknowledge that is durable?"""
    if not state.ack_due or state.leader == NO_NODE:
        return False
    durable = state.log.durable_index
    return durable >= state.matched or durable > state.ack_sent


# -- snapshots


def on_install_snapshot(state: RaftState, sender: NodeId, offer: InstallSnapshot) -> None:
    """Section 7: the offer. What is not ahead of this log is refused by acknowledging what is here (R12a)."""
    if not heard(state, sender, offer.term):
        state.send_after(sender, AppendReply(state.hard.term, False, Index(0), boot=state.boot))
        return
    if offer.index <= state.commit:
        state.matched = max(state.matched, min(state.commit, state.log.durable_index))
        state.ack_due = True
