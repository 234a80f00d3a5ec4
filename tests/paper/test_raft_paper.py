"""The Raft paper, section by section (extended version); section 6 is with the thesis."""

import pytest

from haqactor.entry import Kind
from haqactor.errors import NotLeader
from haqactor.ids import NO_NODE, Index, NodeId, Term
from haqactor.raft.config import RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.heartbeat import BeatRow
from haqactor.raft.messages import Append, AppendReply, RequestVote, Vote
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP, Block, Cluster
from tests.builders.raft_core import entries, make, make_leader, role_of, sent, timeout, work

ONE, TWO = NodeId(1), NodeId(2)


def append(term: int, prev: tuple[int, int], terms: tuple[int, ...] = (), commit: int = 0) -> Append:
    return Append(Term(term), Index(prev[0]), Term(prev[1]), Index(commit), entries(prev[0] + 1, terms))


def follow(core: RaftCore, term: int) -> None:
    core.beat(ONE, BeatRow(GROUP, Term(term), Index(0), 0), 0)


def answers(core: RaftCore) -> list[AppendReply]:
    return [message for _, message in sent(work(core)) if isinstance(message, AppendReply)]


def votes(core: RaftCore) -> list[Vote]:
    return [message for _, message in sent(work(core)) if isinstance(message, Vote)]


# -- 5.1 terms


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
def test_5_1_a_higher_term_makes_a_follower(role: Role) -> None:
    """5.1: if one server's term is smaller than the other's, it updates its own; leaders and candidates
    revert."""
    core = make()
    now_ns = 0
    if role is Role.LEADER:
        now_ns = make_leader(core)
    elif role is Role.CANDIDATE:
        now_ns = timeout(core)
        core.step(ONE, Vote(Term(1), True, True, 1), now_ns)
    assert role_of(core) is role
    core.step(TWO, append(5, (0, 0)), now_ns)
    assert (core.role, core.term, core.leader) == (Role.FOLLOWER, 5, TWO)


def test_5_1_a_stale_term_is_refused() -> None:
    """5.1: a request with a stale term number is rejected, and the answer tells the newer one."""
    core = make(term=3)
    core.step(ONE, append(2, (0, 0), (2,)), 0)
    reply = answers(core)[-1]
    assert (reply.accepted, reply.term, core.last_index) == (False, 3, 0)


# -- 5.2 elections


def test_5_2_starts_as_follower() -> None:
    """5.2: when servers start up, they begin as followers."""
    assert make().role is Role.FOLLOWER


def test_5_2_a_leader_beats() -> None:
    """5.2: leaders send periodic heartbeats to all followers; here a row of the node's beat is one."""
    core = make()
    assert core.row() is None
    make_leader(core)
    row = core.row()
    assert row is not None
    assert (row.group, row.term, row.commit) == (GROUP, 1, 1)


def test_5_2_silence_starts_an_election() -> None:
    """5.2 and thesis 9.6: without a word for the election timeout, a pre-vote, and once it is won a new
    term."""
    core = make()
    now_ns = timeout(core)
    asked = [message for _, message in sent(work(core)) if isinstance(message, RequestVote)]
    assert [(message.pre, message.term) for message in asked] == [(True, 1), (True, 1)]
    assert (core.role, core.term) == (Role.PRE_CANDIDATE, 0)
    core.step(ONE, Vote(Term(1), True, True, 1), now_ns)
    readies = work(core)
    hard = readies[0].hard_state
    assert hard is not None
    assert (hard.term, hard.vote) == (1, core.node)
    assert not [message for _, message in readies[0].messages_now]  # not before term and vote are durable
    assert [to for to, message in readies[0].messages_after if isinstance(message, RequestVote)] == [ONE, TWO]


@pytest.mark.parametrize(
    ("size", "granted", "role"),
    [
        (1, 0, Role.LEADER),
        (3, 0, Role.CANDIDATE),
        (3, 1, Role.LEADER),
        (3, 2, Role.LEADER),
        (5, 1, Role.CANDIDATE),
        (5, 2, Role.LEADER),
        (5, 4, Role.LEADER),
    ],
)
def test_5_2_a_majority_elects(size: int, granted: int, role: Role) -> None:
    """5.2: a candidate wins if it receives votes from a majority of the servers for the same term."""
    core = make(size=size)
    now_ns = timeout(core)
    for voter in range(1, size):
        core.step(NodeId(voter), Vote(Term(1), True, True, 1), now_ns)
    work(core)
    for voter in range(1, granted + 1):
        core.step(NodeId(voter), Vote(Term(1), True, False, 1), now_ns)
    assert role_of(core) is role


