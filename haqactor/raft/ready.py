"""What the core wants done: one ``Ready`` a turn, and the order in which its parts must happen.

The caller's duties, in this order (persist, then send, then apply):

1. Queue ``entries`` and ``hard_state`` to the journal, together, in one record batch. An entry whose index
   is not above the log's last replaces it and all behind it. ``cured``: drop the journal's suspect mark of
   this group, in the same batch (until then the mark must outlive restarts).
2. Send ``messages_now`` at once: they promise nothing that the journal has still to write (a leader's own
   Appends, pre-votes, probes).
3. Send ``messages_after`` only once the batch of 1. is durable (votes, append replies). If 1. was empty
   they may go at once, but never before an earlier turn's.
4. When the journal reports durable, call ``RaftCore.durable(term, index)`` with the last entry's term and
   index of that batch (R5), and ``hard_state_durable(hard_state)`` where there was one.
5. Apply ``committed`` (first, last) in order, then call ``RaftCore.applied(last)``.
6. Serve ``reads`` whose index is applied. ``fetches`` ask for entries that are no longer in memory: read
   them and call ``RaftCore.fetched(...)``. ``installs`` name followers that need a snapshot: stream it,
   then ``RaftCore.install_sent``.
"""

from dataclasses import dataclass
from typing import NamedTuple

from haqactor.entry import Entry
from haqactor.ids import NO_NODE, Index, NodeId, Term
from haqactor.raft.messages import InstallSnapshot, Message


class HardState(NamedTuple):
    """What must survive a crash before anybody hears of it (R1)."""

    term: Term = Term(0)
    vote: NodeId = NO_NODE


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """The last entry that a snapshot covers, and the configuration at that entry."""

    index: Index
    term: Term
    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """A ReadIndex that leadership was confirmed for: serve ``context`` once ``index`` is applied (thesis
    6.4)."""

    context: int
    index: Index


@dataclass(frozen=True, slots=True)
class Fetch:
    """Entries from ``first`` on, at most ``bytes_max``, wanted for ``peer``; they are on disk only."""

    peer: NodeId
    first: Index
    last: Index
    bytes_max: int


class Ready(NamedTuple):
    """One turn's work. Empty fields ask for nothing."""

    entries: tuple[Entry, ...] = ()
    hard_state: HardState | None = None
    messages_now: tuple[tuple[NodeId, Message], ...] = ()
    messages_after: tuple[tuple[NodeId, Message], ...] = ()
    committed: tuple[Index, Index] | None = None  #: inclusive range, already durable on a quorum
    reads: tuple[Read, ...] = ()
    reads_failed: tuple[int, ...] = ()  #: contexts whose leadership was lost
    fetches: tuple[Fetch, ...] = ()
    installs: tuple[tuple[NodeId, InstallSnapshot], ...] = ()  #: offers to make; the state goes by the shell
    dropped_from: Index | None = None  #: proposals from here on were overwritten by another leader
    role_changed: bool = False  #: look at ``RaftCore.role``, ``.leader``, ``.term``
    cured: bool = False  #: a suspect replica counts again: its mark may go
