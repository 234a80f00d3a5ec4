"""A leader: feeds its followers, counts what they hold durably, and proves that it still leads (sections
5.3, 5.4; thesis 6.4).

One rule: only an entry of its own term is committed by counting (R2), and nothing counts that is not durable
where it is counted, its own disk included.
"""

from typing import Final

from haqactor.entry import PROPOSED_BYTES_MAX, Entry, Kind, build
from haqactor.env import Buffer
from haqactor.errors import InvalidArgument, NotLeader, Overloaded, TooLarge
from haqactor.ids import NO_NODE, Index, NodeId, Term
from haqactor.raft import follower, hello, transfer
from haqactor.raft.messages import Append, AppendReply, InstallSnapshot
from haqactor.raft.progress import Mode, Progress
from haqactor.raft.quorum import reached
from haqactor.raft.ready import Fetch
from haqactor.raft.state import NO_DEADLINE_NS, RaftState, Role

SHIPPED_BEATS: Final = 20
"""Answered beats that a follower has for installing a snapshot once it has all of it; then its place is
looked for again."""


def become(state: RaftState) -> None:
    """The election is won: a no-op of the new term follows at once (R2)."""
    state.probe.mark("raft.leader")
    state.set_role(Role.LEADER, state.node)
    state.votes.clear()
    state.deadline_ns = NO_DEADLINE_NS
    state.check_ns = state.now_ns + state.config.election_max_ns
    state.suspicion_rank = -1
    state.eager = False
    state.reads.reset()
    # A suspect can only have won through the door: above every report, with a log as good as every one.
    hello.cured(state)
    following = Index(state.log.last_index + 1)
    state.progress = {
        node: Progress(
            node, following, state.now_ns, state.peer_boots.get(node, 0), node in state.peer_suspects
        )
        for node in state.configuration.members()
        if node != state.node
    }
    state.unapplied.clear()
    state.unapplied_bytes = 0
    state.term_start = following
    state.matched = Index(0)
    state.ack_due = False
    if not state.probe.bug("raft.no_noop"):
        state.log.append((build(state.group, following, state.hard.term, Kind.NOOP, b""),))
    state.sending = True


def propose(state: RaftState, kind: Kind, header: bytes, body: Buffer) -> Entry:
    """Append one entry. Raises NotLeader, Overloaded (R16), TooLarge, InvalidArgument."""
    if state.role is not Role.LEADER:
        raise NotLeader(leader=state.leader, term=state.hard.term)
    if state.transferee != NO_NODE:  # who takes it does not lead yet, and may never: nobody is to wait for it
        raise NotLeader("leadership is being handed over", term=state.hard.term)
    if kind is not Kind.COMMAND:
        raise InvalidArgument(f"entries of kind {kind.name} are not proposed from outside: voters are fixed")
    log = state.log
    size = len(header) + len(body)
    if size > PROPOSED_BYTES_MAX:
        raise TooLarge(
            f"an entry of {size} bytes is over the limit of {PROPOSED_BYTES_MAX}", limit=PROPOSED_BYTES_MAX
        )
    waiting = state.unapplied_bytes
    if waiting and waiting + size > state.config.uncommitted_bytes_max:
        state.probe.mark("raft.uncommitted_full")
        raise Overloaded(f"{waiting} bytes of group {state.group} wait for a majority, or to be applied")
    entry = build(state.group, Index(log.last_index + 1), state.hard.term, kind, header, body)
    log.append((entry,))
    state.unapplied.append((entry.index, len(entry.frame)))
    state.unapplied_bytes += len(entry.frame)
    state.sending = True
    return entry


# -- sending


def replicate(state: RaftState) -> None:
    """Send every follower what it may have."""
    state.sending = False
    state.shared = None
    for progress in state.progress.values():
        _feed(state, progress)


def _feed(state: RaftState, progress: Progress) -> None:
    log, config = state.log, state.config
    while not progress.fetching and progress.mode is not Mode.SNAPSHOT:
        first = progress.next
        probing = progress.mode is Mode.PROBE
        if probing:
            if progress.probed:
                return
        elif first > log.last_index or progress.flight_bytes >= config.peer_window_bytes:
            return
        if first <= log.snapshot.index:
            _offer_snapshot(state, progress)
            return
        if first > log.last_index:
            send(state, progress, ())
            progress.probed = True
            return
        one = state.probe.buggify("raft.one_entry_an_append")
        entries = log.slice(first, first if one else log.last_index, config.append_bytes_max)
        if entries is None:
            progress.fetching = True
            last = Index(min(log.memory_first - 1, log.last_index))
            state.fetches.append(Fetch(progress.node, first, last, config.append_bytes_max))
            return
        send(state, progress, entries)