def test_5_2_its_own_vote_counts_once_durable() -> None:
    """5.2, and the persistence rule of figure 2: no answer, no count before the vote is on the disk."""
    core = make(size=1)
    timeout(core)
    ready = core.ready()
    assert role_of(core) is Role.CANDIDATE
    assert ready.hard_state is not None
    core.hard_state_durable(ready.hard_state)
    assert role_of(core) is Role.LEADER


@pytest.mark.parametrize(
    ("vote", "candidate", "granted"),
    [(NO_NODE, 1, True), (NO_NODE, 2, True), (1, 1, True), (2, 2, True), (1, 2, False)],
)
def test_5_2_one_vote_a_term(vote: int, candidate: int, granted: bool) -> None:
    """5.2: each server votes for at most one candidate in a given term, first come, first served."""
    core = make(term=1, vote=vote)
    core.step(NodeId(candidate), RequestVote(Term(1), NodeId(candidate), Index(0), Term(0), boot=1), 0)
    assert [answer.granted for answer in votes(core)] == [granted]


def test_5_2_a_vote_waits_for_the_disk() -> None:
    """Figure 2: currentTerm and votedFor are updated on stable storage before responding (R1)."""
    core = make()
    core.step(ONE, RequestVote(Term(1), ONE, Index(0), Term(0), boot=1), 0)
    ready = core.ready()
    assert ready.hard_state is not None
    assert (ready.hard_state.term, ready.hard_state.vote) == (1, ONE)
    assert ready.messages_now == ()
    assert ready.messages_after == ((ONE, Vote(Term(1), True, False, 1)),)


@pytest.mark.parametrize("term", [1, 2])
def test_5_2_a_candidate_yields_to_a_leader(term: int) -> None:
    """5.2: a candidate that hears a leader whose term is at least its own recognizes it."""
    core = make()
    now_ns = timeout(core)
    core.step(ONE, Vote(Term(1), True, True, 1), now_ns)
    assert (core.role, core.term) == (Role.CANDIDATE, 1)
    core.step(TWO, append(term, (0, 0)), now_ns)
    assert (core.role, core.leader, core.term) == (Role.FOLLOWER, TWO, term)


def test_5_2_timeouts_are_random() -> None:
    """5.2: election timeouts are chosen randomly from a fixed interval, and anew for each wait."""
    config = RaftConfig()
    core = make(config=config)
    drawn: dict[int, bool] = {}
    for _ in range(50):
        follow(core, 1)
        drawn[core.next_deadline_ns] = True
    assert len(drawn) > 40
    assert config.election_min_ns <= min(drawn) < max(drawn) <= config.election_max_ns


def test_5_2_a_split_vote_is_repeated() -> None:
    """5.2: with split votes each candidate times out and starts a new election."""
    core = make(size=5)
    now_ns = timeout(core)
    for voter in (1, 2):
        core.step(NodeId(voter), Vote(Term(1), True, True, 1), now_ns)
    assert core.term == 1
    work(core)
    now_ns = timeout(core)
    assert role_of(core) is Role.PRE_CANDIDATE
    for voter in (1, 2):
        core.step(NodeId(voter), Vote(Term(2), True, True, 1), now_ns)
    assert (core.role, core.term) == (Role.CANDIDATE, 2)


# -- 5.3 log replication


def test_5_3_a_leader_replicates() -> None:
    """5.3: the leader appends the command to its log and sends AppendEntries in parallel to the others."""
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    entry = core.propose(Kind.COMMAND, b"", b"x", now_ns)
    ready = core.ready()
    assert ready.entries == (entry,)
    expected = Append(Term(1), Index(1), Term(1), Index(1), (entry,), 0)
    assert ready.messages_now == ((ONE, expected), (TWO, expected))
    with pytest.raises(NotLeader):
        make().propose(Kind.COMMAND, b"", b"x", now_ns)


