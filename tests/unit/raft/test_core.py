"""One core: its bounds, its order of doing things, and what it refuses."""

import pytest

from haqactor.entry import Kind, build
from haqactor.errors import ConfigError, InvalidArgument, InvariantViolation, NotLeader, Overloaded
from haqactor.ids import NO_NODE, Index, NodeId, Term
from haqactor.raft.config import MILLISECOND_NS, RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.heartbeat import AnswerRow, BeatRow
from haqactor.raft.membership import Configuration
from haqactor.raft.messages import Append, AppendReply, InstallSnapshot, Vote
from haqactor.raft.ready import SnapshotMeta
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP, Cluster
from tests.builders.raft_core import entries, make, make_leader, role_of, sent, timeout, work

ONE, TWO = NodeId(1), NodeId(2)
VOTERS = (NodeId(0), ONE, TWO)


def append(term: int, prev: tuple[int, int], terms: tuple[int, ...] = (), commit: int = 0) -> Append:
    return Append(Term(term), Index(prev[0]), Term(prev[1]), Index(commit), entries(prev[0] + 1, terms))


def reply(core: RaftCore, voter: int, matched: int, now_ns: int, context: int = 0) -> None:
    core.step(
        NodeId(voter), AppendReply(core.term, True, Index(matched), read_context=context, boot=1), now_ns
    )


def appends(core: RaftCore, to: int = 1) -> list[Append]:
    return [m for peer, m in sent(work(core)) if peer == to and isinstance(m, Append)]


def propose(core: RaftCore, now_ns: int, size: int = 1) -> int:
    return core.propose(Kind.COMMAND, b"", b"x" * size, now_ns).index


# -- bounds


def test_uncommitted_bytes_are_bounded() -> None:
    """R16: refused, not queued; one entry always fits, and commitment makes room."""
    core = make(config=RaftConfig(uncommitted_bytes_max=500))
    now_ns = make_leader(core)
    propose(core, now_ns, 2_000)
    with pytest.raises(Overloaded):
        propose(core, now_ns)
    work(core)
    reply(core, 1, core.last_index, now_ns)
    assert core.statistics().uncommitted_bytes == 0
    propose(core, now_ns)


def test_only_commands_are_proposed() -> None:
    core = make()
    now_ns = make_leader(core)
    for kind in (Kind.NOOP, Kind.CONFIG):
        with pytest.raises(InvalidArgument):
            core.propose(kind, b"", b"", now_ns)


def test_reads_are_bounded() -> None:
    core = make(config=RaftConfig(reads_max=2))
    now_ns = make_leader(core)
    core.request_read(1, now_ns)
    core.request_read(2, now_ns)
    with pytest.raises(Overloaded):
        core.request_read(3, now_ns)
    with pytest.raises(NotLeader):
        make().request_read(1, 0)


def test_what_is_applied_at_once_is_bounded() -> None:
    """R19."""
    core = make(config=RaftConfig(committed_max=3))
    core.step(ONE, append(1, (0, 0), (1,) * 8, commit=8), 0)
    core.ready()
    core.durable(Term(1), Index(8), 0)
    assert core.ready().committed == (1, 3)
    assert core.ready().committed is None
    core.applied(Index(2))
    assert core.ready().committed == (4, 5)
    with pytest.raises(InvariantViolation):
        core.applied(Index(6))


def test_applied_only_once_durable_here() -> None:
    core = make()
    core.step(ONE, append(1, (0, 0), (1, 1), commit=2), 0)
    assert core.ready().committed is None
    assert core.commit == 2
    core.durable(Term(1), Index(2), 0)
    assert core.ready().committed == (1, 2)


def test_the_window_is_bounded_in_bytes() -> None:
    core = make(config=RaftConfig(peer_window_bytes=1_000, append_bytes_max=400))
    now_ns = make_leader(core)
    work(core)
    for _ in range(20):
        propose(core, now_ns, 100)
    messages = appends(core)
    size = sum(entry.size for message in messages for entry in message.entries)
    assert 1_000 <= size <= 1_000 + 400
    assert all(sum(entry.size for entry in message.entries) <= 400 for message in messages)
    reply(core, 1, messages[0].entries[-1].index, now_ns)
    (following,) = appends(core)
    assert following.prev_index == messages[-1].entries[-1].index


def test_followers_at_the_same_place_share_one_message() -> None:
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    propose(core, now_ns)
    (_, to_one), (_, to_two) = core.ready().messages_now
    assert to_one is to_two


