"""Section 6 of the Raft paper, and what the thesis adds: sticky leaders, pre-vote, check-quorum, reads,
transfer."""

import pytest

from haqactor.entry import Kind
from haqactor.errors import NotLeader
from haqactor.ids import NO_NODE, Index, NodeId, Term
from haqactor.raft.config import MILLISECOND_NS, RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.heartbeat import BeatRow
from haqactor.raft.messages import AppendReply, RequestVote, TimeoutNow, Vote
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP, Cluster
from tests.builders.raft_core import make, make_leader, sent, work

ONE, TWO = NodeId(1), NodeId(2)


def follow(core: RaftCore, term: int) -> None:
    core.beat(ONE, BeatRow(GROUP, Term(term), Index(0), 0), 0)


def votes(core: RaftCore) -> list[Vote]:
    return [message for _, message in sent(work(core)) if isinstance(message, Vote)]


@pytest.mark.parametrize("pre", [True, False])
def test_thesis_4_2_3_a_live_leader_is_kept(pre: bool) -> None:
    """Section 6, thesis 4.2.3: within the minimum election timeout of hearing a leader, votes are refused
    and the term stays (R9, R10)."""
    core = make(term=1)
    follow(core, 1)
    asked = RequestVote(Term(9), TWO, Index(9), Term(9), pre=pre, boot=1)
    core.step(TWO, asked, RaftConfig().election_min_ns - 1)
    assert [answer.granted for answer in votes(core)] == [False]
    assert core.term == 1
    core.step(TWO, asked, RaftConfig().election_min_ns)
    assert [answer.granted for answer in votes(core)] == [True]


def test_thesis_9_6_a_partitioned_server_does_not_disturb() -> None:
    """Thesis 9.6: a server cut off for long comes back with the term it left with, and the leader stays."""
    cluster = Cluster()
    cluster.run(2_000)
    leader = cluster.leader()
    lonely = next(replica for replica in cluster.live() if replica is not leader)
    term = leader.core.term
    cluster.isolate(lonely.node)
    cluster.run(5_000)
    assert lonely.core.role is not Role.LEADER
    assert lonely.core.term == term
    cluster.heal()
    cluster.run(1_000)
    assert (cluster.leader(), leader.core.term) == (leader, term)


def test_thesis_6_2_a_leader_without_quorum_steps_down() -> None:
    """Thesis 6.2: a leader steps down if an election timeout elapses without a round to a majority (R9)."""
    cluster = Cluster()
    cluster.run(2_000)
    leader = cluster.leader()
    cluster.isolate(leader.node)
    cluster.run(RaftConfig().election_max_ns // MILLISECOND_NS + 200)
    assert leader.core.role is not Role.LEADER
    assert cluster.leader() is not leader


def test_thesis_6_4_read_index() -> None:
    """Thesis 6.4: the commit index is noted once the leader has committed in its term, a round of answers
    confirms leadership, then the read is served at that index (R11)."""
    core = make((1,))
    now_ns = make_leader(core, acknowledge=False)
    core.request_read(7, now_ns)
    row = core.row()
    assert row is not None
    core.beat_answer(ONE, core.answer_row()._replace(context=row.context), now_ns)
    assert not any(ready.reads for ready in work(core))  # nothing of this term is committed
    core.step(ONE, AppendReply(Term(2), True, Index(2), boot=1), now_ns)
    assert not any(ready.reads for ready in work(core))  # this answer covers no round asked since
    row = core.row()
    assert row is not None
    core.beat_answer(ONE, core.answer_row()._replace(context=row.context), now_ns)
    reads = [read for ready in work(core) for read in ready.reads]
    assert [(read.context, read.index) for read in reads] == [(7, 2)]


def test_thesis_6_4_a_deposed_leader_serves_no_read() -> None:
    """Thesis 6.4: a leader that cannot reach a majority never learns that it is current, and fails the
    read."""
    cluster = Cluster()
    cluster.run(2_000)
    old = cluster.leader()
    cluster.isolate(old.node)
    old.core.request_read(1, cluster.now_ns)
    old.turn()
    cluster.run(3_000)
    assert old.reads == []
    assert old.reads_failed == [1]


def test_thesis_3_10_leadership_transfer() -> None:
    """Thesis 3.10: the target is brought up to date and told to start its election at once."""
    cluster = Cluster()
    cluster.run(2_000)
    old = cluster.leader()
    target = next(replica for replica in cluster.live() if replica is not old)
    old.propose(b"last")
    old.core.transfer(target.node, cluster.now_ns)
    old.turn()
    with pytest.raises(NotLeader):
        old.propose(b"refused")
    cluster.settle()
    assert cluster.leader() is target
    assert target.core.last_index == old.core.last_index


def test_thesis_3_10_an_unfinished_transfer_is_aborted() -> None:
    """Thesis 3.10: if it does not complete within an election timeout, the leader goes on."""
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    core.transfer(TWO, now_ns)
    assert [to for to, message in sent(work(core)) if isinstance(message, TimeoutNow)] == [TWO]
    with pytest.raises(NotLeader) as refused:
        core.propose(Kind.COMMAND, b"", b"x", now_ns)
    assert refused.value.leader == -1, "nobody waits for one that may never lead: seed 5154 of profile swarm"
    assert core.next_deadline_ns == now_ns + RaftConfig().election_min_ns
    core.beat_answer(ONE, core.answer_row(), core.next_deadline_ns)
    core.tick(core.next_deadline_ns)
    assert core.is_leader
    core.propose(Kind.COMMAND, b"", b"x", core.next_deadline_ns)


def test_thesis_3_10_asking_again_makes_no_transfer_longer() -> None:
    """Whoever asks every half second for a target that may not campaign would stop all proposals for ever:
    seed 7071 of profile swarm."""
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    core.transfer(TWO, now_ns)
    work(core)
    again_ns = now_ns + RaftConfig().election_min_ns // 2
    core.beat_answer(ONE, core.answer_row(), again_ns)
    core.transfer(TWO, again_ns)
    assert core.transferee == TWO
    assert core.next_deadline_ns == now_ns + RaftConfig().election_min_ns
    core.tick(core.next_deadline_ns)
    assert core.transferee == NO_NODE
