"""A look at one replica, frozen.

One rule: plain values, so that it can be shown, sent and compared.
"""

from dataclasses import dataclass

from haqactor.ids import GroupId, Index, NodeId, Term


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """What the leader knows of one follower. ``mode``: probe, replicate or snapshot."""

    node: NodeId
    mode: str
    match: Index
    next: Index
    flight_bytes: int
    silent_ns: int
    suspect: bool


@dataclass(frozen=True, slots=True)
class RaftStatistics:
    """One replica. ``role``: follower, pre_candidate, candidate or leader."""

    group: GroupId
    node: NodeId
    role: str
    leader: NodeId
    term: Term
    commit: Index
    applied: Index
    last_index: Index
    durable_index: Index
    snapshot_index: Index
    memory_bytes: int
    unapplied_bytes: int
    reads_pending: int
    suspect: bool
    peers: tuple[PeerStatistics, ...]
