"""What anybody may ask a replica: its role, its places in the log, how it stands.

One rule: looking changes nothing.
"""

from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft import hello
from haqactor.raft.membership import Configuration
from haqactor.raft.ready import HardState, SnapshotMeta
from haqactor.raft.recovery import CureState
from haqactor.raft.state import RaftState, Role
from haqactor.raft.statistics import PeerStatistics, RaftStatistics


class RaftView:
    """The readable side of ``RaftCore``."""

    __slots__ = ("_state",)

    def __init__(self, state: RaftState) -> None:
        self._state = state

    @property
    def group(self) -> GroupId:
        """The group."""
        return self._state.group

    @property
    def node(self) -> NodeId:
        """This replica's node."""
        return self._state.node

    @property
    def role(self) -> Role:
        """Its role in the present term."""
        return self._state.role

    @property
    def is_leader(self) -> bool:
        """Does it lead, as far as it knows?"""
        return self._state.role is Role.LEADER

    def waits_for_disk(self, now_ns: int) -> bool:
        """Has its disk been at one write for too long (R18)?"""
        state = self._state
        return state.write_age_ns(now_ns) > state.config.disk_slow_ns

    def should_give_up(self, now_ns: int, *, elsewhere: bool = False) -> bool:
        """Does it lead, though its disk stands still? ``elsewhere``: another group on the same disk waits for
        it. Whoever drives it is to hand over; it steps down by itself where that comes to nothing."""
        state = self._state
        if state.role is not Role.LEADER or state.probe.bug("raft.slow_leader_stays"):
            return False
        return elsewhere or self.waits_for_disk(now_ns)

    def leads(self, term: Term) -> bool:
        """Does it lead in ``term``, as far as it knows?"""
        state = self._state
        return state.role is Role.LEADER and state.hard.term == term

    @property
    def leader(self) -> NodeId:
        """The term's leader, NO_NODE while unknown."""
        return self._state.leader

    @property
    def term(self) -> Term:
        """The present term."""
        return self._state.hard.term

    @property
    def hard_state(self) -> HardState:
        """Term and vote, perhaps not durable yet."""
        return self._state.hard

    @property
    def commit(self) -> Index:
        """Everything up to here is committed, as far as this replica knows."""
        return self._state.commit

    @property
    def applied_index(self) -> Index:
        """Everything up to here is applied, as the shell reported."""
        return self._state.applied

    @property
    def last_index(self) -> Index:
        """The log's end."""
        return self._state.log.last_index

    @property
    def last_term(self) -> Term:
        """The term of the log's last entry."""
        return self._state.log.last_term

    @property
    def durable_index(self) -> Index:
        """The log is durable here up to this index."""
        return self._state.log.durable_index

    @property
    def snapshot(self) -> SnapshotMeta:
        """What the log begins behind."""
        return self._state.log.snapshot

    @property
    def configuration(self) -> Configuration:
        """The configuration in effect."""
        return self._state.configuration

    @property
    def preferred(self) -> NodeId:
        """The voter that should lead where nothing speaks against it, so that groups spread over nodes."""
        return self._state.ranked(self._state.configuration.deciders())[0]

    @property
    def transferee(self) -> NodeId:
        """Whom leadership is on its way to, NO_NODE if it is not; meanwhile nothing is proposed."""
        return self._state.transferee

    @property
    def term_start(self) -> Index:
        """As a leader: the index of the no-op; it serves once that is applied (R19)."""
        return self._state.term_start

    @property
    def suspect(self) -> bool:
        """Does this replica still count in no quorum?"""
        return self._state.recovery.suspect

    def cure_state(self) -> CureState:
        """Who is suspect, and which voters' reports this replica waits for."""
        return hello.cure_state(self._state)

    def term_at(self, index: Index) -> Term | None:
        """The term of the entry at ``index``, where the log has it."""
        return self._state.log.term_at(index)

    def statistics(self) -> RaftStatistics:
        """How it stands."""
        state = self._state
        log = state.log
        peers = tuple(
            PeerStatistics(
                p.node, p.mode.value, p.match, p.next, p.flight_bytes, state.now_ns - p.active_ns, p.suspect
            )
            for p in state.progress.values()
        )
        return RaftStatistics(
            group=state.group,
            node=state.node,
            role=state.role.value,
            leader=state.leader,
            term=state.hard.term,
            commit=state.commit,
            applied=state.applied,
            last_index=log.last_index,
            durable_index=log.durable_index,
            snapshot_index=log.snapshot.index,
            memory_bytes=log.memory_bytes,
            unapplied_bytes=state.unapplied_bytes,
            reads_pending=len(state.reads),
            suspect=state.recovery.suspect,
            peers=peers,
        )
