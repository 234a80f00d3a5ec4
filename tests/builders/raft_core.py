"""One Raft core by itself, for tests that play its peers' and its disk's part.

One rule: what is not given is what a fresh replica of three would have.
"""

from collections.abc import Sequence

from haqactor.entry import Entry, Kind, build
from haqactor.env import NullProbe
from haqactor.ids import NO_NODE, GroupId, Index, NodeId, Term
from haqactor.raft.config import RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.messages import AppendReply, Message, Vote
from haqactor.raft.ready import HardState, Ready, SnapshotMeta
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP, Chance


def entry(index: int, term: int, body: bytes | None = None) -> Entry:
    """The entry that any log of these tests has at this index and term."""
    content = b"%d/%d" % (term, index) if body is None else body
    return build(GROUP, Index(index), Term(term), Kind.COMMAND, b"", content)


def entries(first: int, terms: Sequence[int]) -> tuple[Entry, ...]:
    """Entries of these terms from ``first`` on."""
    return tuple(entry(first + position, term) for position, term in enumerate(terms))


def runs_of(terms: Sequence[int], first: int = 1) -> list[tuple[Index, Term]]:
    """The runs of a log with these terms."""
    found: list[tuple[Index, Term]] = []
    for position, term in enumerate(terms):
        if not found or found[-1][1] != term:
            found.append((Index(first + position), Term(term)))
    return found


def make(
    terms: Sequence[int] = (),
    *,
    term: int | None = None,
    vote: int = NO_NODE,
    node: int = 0,
    group: int = GROUP,
    size: int = 3,
    boot: int = 1,
    suspect: bool = False,
    snapshot: tuple[int, int] = (0, 0),
    config: RaftConfig | None = None,
    seed: int = 1,
) -> RaftCore:
    """A replica whose durable log has entries of ``terms`` above ``snapshot`` (index, term)."""
    voters = tuple(NodeId(voter) for voter in range(size))
    at = SnapshotMeta(Index(snapshot[0]), Term(snapshot[1]), voters)
    latest = terms[-1] if terms else snapshot[1]
    return RaftCore(
        GroupId(group),
        NodeId(node),
        config or RaftConfig(),
        hard_state=HardState(Term(latest if term is None else term), NodeId(vote)),
        snapshot=at,
        runs=runs_of(terms, snapshot[0] + 1),
        last_index=Index(snapshot[0] + len(terms)),
        boot=boot,
        suspect=suspect,
        random=Chance(seed),
        probe=NullProbe(),
        now_ns=0,
    )


def work(core: RaftCore, *, durable: bool = True, applies: bool = True, now_ns: int = 0) -> list[Ready]:
    """Take every Ready; with ``durable``, the disk is at once done; with ``applies``, committed entries are
    applied."""
    taken: list[Ready] = []
    while core.has_ready():
        ready = core.ready()
        taken.append(ready)
        if durable:
            if ready.hard_state is not None:
                core.hard_state_durable(ready.hard_state)
            if ready.entries:
                core.durable(ready.entries[-1].term, ready.entries[-1].index, now_ns)
        if applies and ready.committed is not None:
            core.applied(ready.committed[1])
    return taken


def sent(readies: Sequence[Ready]) -> list[tuple[NodeId, Message]]:
    """All messages, in order."""
    return [pair for ready in readies for pair in (*ready.messages_now, *ready.messages_after)]


def timeout(core: RaftCore) -> int:
    """Let the core's deadline pass; returns the time."""
    now_ns = core.next_deadline_ns
    core.tick(now_ns)
    return now_ns


def make_leader(core: RaftCore, granted: Sequence[int] = (1,), *, acknowledge: bool = True) -> int:
    """Carry ``core`` through an election won with these voters; with ``acknowledge`` its no-op is committed.
    Returns the time."""
    now_ns = timeout(core)
    term = Term(core.term + 1)
    for voter in granted:
        core.step(NodeId(voter), Vote(term, True, True, 1), now_ns)
    work(core, now_ns=now_ns)
    for voter in granted:
        core.step(NodeId(voter), Vote(term, True, False, 1), now_ns)
    assert core.is_leader
    work(core, now_ns=now_ns)
    if acknowledge:
        for voter in granted:
            core.step(NodeId(voter), AppendReply(term, True, core.last_index, boot=1), now_ns)
        work(core, now_ns=now_ns)
    return now_ns


def role_of(core: RaftCore) -> Role:
    """Its role now; a call, so that a type checker does not think that it stays."""
    return core.role
