"""What the simulator sees happen inside hosts: the inside view of a run, which the checkers judge.

One rule: an event tells what is true, not what a node believes of itself: what is durable is read from the
medium, and checksums are taken over the bytes that are there. Nodes know nothing of being watched.

Events of one host come in the order in which they happened. ``group`` is a Raft group; ``crc`` a checksum
over an entry's whole frame; ``index`` and ``term`` are the log's.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

Span = tuple[int, int]


@dataclass(slots=True)
class Started:
    """A replica came (back) with what it found on its disk: its hard state (``voted_for``: "" for nobody),
    the last entry of its log and its snapshot's last entry (0: none). Each entry of its log follows as an
    Append. ``incarnation``: the node's boot epoch. ``suspect``: it may have lost something, it says, and
    counts in no quorum until it is cured. ``damaged``: more than a torn tail, and it knows; or the disk does,
    where what looks torn has rotted (seed 601393 of profile swarm). ``settled``: all that it found is on the
    medium, not only in a cache that a program left behind."""

    at_ns: int
    host: str
    group: int
    incarnation: int
    term: int
    voted_for: str
    last_index: int
    last_term: int
    snapshot_index: int = 0
    snapshot_term: int = 0
    suspect: bool = False
    settled: bool = True
    damaged: bool = False


@dataclass(slots=True)
class Vote:
    """A granted vote leaves the host; a candidate's request leaving is its vote for itself. Not for
    pre-votes."""

    at_ns: int
    host: str
    group: int
    term: int
    candidate: str


@dataclass(slots=True)
class Told:
    """An answer to a leader leaves the host in ``term``: it holds all up to ``index`` durably (0: nothing is
    claimed)."""

    at_ns: int
    host: str
    group: int
    term: int
    index: int


@dataclass(slots=True)
class Leader:
    """The host became leader of a term, with this last entry (before its no-op)."""

    at_ns: int
    host: str
    group: int
    term: int
    last_index: int
    last_term: int


@dataclass(slots=True)
class Append:
    """An entry stands at ``index`` of the host's log from now on, and nothing behind it."""

    at_ns: int
    host: str
    group: int
    index: int
    term: int
    crc: int


@dataclass(slots=True)
class Sync:
    """What of a replica is now on the medium: its last durable entry, snapshots counted, and its durable hard
    state. ``block``: the newest block of the host's log that the medium holds whole; 0: not known."""

    at_ns: int
    host: str
    group: int
    index: int
    term: int
    hard_term: int
    voted_for: str
    block: int = 0


@dataclass(slots=True)
class Commit:
    """The host knows everything up to ``index`` to be committed. ``term``: of the entry there; ``by``: the
    leader's term where the host decided it by counting, else 0. ``quorums``: the sets of voters of which a
    majority each must hold it (two of them in a joint configuration)."""

    at_ns: int
    host: str
    group: int
    index: int
    term: int
    by: int = 0
    quorums: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class Apply:
    """The host applied an entry; ``digest`` is its machine's afterwards. ``header`` and ``replies``: the
    commands (empty for a no-op or a configuration) and the machine's answers, for the reference model; None:
    this replica's are not shown."""

    at_ns: int
    host: str
    group: int
    index: int
    term: int
    crc: int
    digest: bytes
    header: bytes | None = None
    replies: list[Any] | None = None


@dataclass(slots=True)
class Snapshot:
    """A snapshot up to ``index`` was taken (``digest``: of a fresh machine made from it) or ``installed``
    (``digest``: of the machine from then on). ``lacking``: entries that its state refers to, and that
    the host does not have."""

    at_ns: int
    host: str
    group: int
    index: int
    term: int
    digest: bytes
    installed: bool = False
    lacking: int = 0


@dataclass(slots=True)
class Served:
    """The host handed an entry out, to a peer or to a consumer; ``crc``: of the bytes that left."""

    at_ns: int
    host: str
    group: int
    index: int
    term: int
    crc: int


@dataclass(slots=True)
class Chosen:
    """A leader's dispatcher chose these messages of a queue for a consumer under the lease ``(term,
    counter)``. ``index``: applied there; ``attempts``: (seq, failures) where there were some; ``lease_ns``:
    how long the lease is to last, if nobody ends or renews it; 0: not known."""

    at_ns: int
    host: str
    group: int
    uid: int
    term: int
    counter: int
    holder: str
    ranges: tuple[Span, ...]
    index: int = 0
    attempts: tuple[Span, ...] = ()
    lease_ns: int = 0


@dataclass(slots=True)
class Freed:
    """Leases of a queue ended at the leader of ``term``: settled, returned, or given up unused. ``expired``:
    because their time was over, though their consumer was there."""

    at_ns: int
    host: str
    group: int
    uid: int
    term: int
    ranges: tuple[Span, ...]
    expired: bool = False


@dataclass(slots=True)
class Holdings:
    """What a replica's machine holds of a queue after ``index``: as ``machine.info`` tells."""

    at_ns: int
    host: str
    group: int
    index: int
    uid: int
    ready: int
    delayed: int
    dead: int
    first_seq: int
    next_seq: int


@dataclass(slots=True)
class Gauge:
    """A buffer, table or file count of a host, and its bound."""

    at_ns: int
    host: str
    name: str
    value: int
    bound: int


@dataclass(slots=True)
class Membership:
    """The host believes so of a member from now on; ``own``: it says so of itself, ``begins``: for the first
    time since it was started, and it believes nothing of others yet. ``member``: the nonce of the member's
    disk, in hex; ``status``: alive, suspect, dead or left; ``incarnation``: 0 where it never heard of it and
    has its name from a list."""

    at_ns: int
    host: str
    member: str
    node: int
    status: str
    incarnation: int
    own: bool = False
    begins: bool = False


Event: TypeAlias = (
    Started
    | Vote
    | Told
    | Leader
    | Append
    | Sync
    | Commit
    | Apply
    | Snapshot
    | Served
    | Chosen
    | Freed
    | Holdings
    | Gauge
    | Membership
)
EVENTS: tuple[type[Event], ...] = (
    Started, Vote, Told, Leader, Append, Sync, Commit, Apply, Snapshot, Served, Chosen, Freed, Holdings,
    Gauge, Membership,
)  # fmt: skip