@pytest.mark.parametrize(
    ("size", "acknowledged", "committed"),
    [
        (1, (), True),
        (3, (), False),
        (3, (1,), True),
        (5, (1,), False),
        (5, (1, 2), True),
        (5, (1, 2, 3, 4), True),
    ],
)
def test_5_3_a_majority_commits(size: int, acknowledged: tuple[int, ...], committed: bool) -> None:
    """5.3: an entry is committed once the leader that created it has replicated it on a majority."""
    core = make(size=size)
    now_ns = make_leader(core, granted=tuple(range(1, size // 2 + 1)))
    entry = core.propose(Kind.COMMAND, b"", b"x", now_ns)
    work(core)
    for voter in acknowledged:
        core.step(NodeId(voter), AppendReply(Term(1), True, entry.index, boot=1), now_ns)
    assert (core.commit == entry.index) is committed


def test_5_3_the_leaders_own_disk_counts_when_done() -> None:
    """5.3, thesis 10.2.1: the leader writes in parallel, and counts itself only when durable."""
    core = make()
    now_ns = make_leader(core)
    entry = core.propose(Kind.COMMAND, b"", b"x", now_ns)
    work(core, durable=False)
    core.step(ONE, AppendReply(Term(1), True, entry.index, boot=1), now_ns)
    assert core.commit == entry.index - 1
    core.durable(entry.term, entry.index, now_ns)
    assert core.commit == entry.index


def test_5_3_preceding_entries_commit_too() -> None:
    """5.3: this also commits all preceding entries in the leader's log, those of other leaders included."""
    cluster = Cluster()
    cluster.run(2_000)
    first = cluster.leader()
    others = [replica.node for replica in cluster.live() if replica is not first]
    cluster.isolate(first.node)
    first.propose(b"lost")
    cluster.run(2_500)
    second = cluster.leader()
    assert second.node in others
    cluster.heal()
    second.propose(b"kept")
    cluster.run(1_000)
    assert {replica.core.commit for replica in cluster.live()} == {second.core.last_index}


def test_5_3_a_follower_commits_what_the_leader_committed() -> None:
    """5.3: once a follower learns that an entry is committed, it applies it, in log order."""
    core = make()
    core.step(ONE, append(1, (0, 0), (1, 1, 1), commit=2), 0)
    committed = [ready.committed for ready in work(core) if ready.committed]
    assert committed == [(1, 2)]
    core.step(ONE, append(1, (3, 1), commit=9), 0)
    assert core.commit == 3


@pytest.mark.parametrize(
    ("prev", "hint"), [((3, 3), (2, 2)), ((2, 1), (1, 1)), ((9, 3), (2, 2)), ((9, 1), (1, 1))]
)
def test_5_3_the_consistency_check(prev: tuple[int, int], hint: tuple[int, int]) -> None:
    """5.3: without the entry before the new ones a follower refuses; it says where to look next."""
    core = make((1, 2))
    core.step(ONE, append(3, prev, (3,)), 0)
    reply = answers(core)[-1]
    assert (reply.accepted, reply.rejected) == (False, prev[0])
    assert (reply.hint_index, reply.hint_term) == hint
    assert core.last_index == 2


@pytest.mark.parametrize(
    ("prev", "new", "after", "written"),
    [
        ((2, 2), (3,), (1, 2, 3), (3,)),
        ((1, 1), (3, 4), (1, 3, 4), (3, 4)),
        ((0, 0), (1,), (1, 2), ()),
        ((0, 0), (3,), (3,), (3,)),
        ((1, 1), (2,), (1, 2), ()),
        ((2, 2), (), (1, 2), ()),
    ],
)
def test_5_3_conflicts_go(
    prev: tuple[int, int], new: tuple[int, ...], after: tuple[int, ...], written: tuple[int, ...]
) -> None:
    """5.3: conflicting entries are overwritten with the leader's; what agrees stays, even behind a short
    message."""
    core = make((1, 2))
    core.step(ONE, append(4, prev, new), 0)
    ready = core.ready()
    assert tuple(core.term_at(Index(index + 1)) for index in range(core.last_index)) == after
    assert tuple(entry.term for entry in ready.entries) == written


FIGURE_7 = {
    "leader": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6),
    "a": (1, 1, 1, 4, 4, 5, 5, 6, 6),
    "b": (1, 1, 1, 4),
    "c": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
    "d": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
    "e": (1, 1, 1, 4, 4, 4, 4),
    "f": (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
}


@pytest.mark.parametrize("follower", ["a", "b", "c", "d", "e", "f"])
def test_5_3_figure_7(follower: str) -> None:
    """5.3, figure 7: the leader forces the followers' logs to duplicate its own, in few rounds thanks to the
    hints."""
    cluster = Cluster(3)
    for node, terms in ((0, FIGURE_7["leader"]), (1, FIGURE_7[follower]), (2, ())):
        cluster[node].crash()
        cluster[node].journal.write(Block(entries(1, terms)))
        cluster[node].start()
    for node in (0, 2):
        cluster[node].core.step(NodeId(1), append(7, (99, 7)), 0)  # everybody is in term 7
        cluster[node].turn()
    cluster.settle()
    leader = cluster.elect(0)
    cluster.run(300)
    expected = [*FIGURE_7["leader"], 8]
    assert cluster.logs() == [expected, expected, expected]
    refusals = [
        message
        for ready in cluster[1].readies
        for _, message in ready.messages_after
        if isinstance(message, AppendReply) and not message.accepted and message.term == leader.core.term
    ]
    assert len(refusals) <= 3


def test_5_3_never_more_than_verified_is_acknowledged() -> None:
    """5.3: a follower with a divergent longer log acknowledges what the message reached, not its last index
    (R3)."""
    core = make((1, 1, 2, 2, 2))
    core.step(ONE, append(3, (2, 1)), 0)
    assert [(reply.accepted, reply.matched) for reply in answers(core)] == [(True, 2)]


# -- 5.4 safety


@pytest.mark.parametrize(
    ("voter", "candidate", "granted"),
    [
        ((1,), (1, 1), True),
        ((1,), (2, 1), True),
        ((1, 1), (1, 1), False),
        ((1,), (1, 2), True),
        ((1, 1), (1, 2), True),
        ((2,), (1, 1), False),
        ((2,), (5, 1), False),
        ((1, 2), (1, 2), False),
    ],
)
@pytest.mark.parametrize("pre", [True, False])
def test_5_4_1_the_voters_log(
    voter: tuple[int, ...], candidate: tuple[int, int], granted: bool, pre: bool
) -> None:
    """5.4.1: the voter denies its vote if its own log is more up-to-date than that of the candidate."""
    core = make(voter)
    asked = RequestVote(Term(3), ONE, Index(candidate[0]), Term(candidate[1]), pre=pre, boot=1)
    core.step(ONE, asked, 0)
    assert [answer.granted for answer in votes(core)] == [granted]


def test_5_4_2_figure_8() -> None:
    """5.4.2, figure 8: an entry of an old term on a majority is not committed, and may still be overwritten;
    with an entry of the leader's own term it is."""
    core = make((1, 2), term=3, size=5)  # S1 in (c): index 2 is of term 2
    now_ns = make_leader(core, granted=(1, 2), acknowledge=False)
    assert core.term == 4
    for voter in (1, 2):
        core.step(NodeId(voter), AppendReply(Term(4), True, Index(2), boot=1), now_ns)
    assert core.commit == 0  # on three of five, but of an old term
    for voter in (1, 2):
        core.step(NodeId(voter), AppendReply(Term(4), True, Index(3), boot=1), now_ns)
    assert core.commit == 3  # (e)
    overwritten = make((1, 2), term=4, node=1, size=5)  # S2 in (d): S5 leads in term 5 with term 3 at index 2
    overwritten.step(NodeId(4), append(5, (1, 1), (3,)), 0)
    assert overwritten.term_at(Index(2)) == 3


def test_5_4_2_a_new_leader_appends_at_once() -> None:
    """5.4.2, section 8: a blank no-op at the start of its term finds out what is committed (R2)."""
    core = make((1, 1))
    make_leader(core, acknowledge=False)
    assert (core.last_index, core.last_term, core.term_start) == (3, 2, 3)


# -- 5.5 crashes


def test_5_5_repeated_messages_are_idempotent() -> None:
    """5.5: an AppendEntries whose entries are already in the log is answered the same, and changes nothing
    (R4)."""
    core = make()
    message = append(1, (0, 0), (1, 1))
    core.step(ONE, message, 0)
    work(core)
    core.step(ONE, append(1, (2, 1), (1,)), 0)
    work(core)
    core.step(ONE, message, 0)
    readies = work(core)
    assert [ready.entries for ready in readies] == [()]
    assert core.last_index == 3


# -- 7 log compaction


def lagging() -> Cluster:
    """Node 2 was down while the others committed and compacted."""
    cluster = Cluster()
    cluster.run(2_000)
    cluster.elect(0)
    cluster[2].crash()
    for number in range(10):
        cluster[0].propose(b"%d" % number)
    cluster.run(300)
    for node in (0, 1):
        cluster[node].snapshot()
    cluster[0].propose(b"behind the snapshot")
    cluster.run(300)
    cluster[2].start()
    return cluster


def test_7_a_lagging_follower_gets_the_snapshot() -> None:
    """7: the leader sends a snapshot where it has discarded the next entry it needs; then the log goes on."""
    cluster = lagging()
    cluster.run(1_000)
    assert cluster[2].core.snapshot.index == cluster[0].core.snapshot.index > 0
    assert cluster[2].core.applied_index == cluster[0].core.applied_index
    assert cluster[2].applied == cluster[0].applied


def test_7_a_lost_snapshot_is_offered_again() -> None:
    """7: a follower that never got it is looked for again, and gets it."""
    cluster = lagging()
    cluster.isolate(2)
    cluster.run(500)
    cluster.heal()
    cluster.run(200)
    cluster.network.clear()
    cluster[0].core.install_sent(NodeId(2), True)
    cluster.run(4_000)
    assert cluster[2].applied == cluster[0].applied
