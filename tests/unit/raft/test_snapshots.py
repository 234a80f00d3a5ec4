"""Snapshots: offered, installed, and taken."""

import pytest

from haqactor.errors import InvariantViolation
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.heartbeat import AnswerRow
from haqactor.raft.messages import Append, AppendReply, Hello, InstallSnapshot
from haqactor.raft.ready import SnapshotMeta
from tests.builders.raft_cluster import GROUP
from tests.builders.raft_core import entries, make, make_leader, sent, work

ONE, TWO = NodeId(1), NodeId(2)
VOTERS = (NodeId(0), ONE, TWO)


def append(term: int, prev: tuple[int, int], terms: tuple[int, ...] = (), commit: int = 0) -> Append:
    return Append(Term(term), Index(prev[0]), Term(prev[1]), Index(commit), entries(prev[0] + 1, terms))


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


def test_what_is_committed_meanwhile_and_not_applied_comes_with_the_snapshot() -> None:
    """The journal begins behind it by now, and could not be asked for those entries any more."""
    core = make()
    core.step(ONE, append(1, (0, 0), (1,), commit=1), 0)
    work(core)
    core.step(ONE, InstallSnapshot(Term(1), Index(3), Term(1), VOTERS), 0)
    core.step(ONE, append(1, (1, 1), (1, 1, 1), commit=4), 0)
    work(core, applies=False)
    assert (core.applied_index, core.commit) == (1, 4)
    assert core.snapshot_installed(SnapshotMeta(Index(3), Term(1), VOTERS), 0)
    assert (core.snapshot.index, core.applied_index, core.commit, core.last_index) == (3, 3, 4, 4)
    core.applied(Index(4))


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


def test_a_late_append_that_begins_below_the_snapshot() -> None:
    """R4: what is compacted is committed, and its terms are not known any more; the rest is looked at."""
    core = make((1,), snapshot=(5, 1))
    core.step(ONE, append(1, (2, 1), (1, 1, 1, 1, 1), commit=7), 0)
    assert (core.snapshot.index, core.last_index, core.commit) == (5, 7, 7)
    (answer,) = [m for _, m in sent(work(core)) if isinstance(m, AppendReply)]
    assert (answer.accepted, answer.matched) == (True, 7)


def test_what_is_not_durable_here_is_replaced_by_a_matching_snapshot() -> None:
    """R12b: the journal may begin behind the snapshot before those entries are in it."""
    core = make()
    core.step(ONE, append(1, (0, 0), (1, 1, 1)), 0)
    core.ready()
    core.step(ONE, InstallSnapshot(Term(1), Index(2), Term(1), VOTERS), 0)
    assert core.snapshot_installed(SnapshotMeta(Index(2), Term(1), VOTERS), 0)
    assert (core.last_index, core.durable_index) == (2, 2)


def test_a_follower_that_lost_its_snapshot_is_offered_it_again() -> None:
    """R12d: its disk was repaired with what was sound of it; its leader believes that, not its memory."""
    core = make((1,), snapshot=(5, 1))
    now_ns = make_leader(core, granted=(1,))

    def refused(prev: int, boot: int, *, suspect: bool) -> None:
        hint = Index(0), Term(0)
        reply = AppendReply(core.term, False, Index(0), *hint, 0, Index(prev), boot, suspect)
        core.step(TWO, reply, now_ns)

    refused(6, 1, suspect=False)
    assert [peer for ready in work(core) for peer, _ in ready.installs] == [TWO]
    core.install_sent(TWO, ok=True)
    core.step(TWO, AppendReply(core.term, True, Index(5), boot=1), now_ns)
    work(core)
    core.step(TWO, Hello(core.term, Index(0), Term(0), 2, True), now_ns)
    work(core)
    refused(7, 2, suspect=True)
    assert [peer for ready in work(core) for peer, _ in ready.installs] == [TWO]
