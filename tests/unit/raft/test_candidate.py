"""Elections that do not wait: suspicion, and fresh groups."""

from haqactor.ids import NO_NODE, Index, NodeId, Term
from haqactor.raft.config import MILLISECOND_NS, RaftConfig
from haqactor.raft.heartbeat import BeatRow
from haqactor.raft.messages import Append
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP, Cluster
from tests.builders.raft_core import entries, make, work

ONE, TWO = NodeId(1), NodeId(2)
VOTERS = (NodeId(0), ONE, TWO)


def append(term: int, prev: tuple[int, int], terms: tuple[int, ...] = (), commit: int = 0) -> Append:
    return Append(Term(term), Index(prev[0]), Term(prev[1]), Index(commit), entries(prev[0] + 1, terms))


def test_a_killed_leader_is_replaced_at_once() -> None:
    for seed in range(10):
        cluster = Cluster(seed=seed)
        cluster.run(2_000)
        old = cluster.leader()
        old.crash()
        began = cluster.now_ns
        for replica in cluster.live():
            replica.core.suspect_leader(cluster.now_ns)
        while not any(replica.core.role is Role.LEADER for replica in cluster.live()):
            cluster.run(5, step_ms=5)
            assert cluster.now_ns - began < 100 * MILLISECOND_NS


def test_suspicion_that_one_has_alone_changes_nothing() -> None:
    cluster = Cluster()
    cluster.run(2_000)
    leader = cluster.leader()
    term = leader.core.term
    other = next(replica for replica in cluster.live() if replica is not leader)
    other.core.suspect_leader(cluster.now_ns)
    assert other.core.leader == NO_NODE
    cluster.run(1_000)
    assert (cluster.leader(), leader.core.term) == (leader, term)
    assert other.core.leader == leader.node


def test_ranks_stagger_the_campaigns() -> None:
    waits: list[int] = []
    for node in (0, 1, 2, 3):
        core = make(node=node, size=5, term=1)
        core.beat(NodeId(4), BeatRow(GROUP, Term(1), Index(0), 0), 0)
        core.suspect_leader(0)
        waits.append(core.next_deadline_ns)
    step = RaftConfig().suspicion_step_ns
    assert sorted(waits) == [0, step, 2 * step, 3 * step]


def test_one_preferred_voter_starts_a_fresh_group() -> None:
    cores = [make(node=node) for node in (0, 1, 2)]
    for core in cores:
        core.campaign_soon(0)
    first = [core for core in cores if core.next_deadline_ns == 0]
    assert len(first) == 1
    first[0].tick(0)
    work(first[0])
    assert (
        first[0].next_deadline_ns == RaftConfig().heartbeat_ns
    )  # nobody may be up yet: again with the next beat
    old = make(node=first[0].node, term=1)
    old.campaign_soon(0)
    assert old.next_deadline_ns > 0


def test_leaders_of_fresh_groups_spread() -> None:
    first = dict.fromkeys(range(3), 0)
    for group in range(16):
        for node in first:
            core = make(node=node, group=group)
            core.campaign_soon(0)
            first[node] += core.next_deadline_ns == 0
    assert sorted(first.values()) == [5, 5, 6]