def send(state: RaftState, progress: Progress, entries: tuple[Entry, ...]) -> None:
    """One Append with ``entries`` from ``progress.next`` on; without any it is a question."""
    log = state.log
    prev = Index(progress.next - 1)
    prev_term = log.term_at(prev)
    if prev_term is None:
        _offer_snapshot(state, progress)
        return
    round_number = state.reads.carry()
    progress.round_sent = round_number
    message = Append(state.hard.term, prev, prev_term, state.commit, entries, round_number)
    shared = state.shared
    if shared is not None and shared == message:
        message = shared  # the same object for several followers: the shell encodes it once
    else:
        state.shared = message
    if entries:
        size = 0
        for entry in entries:
            size += len(entry.frame)
        progress.sent(entries[-1].index, size)
    state.now.append((progress.node, message))


def _offer_snapshot(state: RaftState, progress: Progress) -> None:
    if state.now_ns - progress.active_ns > state.config.election_max_ns:
        progress.probed = True  # not there: ask again with its next sign of life
        return
    state.probe.mark("raft.snapshot_offer")
    meta = state.log.snapshot
    progress.snapshot(meta.index)
    offer = InstallSnapshot(state.hard.term, meta.index, meta.term, meta.voters, meta.learners)
    state.installs.append((progress.node, offer))


def fetched(state: RaftState, peer: NodeId, first: Index, entries: tuple[Entry, ...]) -> None:
    """Entries read from disk for ``peer``; none: they are not there any more."""
    progress = state.progress.get(peer)
    if progress is None or not progress.fetching:
        return
    progress.fetching = False
    state.sending = True
    if not entries:
        progress.probed = True  # try again with its next answer
        return
    known = all(state.log.term_at(entry.index) == entry.term for entry in (entries[0], entries[-1]))
    if progress.next == first == entries[0].index and known and progress.mode is not Mode.SNAPSHOT:
        send(state, progress, entries)


def install_sent(state: RaftState, peer: NodeId, ok: bool) -> None:
    """The shell is through with a snapshot for ``peer``."""
    progress = state.progress.get(peer)
    if progress is None or progress.mode is not Mode.SNAPSHOT:
        return
    if ok:
        progress.shipped = SHIPPED_BEATS
    else:
        progress.probe(Index(progress.match + 1))
        progress.probed = True  # with its next sign of life, not at once


def unreachable(state: RaftState, peer: NodeId) -> None:
    """The link to ``peer`` broke, what was in flight may be lost: look for its place again."""
    progress = state.progress.get(peer)
    if progress is not None and progress.mode is Mode.REPLICATE:
        progress.probe(Index(progress.match + 1))
        progress.probed = True


# -- answers


def on_append_reply(state: RaftState, sender: NodeId, reply: AppendReply) -> None:
    """Section 5.3: move the follower's place; 5.4.2: perhaps commit."""
    if reply.term > state.hard.term and not state.probe.bug("raft.no_step_down"):
        follower.become(state, reply.term, NO_NODE)
        return
    progress = state.progress.get(sender)
    if (
        state.role is not Role.LEADER
        or reply.term < state.hard.term
        or progress is None
        or reply.boot < progress.boot
    ):
        return
    _judge_boot(state, progress, reply)
    progress.active_ns = state.now_ns
    progress.replied = True
    if reply.accepted:
        if progress.acknowledged(reply.matched) or (
            progress.mode is Mode.PROBE and progress.probed and reply.matched >= progress.match
        ):
            _agreed(progress)
        if reply.matched > state.commit:
            maybe_commit(state)
    else:
        _refused(state, progress, reply)
    answered(state, progress, reply.read_context)
    if progress.next <= state.log.last_index or progress.mode is Mode.PROBE:
        state.sending = True
    if sender == state.transferee:
        transfer.proceed(state)


def _judge_boot(state: RaftState, progress: Progress, reply: AppendReply) -> None:
    if reply.suspect:
        hello.suspected(state, progress.node, reply.boot)
        return
    progress.boot = max(progress.boot, reply.boot)
    progress.suspect = False
    progress.cleared = True
    if state.peer_suspects:
        state.peer_suspects.pop(progress.node, None)


def _agreed(progress: Progress) -> None:
    installed = progress.mode is Mode.SNAPSHOT and progress.match >= progress.snapshot_index
    if progress.mode is Mode.PROBE or installed:
        progress.replicate()


def _refused(state: RaftState, progress: Progress, reply: AppendReply) -> None:
    if progress.mode is Mode.SNAPSHOT or reply.rejected <= progress.match:
        return  # late: it has agreed to more since
    if progress.mode is Mode.PROBE and reply.rejected != progress.next - 1:
        return
    state.probe.mark("raft.append_refused")
    place, _ = state.log.last_not_above(reply.hint_index, reply.hint_term)
    progress.probe(Index(min(place, reply.hint_index, reply.rejected - 1) + 1))


