"""Leader and followers: feeding, agreeing, and what stops a node."""

import pytest

from haqactor.entry import Kind, build
from haqactor.errors import InvariantViolation
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.config import RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.heartbeat import AnswerRow, BeatRow
from haqactor.raft.membership import Configuration
from haqactor.raft.messages import Append, AppendReply
from haqactor.raft.ready import SnapshotMeta
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP
from tests.builders.raft_core import entries, make, make_leader, role_of, sent, work

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
    assert not core.should_give_up(later - 1)
    assert core.should_give_up(later)
    for voter in (ONE, TWO):
        core.beat_answer(voter, AnswerRow(GROUP, core.term, 0, False), later)
    core.tick(later)
    assert core.is_leader
    later = now_ns + config.disk_stuck_ns + 1
    for voter in (ONE, TWO):
        core.beat_answer(voter, AnswerRow(GROUP, core.term, 0, False), later)
    core.tick(later)
    assert not core.is_leader
    assert not core.should_give_up(later)
    core.tick(core.next_deadline_ns)
    assert role_of(core) is Role.FOLLOWER
    core.durable(Term(1), Index(2), later)
    core.tick(core.next_deadline_ns)
    assert role_of(core) is Role.PRE_CANDIDATE
