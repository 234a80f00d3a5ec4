"""One replica of one group: messages and time in, a ``Ready`` a turn out.

One rule: nothing here waits, reads a clock or touches a disk; the shell performs each Ready in the order
that ``ready`` states.
"""

from collections.abc import Sequence

from haqactor.entry import Entry, Kind
from haqactor.env import Buffer, Probe, Random
from haqactor.errors import InvariantViolation, NotLeader, Overloaded
from haqactor.ids import NO_NODE, GroupId, Index, NodeId, Term
from haqactor.raft import candidate, follower, hello, leader, transfer
from haqactor.raft.config import RaftConfig
from haqactor.raft.heartbeat import AnswerRow, BeatRow
from haqactor.raft.log import Log
from haqactor.raft.membership import Configuration, Configurations
from haqactor.raft.messages import (
    Append,
    AppendReply,
    Hello,
    InstallSnapshot,
    Message,
    RequestVote,
    TimeoutNow,
    Vote,
)
from haqactor.raft.quorum import reached
from haqactor.raft.ready import HardState, Ready, SnapshotMeta
from haqactor.raft.state import RaftState, Role
from haqactor.raft.view import RaftView


class RaftCore(RaftView):
    """A replica of ``group`` on ``node``.

    ``snapshot``: what the log begins behind (index 0 and the founding voters for a new group). ``runs``:
    first index and term of each run of equal terms above it; ``last_index``: the log's end, all of it
    durable. ``configs``: (index, voters, learners) of the CONFIG entries found above the snapshot. ``boot``:
    this start's epoch, from 1, above every earlier one. ``suspect``: the last block was cut after an unclean
    stop, or an earlier start's mark still stands; ``damaged``: more than that is gone (see ``recovery``).
    """

    __slots__ = ()

    def __init__(
        self,
        group: GroupId,
        node: NodeId,
        config: RaftConfig,
        *,
        hard_state: HardState,
        snapshot: SnapshotMeta,
        runs: Sequence[tuple[Index, Term]],
        last_index: Index,
        boot: int,
        suspect: bool = False,
        damaged: bool = False,
        configs: Sequence[tuple[Index, Sequence[NodeId], Sequence[NodeId]]] = (),
        random: Random,
        probe: Probe,
        now_ns: int,
    ) -> None:
        founding = Configuration(snapshot.voters, snapshot.learners)
        later = [
            (index, Configuration(tuple(v), tuple(ln))) for index, v, ln in configs if index > snapshot.index
        ]
        state = RaftState(
            group,
            node,
            config,
            hard_state=hard_state,
            log=Log(snapshot, runs, last_index),
            configurations=Configurations(founding, snapshot.index, later),
            boot=boot,
            suspect=suspect,
            damaged=damaged,
            random=random,
            probe=probe,
            now_ns=now_ns,
        )
        super().__init__(state)
        state.draw_deadline()
        if state.configuration.deciders() == (node,):
            state.deadline_ns = now_ns  # nobody else to wait for
        if suspect:
            hello.say(state)

    # -- what happens to it

    def tick(self, now_ns: int) -> None:
        """Time went on. Cheap; needed when ``next_deadline_ns`` is reached, harmless at any other time."""
        state = self._state
        state.now_ns = now_ns
        if state.role is Role.LEADER:
            leader.tick(state)
        elif now_ns >= state.deadline_ns:
            candidate.pre_campaign(state)
        if now_ns >= state.hello_ns:
            hello.say(state)

    @property
    def next_deadline_ns(self) -> int:
        """When ``tick`` has to be called next."""
        state = self._state
        hello_ns = state.hello_ns
        if state.role is Role.LEADER:
            return min(state.check_ns, state.transfer_ns, hello_ns)
        deadline_ns = state.deadline_ns
        return deadline_ns if deadline_ns < hello_ns else hello_ns

    def step(self, sender: NodeId, message: Message, now_ns: int) -> None:
        """A message arrived. Late, repeated and foreign ones are dealt with; InvariantViolation is a bug
        somewhere."""
        state = self._state
        state.now_ns = now_ns
        match message:
            case Append():
                follower.on_append(state, sender, message)
            case AppendReply():
                if hello.note_boot(state, sender, message.boot):
                    leader.on_append_reply(state, sender, message)
            case RequestVote():
                if hello.note_boot(state, sender, message.boot):
                    follower.on_request_vote(state, sender, message)
            case Vote():
                if hello.note_boot(state, sender, message.boot):
                    candidate.on_vote(state, sender, message)
            case Hello():
                hello.on_hello(state, sender, message)
            case InstallSnapshot():
                follower.on_install_snapshot(state, sender, message)
            case TimeoutNow():
                candidate.on_timeout_now(state, sender, message)

    def propose(self, kind: Kind, header: bytes, body: Buffer, now_ns: int) -> Entry:
        """Append an entry to the group's log. Raises NotLeader; Overloaded where too much waits for a
        majority; TooLarge."""
        self._state.now_ns = now_ns
        return leader.propose(self._state, kind, header, body)

    def suspect_leader(self, now_ns: int) -> None:
        """The shell saw the leader's connection reset and then refused, or the leader answer with a new boot
        epoch."""
        self._state.now_ns = now_ns
        candidate.suspect_leader(self._state)

    def campaign_soon(self, now_ns: int) -> None:
        """A fresh group starts: its preferred voter campaigns without waiting. No effect in any other
        group."""
        self._state.now_ns = now_ns
        candidate.campaign_soon(self._state)

    def transfer(self, target: NodeId, now_ns: int) -> None:
        """Hand leadership to ``target``; given up after ``election_min_ns``. Raises NotLeader,
        InvalidArgument."""
        self._state.now_ns = now_ns
        transfer.begin(self._state, target)

    def unreachable(self, peer: NodeId) -> None:
        """The link to ``peer`` broke; what was in flight may be lost."""
        leader.unreachable(self._state, peer)

    # -- heartbeats

    def row(self) -> BeatRow | None:
        """This group's row in the node's next beat, as of now; None where it does not lead. A beat with it
        counts as having left."""
        state = self._state
        if state.role is not Role.LEADER:
            return None
        context = state.reads.carry()
        state.reads.beat_round = context
        return BeatRow(state.group, state.hard.term, state.commit, context)

    def beat(self, sender: NodeId, row: BeatRow, now_ns: int) -> None:
        """A node's beat covered this group, by its row or by the hash of unchanged ones."""
        state = self._state
        state.now_ns = now_ns
        if follower.heard(state, sender, row.term):
            state.heard_context = max(state.heard_context, row.context)
            if row.commit > state.commit:
                follower.follow_commit(state, row.commit)

    def answer_row(self) -> AnswerRow:
        """This group's row in the answer to a beat, as of now."""
        state = self._state
        return AnswerRow(state.group, state.hard.term, state.heard_context, not state.recovery.acknowledges)

    def beat_answer(self, sender: NodeId, row: AnswerRow, now_ns: int) -> None:
        """The answer to a beat covered this group."""
        self._state.now_ns = now_ns
        leader.on_beat_answer(self._state, sender, row.term, row.context, row.suspect)

    # -- reads and covering rounds

    def request_read(self, context: int, now_ns: int) -> None:
        """Ask for a linearizable read; ``Ready.reads`` or ``Ready.reads_failed`` answers. Raises NotLeader,
        Overloaded."""
        state = self._state
        state.now_ns = now_ns
        if state.role is not Role.LEADER:
            raise NotLeader(leader=state.leader, term=state.hard.term)
        if len(state.reads) >= state.config.reads_max:
            raise Overloaded(f"{len(state.reads)} reads of group {state.group} wait for a majority")
        state.reads.request(context, state.commit if state.commit >= state.term_start else None)
        if state.probe.bug("raft.read_without_round"):
            state.reads.confirm(state.reads.round)
        leader.confirm_rounds(state)

    def cover(self, now_ns: int) -> int:
        """The number of a round that covers the present moment; see ``covered``. Raises NotLeader."""
        state = self._state
        state.now_ns = now_ns
        if state.role is not Role.LEADER:
            raise NotLeader(leader=state.leader, term=state.hard.term)
        round_number = state.reads.begin()
        leader.confirm_rounds(state)  # a voter alone is a quorum
        return round_number

    @property
    def covered(self) -> int:
        """The highest round of this term that a quorum has answered; 0 where this replica does not lead."""
        return self._state.reads.covered

    @property
    def wants_beat(self) -> bool:
        """Does a round wait that no message on its way to a quorum carries? Then the node should beat now."""
        state = self._state
        reads = state.reads
        if reads.round <= reads.covered or reads.round <= reads.beat_round:
            return False
        sent = {node: 0 if peer.suspect else peer.round_sent for node, peer in state.progress.items()}
        sent[state.node] = reads.round
        return reached(state.configuration, sent) < reads.round

    # -- what the shell did

    def durable(self, term: Term, index: Index, now_ns: int) -> None:
        """The write whose last entry is (term, index), and every write before it, are on the disk."""
        state = self._state
        state.now_ns = now_ns
        if state.log.written(term, index) and state.role is Role.LEADER:
            leader.maybe_commit(state)

    def hard_state_durable(self, hard_state: HardState) -> None:
        """This hard state is on the disk."""
        state = self._state
        if hard_state == state.hard:
            candidate.own_vote_durable(state)

    def applied(self, index: Index) -> None:
        """Everything up to ``index`` is applied."""
        state = self._state
        if not state.applied <= index <= state.handed:
            raise InvariantViolation(
                f"applied {index}, but {state.applied} was, and {state.handed} is handed out"
            )
        state.applied = index
        leader.applied(state, index)
        state.log.trim(index, state.config.memory_bytes)

    def fetched(self, peer: NodeId, first: Index, entries: Sequence[Entry]) -> None:
        """Answers a Fetch; no entries: they are not on the disk any more."""
        leader.fetched(self._state, peer, first, tuple(entries))

    def install_sent(self, peer: NodeId, ok: bool) -> None:
        """A snapshot was streamed to ``peer``, or could not be."""
        leader.install_sent(self._state, peer, ok)

    def accepts_snapshot(self, offer: InstallSnapshot) -> bool:
        """Is this offer, after ``step``, worth receiving: of the present term, and ahead of this log
        (R12a)?"""
        state = self._state
        newer = offer.index > state.commit or state.probe.bug("raft.install_older")
        return offer.term == state.hard.term and newer

    def snapshot_installed(self, meta: SnapshotMeta, now_ns: int) -> bool:
        """The durable marker of a received snapshot is written: the log begins behind it. False: not needed
        any more (R12a), for all of it is applied. What has been committed meanwhile, and not applied, may be
        nowhere but in the snapshot by now. The suffix behind a matching entry is kept (R12b), any other log
        goes (R12c)."""
        state = self._state
        state.now_ns = now_ns
        older = state.probe.bug("raft.install_older")
        if meta.index <= state.applied and not older:
            state.probe.mark("raft.install_late")
            return False
        if state.log.term_at(meta.index) == meta.term and meta.index <= state.log.durable_index:
            state.probe.mark("raft.install_keeps_suffix")
            state.configurations.compact(meta.index)
            state.log.compact(meta)
        else:
            state.probe.mark("raft.install_replaces_log")
            state.log.restore(meta)
            state.configurations.restore(Configuration(meta.voters, meta.learners), meta.index)
        skip = state.probe.bug("raft.snapshot_off_by_one")
        state.applied = Index(meta.index + skip)
        keeps = not older and meta.index < state.commit
        state.commit = max(state.applied, min(state.commit, state.log.last_index)) if keeps else state.applied
        state.handed = min(max(state.applied, state.handed), state.commit) if keeps else state.applied
        if state.leader not in (NO_NODE, state.node):
            state.matched = max(state.matched, meta.index)
            state.ack_due = True
        return True

    def compacted(self, meta: SnapshotMeta) -> None:
        """The replica's own snapshot at ``meta`` is durable: the log's prefix goes. An older one is ignored
        (R12e)."""
        state = self._state
        if meta.index > state.applied:
            raise InvariantViolation(
                f"a snapshot at {meta.index} is ahead of what is applied, {state.applied}"
            )
        if state.log.compact(meta):
            state.configurations.compact(meta.index)

    def forget(self, upto_index: Index) -> None:
        """Let go of entry objects up to ``upto_index`` as far as they are applied."""
        state = self._state
        state.log.forget(min(upto_index, state.applied))

    def entries(self, first: Index, last: Index) -> tuple[Entry, ...] | None:
        """Entries ``first``..``last`` from memory; None where some are only on the disk."""
        return self._state.log.slice(first, last)

    # -- what it wants done

    def has_ready(self) -> bool:
        """Would ``ready`` ask for anything?"""
        state = self._state
        log, reads = state.log, state.reads
        return bool(
            state.sending
            or state.now
            or state.after
            or log.unstable <= log.last_index
            or (state.commit > state.handed and self._committable() > state.handed)
            or (state.ack_due and follower.ack_ready(state))
            or state.hard_changed
            or state.role_changed
            or reads.done
            or reads.failed
            or state.fetches
            or state.installs
            or state.dropped_from is not None
            or state.cured
        )

    def _committable(self) -> int:
        """Up to here entries may be applied: committed, durable here as well, and not too many at once
        (R19)."""
        state = self._state
        return min(state.commit, state.log.durable_index, state.applied + state.config.committed_max)

    def ready(self) -> Ready:
        """Take this turn's work. The order of doing it is the caller's contract: see
        ``haqactor.raft.ready``."""
        state = self._state
        if state.sending:
            leader.replicate(state)
        log = state.log
        entries = log.take_unstable(state.now_ns) if log.unstable <= log.last_index else ()
        if state.ack_due:
            follower.acknowledge(state, bool(entries))
        committed: tuple[Index, Index] | None = None
        if state.commit > state.handed and (upto := Index(self._committable())) > state.handed:
            committed = (Index(state.handed + 1), upto)
            state.handed = upto
        reads = state.reads
        ready = Ready(
            entries,
            state.hard if state.hard_changed else None,
            tuple(state.now) if state.now else (),
            tuple(state.after) if state.after else (),
            committed,
            tuple(reads.done) if reads.done else (),
            tuple(reads.failed) if reads.failed else (),
            tuple(state.fetches) if state.fetches else (),
            tuple(state.installs) if state.installs else (),
            state.dropped_from,
            state.role_changed,
            state.cured,
        )
        state.hard_changed = state.role_changed = state.cured = False
        state.dropped_from = None
        for box in (state.now, state.after, reads.done, reads.failed, state.fetches, state.installs):
            if box:
                box.clear()
        return ready