def answered(state: RaftState, progress: Progress, context: int) -> None:
    """An answer of this term that echoes round ``context``."""
    if context > progress.covered and not progress.suspect:
        progress.covered = context
        confirm_rounds(state)


def confirm_rounds(state: RaftState) -> None:
    """Which round has a quorum answered? Suspects do not count."""
    values = {node: 0 if peer.suspect else peer.covered for node, peer in state.progress.items()}
    values[state.node] = state.reads.round
    covered = reached(state.configuration, values)
    if covered > state.reads.covered or covered == state.reads.round:
        state.reads.confirm(covered)
        if state.cures:
            hello.settle(state)


def maybe_commit(state: RaftState) -> None:
    """Section 5.4.2: the highest index that a quorum holds durably, if it is of this term."""
    values: dict[NodeId, int] = {
        node: 0 if peer.suspect else peer.match for node, peer in state.progress.items()
    }
    early = state.probe.bug("raft.count_own_unwritten")
    values[state.node] = state.log.last_index if early else state.log.durable_index
    index = Index(reached(state.configuration, values))
    if index > state.commit and state.probe.bug("raft.commit_alone"):
        index = state.log.last_index
    if index <= state.commit:
        return
    if state.log.term_at(index) != state.hard.term and not state.probe.bug("raft.commit_old_term"):
        state.probe.mark("raft.old_term_waits")
        return
    first_of_term = state.commit < state.term_start
    state.commit = index
    if first_of_term:
        state.reads.term_committed(index)
        confirm_rounds(state)


def applied(state: RaftState, index: Index) -> None:
    """What is proposed counts until it is applied, so that a leader whose apply falls behind its commits
    takes no more either (R16, R19)."""
    waiting = state.unapplied
    while waiting and waiting[0][0] <= index:
        state.unapplied_bytes -= waiting.popleft()[1]


def on_beat_answer(state: RaftState, sender: NodeId, term: Term, context: int, suspect: bool) -> None:
    """The answer to a node's heartbeat, for this group."""
    if term > state.hard.term and not state.probe.bug("raft.no_step_down"):
        follower.become(state, term, NO_NODE)
        return
    progress = state.progress.get(sender)
    if state.role is not Role.LEADER or term < state.hard.term or progress is None:
        return
    progress.active_ns = state.now_ns
    if not suspect:
        answered(state, progress, context)
    progress.probed = False
    if progress.next <= state.log.last_index or progress.mode is Mode.PROBE:
        state.sending = True
    if progress.mode is Mode.SNAPSHOT:
        if progress.shipped == 1:  # its word that it is installed was lost
            state.probe.mark("raft.install_word_lost")
            progress.probe(Index(progress.snapshot_index + 1))
            state.sending = True
        progress.shipped = max(progress.shipped - 1, 0)
    elif progress.mode is Mode.REPLICATE and not progress.fetching and not progress.replied:
        _poke(state, progress)
    progress.replied = False


def _poke(state: RaftState, progress: Progress) -> None:
    """Nothing came back for a whole beat: was something lost?"""
    if progress.match < progress.next - 1 or progress.suspect:
        send(state, progress, ())


# -- time


def tick(state: RaftState) -> None:
    """Check-quorum (thesis 6.2, R9), a slow disk (R18), an unfinished handover."""
    if state.now_ns >= state.transfer_ns:
        transfer.abort(state)
    oldest, stuck_ns = state.log.oldest_write_ns(), state.config.disk_stuck_ns
    slow = state.write_age_ns(state.now_ns) > stuck_ns
    if slow and not state.probe.bug("raft.slow_leader_stays"):
        state.probe.mark("raft.slow_disk")
        follower.become(state, state.hard.term, NO_NODE)
        return
    if state.now_ns < state.check_ns:
        return
    origin = state.now_ns - (1 << 61)
    values = {node: 0 if peer.suspect else peer.active_ns - origin for node, peer in state.progress.items()}
    values[state.node] = state.now_ns - origin
    heard = reached(state.configuration, values) + origin
    deaf = state.now_ns - heard >= state.config.election_max_ns
    if state.probe.buggify("raft.early_step_down"):
        follower.become(state, state.hard.term, NO_NODE)
        return
    if deaf and not state.probe.bug("raft.no_check_quorum"):
        state.probe.mark("raft.check_quorum")
        follower.become(state, state.hard.term, NO_NODE)
        return
    state.check_ns = heard + state.config.election_max_ns
    if oldest is not None:
        state.check_ns = min(state.check_ns, max(oldest + stuck_ns, state.now_ns) + 1)