def test_a_probe_is_one_message_at_a_time() -> None:
    core = make((1,))
    now_ns = make_leader(core, granted=(1,), acknowledge=False)
    propose(core, now_ns)
    assert appends(core) == []
    core.beat_answer(ONE, AnswerRow(GROUP, core.term, 0, False), now_ns)
    (again,) = appends(core)
    assert (again.prev_index, len(again.entries)) == (1, 2)


@pytest.mark.parametrize(
    "wrong", [{"heartbeat_ns": 0}, {"election_min_ns": 5}, {"election_max_ns": 5}, {"committed_max": 0}]
)
def test_impossible_settings(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        RaftConfig(**wrong)


# -- replication


def test_old_entries_are_fetched() -> None:
    core = make((1,) * 9)
    now_ns = make_leader(core, granted=(1,))
    core.step(TWO, AppendReply(core.term, False, Index(0), Index(3), Term(1), 0, Index(9), 1), now_ns)
    (ready,) = work(core)
    (fetch,) = ready.fetches
    assert (fetch.peer, fetch.first, fetch.last) == (TWO, 4, 9)
    core.fetched(TWO, Index(4), entries(4, (1,) * 6))
    assert [(m.prev_index, len(m.entries)) for m in appends(core, 2)] == [(3, 6)]
    reply(core, 2, 9, now_ns)
    assert [(m.prev_index, len(m.entries)) for m in appends(core, 2)] == [(9, 1)]


def test_a_fetch_that_came_too_late_is_not_sent() -> None:
    core = make((1,) * 9)
    now_ns = make_leader(core, granted=(1,))
    core.step(TWO, AppendReply(core.term, False, Index(0), Index(3), Term(1), 0, Index(9), 1), now_ns)
    work(core)
    reply(core, 2, 10, now_ns)
    core.fetched(TWO, Index(4), entries(4, (1,) * 6))
    assert all(m.prev_index >= 10 for m in appends(core, 2))


def test_what_a_broken_link_lost_is_sent_again() -> None:
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    work(core)
    propose(core, now_ns)
    assert len(appends(core)) == 1
    core.unreachable(ONE)
    assert appends(core) == []
    core.beat_answer(ONE, AnswerRow(GROUP, core.term, 0, False), now_ns)
    assert [(m.prev_index, len(m.entries)) for m in appends(core)] == [(1, 1)]


def test_a_silent_loss_is_found_by_the_beats() -> None:
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    propose(core, now_ns)
    work(core)  # lost
    answer = AnswerRow(GROUP, core.term, 0, False)
    core.beat_answer(ONE, answer, now_ns)
    core.beat_answer(ONE, answer, now_ns)
    asked = appends(core)[-1]
    assert (asked.prev_index, asked.entries) == (2, ())
    core.step(ONE, AppendReply(core.term, False, Index(0), Index(1), Term(1), 0, Index(2), 1), now_ns)
    assert [(m.prev_index, len(m.entries)) for m in appends(core)] == [(1, 1)]


def test_an_acknowledgement_waits_for_earlier_writes() -> None:
    """A repeated message finds its entries in the log, but not on the disk yet."""
    core = make()
    message = append(1, (0, 0), (1, 1))
    core.step(ONE, message, 0)
    first = core.ready()
    assert [type(m) for _, m in first.messages_after] == [AppendReply]
    core.step(ONE, message, 0)
    assert sent(work(core, durable=False)) == []
    core.durable(Term(1), Index(2), 0)
    (after,) = [m for _, m in sent(work(core)) if isinstance(m, AppendReply)]
    assert after.matched == 2


def test_a_beat_commits_only_what_is_known_to_agree() -> None:
    core = make((1, 1, 1))
    core.beat(ONE, BeatRow(GROUP, Term(2), Index(3), 0), 0)
    assert core.commit == 0  # the log may hold something else there
    core.step(ONE, append(2, (1, 1), (2,)), 0)
    core.beat(ONE, BeatRow(GROUP, Term(2), Index(3), 0), 0)
    assert core.commit == 2


def test_a_conflict_below_commit_stops_the_node() -> None:
    """R4."""
    core = make((1, 1))
    core.step(ONE, append(1, (2, 1), commit=2), 0)
    with pytest.raises(InvariantViolation, match="committed"):
        core.step(TWO, append(2, (1, 1), (2,)), 0)


def test_two_leaders_in_a_term_stop_the_node() -> None:
    core = make()
    now_ns = make_leader(core)
    with pytest.raises(InvariantViolation, match="two leaders"):
        core.step(ONE, append(1, (0, 0)), now_ns)


def test_overwritten_proposals_are_told() -> None:
    core = make()
    now_ns = make_leader(core)
    index = propose(core, now_ns)
    work(core)
    core.step(TWO, append(3, (1, 1), (3,)), now_ns)
    assert core.ready().dropped_from == index


def test_messages_with_holes_are_ignored() -> None:
    core = make()
    core.step(ONE, Append(Term(1), Index(0), Term(0), Index(0), entries(2, (1,))), 0)
    assert core.last_index == 0


def test_configurations_take_effect_on_append_and_roll_back() -> None:
    """R8."""
    core = make((1,))
    larger = Configuration((NodeId(0), ONE, TWO, NodeId(3)))
    config = build(GROUP, Index(2), Term(1), Kind.CONFIG, larger.encode())
    core.step(ONE, Append(Term(1), Index(1), Term(1), Index(0), (config,)), 0)
    assert core.configuration == larger
    core.step(TWO, append(2, (1, 1), (2,)), 0)
    assert core.configuration.voters == VOTERS


def test_a_learner_receives_but_does_not_count() -> None:
    core = make()
    core.snapshot_installed(SnapshotMeta(Index(4), Term(1), VOTERS, (NodeId(7),)), 0)
    now_ns = make_leader(core)
    index = propose(core, now_ns)
    work(core)
    core.step(NodeId(7), AppendReply(core.term, True, Index(index), boot=1), now_ns)
    assert core.commit < index
    assert [peer.node for peer in core.statistics().peers] == [1, 2, 7]


def test_a_slow_disk_costs_the_leadership() -> None:
    """R18."""
    config = RaftConfig()
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    propose(core, now_ns)
    core.ready()
    later = now_ns + config.disk_slow_ns + 1
    for voter in (ONE, TWO):
        core.beat_answer(voter, AnswerRow(GROUP, core.term, 0, False), later)
    core.tick(later)
    assert not core.is_leader
    core.tick(core.next_deadline_ns)
    assert role_of(core) is Role.FOLLOWER
    core.durable(Term(1), Index(2), later)
    core.tick(core.next_deadline_ns)
    assert role_of(core) is Role.PRE_CANDIDATE


# -- rounds


def test_a_round_rides_on_appends() -> None:
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    work(core)
    covering = core.cover(now_ns)
    assert core.cover(now_ns) == covering  # nothing has left since
    assert core.wants_beat
    propose(core, now_ns)
    (message,) = appends(core)
    assert message.read_context == covering
    assert not core.wants_beat
    assert core.cover(now_ns) == covering + 1
    reply(core, 1, 1, now_ns, context=covering)
    assert core.covered == covering


def test_an_idle_round_wants_a_beat() -> None:
    core = make()
    now_ns = make_leader(core, granted=(1, 2))
    work(core)
    assert not core.wants_beat
    covering = core.cover(now_ns)
    assert core.wants_beat
    row = core.row()
    assert row is not None
    assert row.context == covering
    assert not core.wants_beat
    follower = make()
    follower.beat(NodeId(0), row, now_ns)
    core.beat_answer(ONE, follower.answer_row(), now_ns)
    assert core.covered == covering


def test_an_answer_of_an_older_term_confirms_nothing() -> None:
    core = make()
    now_ns = make_leader(core)
    covering = core.cover(now_ns)
    core.row()
    core.beat_answer(ONE, AnswerRow(GROUP, Term(0), covering, False), now_ns)
    assert core.covered < covering


def test_a_voter_alone_is_covered_at_once() -> None:
    core = make(size=1)
    make_leader(core, granted=())
    assert core.cover(0) == core.covered
    core.request_read(5, 0)
    assert [read.context for ready in work(core) for read in ready.reads] == [5]
    with pytest.raises(NotLeader):
        make().cover(0)


def test_a_higher_term_in_an_answer_ends_the_leadership() -> None:
    core = make()
    now_ns = make_leader(core)
    core.request_read(5, now_ns)
    core.beat_answer(ONE, AnswerRow(GROUP, Term(8), 0, False), now_ns)
    assert (core.role, core.term, core.row()) == (Role.FOLLOWER, 8, None)
    assert [context for ready in work(core) for context in ready.reads_failed] == [5]


# -- elections that do not wait


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


# -- snapshots


def test_a_snapshot_that_is_not_ahead_is_not_needed() -> None:
    """R12a."""
    core = make()
    core.step(ONE, append(1, (0, 0), (1, 1, 1), commit=3), 0)
    work(core)
    offer = InstallSnapshot(Term(1), Index(2), Term(1), VOTERS)
    core.step(ONE, offer, 0)
    assert not core.accepts_snapshot(offer)
    (answer,) = [m for _, m in sent(work(core)) if isinstance(m, AppendReply)]
    assert (answer.accepted, answer.matched) == (True, 3)
    assert not core.snapshot_installed(SnapshotMeta(Index(2), Term(1), VOTERS), 0)
    assert (core.last_index, core.snapshot.index) == (3, 0)


def test_a_matching_suffix_is_kept() -> None:
    """R12b."""
    core = make((1, 1, 1))
    offer = InstallSnapshot(Term(1), Index(2), Term(1), VOTERS)
    core.step(ONE, offer, 0)
    assert core.accepts_snapshot(offer)
    assert core.snapshot_installed(SnapshotMeta(Index(2), Term(1), VOTERS), 0)
    assert (core.snapshot.index, core.last_index, core.commit, core.applied_index) == (2, 3, 2, 2)
    (answer,) = [m for _, m in sent(work(core)) if isinstance(m, AppendReply)]
    assert (answer.accepted, answer.matched) == (True, 2)


def test_a_conflicting_log_goes() -> None:
    """R12c."""
    core = make((1, 1, 1))
    core.step(ONE, InstallSnapshot(Term(2), Index(2), Term(2), VOTERS), 0)
    assert core.snapshot_installed(SnapshotMeta(Index(2), Term(2), VOTERS), 0)
    assert (core.snapshot.index, core.last_index, core.last_term) == (2, 2, 2)
    core.step(ONE, append(2, (2, 2), (2,), commit=3), 0)
    assert [ready.committed for ready in work(core) if ready.committed] == [(3, 3)]


def test_own_snapshots() -> None:
    """R12e, R12f: only what is applied, and never backwards."""
    core = make()
    core.step(ONE, append(1, (0, 0), (1, 1, 1), commit=2), 0)
    work(core)
    with pytest.raises(InvariantViolation):
        core.compacted(SnapshotMeta(Index(3), Term(1), VOTERS))
    core.compacted(SnapshotMeta(Index(2), Term(1), VOTERS))
    core.compacted(SnapshotMeta(Index(1), Term(1), VOTERS))
    assert core.snapshot.index == 2
    assert core.entries(Index(3), Index(3)) is not None
    assert core.entries(Index(2), Index(3)) is None
    core.step(ONE, append(1, (1, 1), (1, 1, 1), commit=4), 0)  # begins inside what is compacted
    assert core.last_index == 4
    assert core.commit == 4


def test_an_absent_follower_is_offered_no_snapshot() -> None:
    core = make((1,), snapshot=(5, 1))
    now_ns = make_leader(core, granted=(1,))
    refusal = AppendReply(core.term, False, Index(0), Index(2), Term(1), 0, Index(6), 1)
    core.step(TWO, refusal, now_ns)
    (ready,) = work(core)
    ((peer, offer),) = ready.installs
    assert (peer, offer.index, offer.index_term, offer.voters) == (TWO, 5, 1, VOTERS)
    core.install_sent(TWO, ok=False)
    assert not [ready for ready in work(core) if ready.installs]
    core.beat_answer(TWO, AnswerRow(GROUP, core.term, 0, False), now_ns)
    assert [ready for ready in work(core) if ready.installs]


# -- looking


def test_statistics() -> None:
    core = make((1,))
    now_ns = make_leader(core, granted=(1,))
    seen = core.statistics()
    assert (seen.role, seen.leader, seen.term, seen.commit, seen.last_index) == ("leader", 0, 2, 2, 2)
    assert [(peer.node, peer.mode, peer.match) for peer in seen.peers] == [
        (1, "replicate", 2),
        (2, "probe", 0),
    ]
    assert core.term_at(Index(1)) == 1
    core.forget(Index(2))
    assert core.entries(Index(2), Index(2)) is None
    core.step(ONE, Vote(Term(9), False, False, 1), now_ns)
    assert core.statistics().peers == ()
    timeout(core)
    assert core.statistics().role == "pre_candidate"
