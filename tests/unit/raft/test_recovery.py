"""Suspects: they count in no quorum until cured, and every way of being cured works by itself."""

import pytest

from haqactor.entry import Kind
from haqactor.errors import InvalidArgument
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.heartbeat import AnswerRow
from haqactor.raft.messages import Append, AppendReply, Hello, RequestVote, Vote
from haqactor.raft.recovery import Recovery, Report
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP, Cluster
from tests.builders.raft_core import entries, make, make_leader, role_of, sent, timeout, work

ZERO, ONE, TWO = NodeId(0), NodeId(1), NodeId(2)


def hello(
    term: int, last: tuple[int, int], boot: int, *, to_boot: int = 1, cure: int = 0, suspect: bool = False
) -> Hello:
    return Hello(Term(term), Index(last[0]), Term(last[1]), boot, suspect, True, to_boot, Index(cure))


def ask(term: int, last: tuple[int, int], boot: int = 1) -> RequestVote:
    return RequestVote(Term(term), ONE, Index(last[0]), Term(last[1]), boot=boot)


def granted(term: int, last: tuple[int, int], *, reports: dict[int, tuple[int, tuple[int, int]]]) -> bool:
    """Does a suspect with log (1, 1) and these reports vote for this candidate?"""
    core = make((1, 1), suspect=True)
    for voter, (reported, log) in reports.items():
        core.step(NodeId(voter), hello(reported, log, 1), 0)
    core.step(ONE, ask(term, last), 0)
    answers = [message for _, message in sent(work(core)) if isinstance(message, Vote)]
    return answers[-1].granted


# -- the suspect's side


def test_a_suspect_says_hello_until_it_is_cured() -> None:
    core = make((1,), suspect=True, boot=4)
    hellos = [(to, message) for to, message in sent(work(core)) if isinstance(message, Hello)]
    assert [to for to, _ in hellos] == [ONE, TWO]
    assert hellos[0][1] == Hello(Term(1), Index(1), Term(1), 4, True)
    core.tick(core.next_deadline_ns)
    assert len([message for _, message in sent(work(core)) if isinstance(message, Hello)]) == 2


def test_it_does_not_campaign_and_names_whom_it_waits_for() -> None:
    core = make((1,), suspect=True)
    for _ in range(30):
        timeout(core)
        work(core)
    assert (core.role, core.term) == (Role.FOLLOWER, 1)
    assert core.cure_state().missing == (ONE, TWO)
    core.step(ONE, hello(1, (1, 1), 1), 0)
    state = core.cure_state()
    assert (state.suspect, state.acknowledges, state.missing, state.suspects) == (
        True,
        False,
        (TWO,),
        (ZERO,),
    )


@pytest.mark.parametrize(
    ("term", "last", "reports", "expected"),
    [
        (5, (9, 9), {}, False),
        (5, (9, 9), {1: (3, (2, 1))}, False),
        (5, (2, 1), {1: (3, (2, 1)), 2: (4, (2, 1))}, True),
        (4, (2, 1), {1: (3, (2, 1)), 2: (4, (2, 1))}, False),  # not above every reported term
        (5, (2, 1), {1: (3, (2, 1)), 2: (4, (3, 1))}, False),  # a report has more
        (5, (2, 1), {1: (3, (2, 1)), 2: (4, (1, 3))}, False),
        (5, (1, 1), {1: (3, (1, 1)), 2: (4, (1, 1))}, False),  # its own log has more
    ],
)
def test_the_door(
    term: int, last: tuple[int, int], reports: dict[int, tuple[int, tuple[int, int]]], expected: bool
) -> None:
    assert granted(term, last, reports=reports) is expected


def test_reports_to_another_boot_do_not_count() -> None:
    core = make((1,), suspect=True, boot=3)
    core.step(ONE, hello(1, (1, 1), 1, to_boot=2), 0)
    assert core.cure_state().missing == (ONE, TWO)


def test_a_restarted_voter_has_to_report_again() -> None:
    core = make((1,), suspect=True)
    core.step(ONE, hello(1, (1, 1), 5), 0)
    core.step(ONE, hello(1, (1, 1), 4), 0)  # late, of an older boot
    assert core.cure_state().missing == (TWO,)
    core.step(ONE, ask(1, (1, 1), boot=6), 0)
    assert core.cure_state().missing == (ONE, TWO)


def test_reported_terms_are_barred_durably() -> None:
    core = make((1,), suspect=True)
    core.step(ONE, hello(7, (1, 1), 1), 0)
    core.step(TWO, hello(1, (1, 1), 1), 0)
    assert (core.hard_state.term, core.hard_state.vote) == (7, core.node)
    core.step(ONE, ask(7, (9, 9)), 0)
    assert not any(message.granted for _, message in sent(work(core)) if isinstance(message, Vote))


def test_its_acknowledgements_are_marked_until_a_confirmed_leader_brought_it_far_enough() -> None:
    core = make((1,), suspect=True)
    core.step(ONE, Append(Term(2), Index(1), Term(1), Index(1), entries(2, (2, 2))), 0)
    work(core)
    core.step(ONE, Append(Term(2), Index(3), Term(2), Index(1), ()), 0)
    replies = [message for _, message in sent(work(core)) if isinstance(message, AppendReply)]
    assert [(reply.matched, reply.suspect) for reply in replies] == [(3, True)]
    core.step(ONE, hello(2, (4, 2), 1, cure=4), 0)
    assert not core.cure_state().acknowledges
    core.step(ONE, Append(Term(2), Index(3), Term(2), Index(1), entries(4, (2,))), 0)
    replies = [message for _, message in sent(work(core)) if isinstance(message, AppendReply)]
    assert [(reply.matched, reply.suspect) for reply in replies][-1] == (4, False)
    assert core.suspect  # it may not vote before node 2 has reported too
    core.step(TWO, hello(2, (1, 1), 1), 0)
    readies = work(core)
    assert not core.suspect
    assert any(ready.cured for ready in readies)


def test_what_is_not_durable_cures_nothing() -> None:
    core = make((1,), suspect=True)
    core.step(ONE, hello(2, (2, 2), 1, cure=2), 0)
    core.step(ONE, Append(Term(2), Index(1), Term(1), Index(1), entries(2, (2,))), 0)
    work(core, durable=False)
    assert not core.cure_state().acknowledges
    core.durable(Term(2), Index(2), 0)
    replies = [message for _, message in sent(work(core)) if isinstance(message, AppendReply)]
    assert [(reply.matched, reply.suspect) for reply in replies] == [(2, False)]


def test_the_first_report_of_a_boot_counts() -> None:
    recovery = Recovery(True)
    assert recovery.report(ONE, Report(Term(3), Index(1), Term(1), 1))
    assert not recovery.report(ONE, Report(Term(4), Index(9), Term(4), 1))
    assert recovery.reported_term() == 3
    assert recovery.report(ONE, Report(Term(4), Index(9), Term(4), 2))
    assert recovery.stored(Term(5), Index(10), Index(10), (ONE,))


# -- the others' side


def leading() -> tuple[Cluster, NodeId, NodeId]:
    cluster = Cluster()
    cluster.run(2_000)
    leader = cluster.leader()
    for number in range(5):
        leader.propose(b"%d" % number)
    cluster.run(300)
    one, two = (replica.node for replica in cluster.live() if replica is not leader)
    return cluster, one, two


def test_a_suspect_counts_in_no_quorum() -> None:
    """Leader and suspect alone commit nothing, confirm no round, and do not keep the leader in office."""
    core = make((1,))
    now_ns = make_leader(core, granted=(1, 2))
    core.step(ONE, Hello(Term(2), Index(1), Term(1), 2, True), now_ns)
    row = core.row()
    assert row is not None
    entry = core.propose(Kind.COMMAND, b"", b"x", now_ns)
    work(core)
    core.step(
        ONE, AppendReply(Term(2), True, entry.index, read_context=row.context, boot=2, suspect=True), now_ns
    )
    core.beat_answer(ONE, AnswerRow(GROUP, Term(2), row.context, True), now_ns)
    assert core.commit < entry.index
    assert core.covered < row.context
    with pytest.raises(InvalidArgument, match="repaired"):
        core.transfer(ONE, now_ns)
    deadline = core.next_deadline_ns
    core.beat_answer(ONE, AnswerRow(GROUP, Term(2), row.context, True), deadline - 1)
    core.tick(deadline)
    assert not core.is_leader


def test_the_leader_tells_once_a_round_without_the_suspect_is_confirmed() -> None:
    core = make((1,))
    now_ns = make_leader(core, granted=(1, 2))
    said = Hello(Term(2), Index(1), Term(1), 2, True)
    core.step(ONE, said, now_ns)
    row = core.row()
    assert row is not None
    assert [m.cure_index for _, m in sent(work(core)) if isinstance(m, Hello)] == [0]
    core.beat_answer(ONE, AnswerRow(GROUP, Term(2), row.context, True), now_ns)
    core.step(
        ONE, AppendReply(Term(2), True, Index(2), read_context=row.context, boot=2, suspect=True), now_ns
    )
    assert not [m for _, m in sent(work(core)) if isinstance(m, Hello)]
    core.beat_answer(TWO, AnswerRow(GROUP, Term(2), row.context, False), now_ns)
    assert [(to, m.cure_index, m.to_boot) for to, m in sent(work(core)) if isinstance(m, Hello)] == [
        (ONE, 2, 2)
    ]
    core.step(ONE, said, now_ns)  # its next hello is answered with the same
    assert [m.cure_index for _, m in sent(work(core)) if isinstance(m, Hello)] == [2]


def test_a_round_from_before_the_hello_does_not_cure() -> None:
    core = make((1,))
    now_ns = make_leader(core, granted=(1, 2))
    earlier = core.cover(now_ns)
    core.row()
    core.step(ONE, Hello(Term(2), Index(1), Term(1), 2, True), now_ns)
    work(core)
    core.beat_answer(TWO, AnswerRow(GROUP, Term(2), earlier, False), now_ns)
    assert core.covered == earlier
    assert not [m for _, m in sent(work(core)) if isinstance(m, Hello)]
    core.beat_answer(TWO, AnswerRow(GROUP, Term(2), earlier + 1, False), now_ns)
    assert [m.cure_index for _, m in sent(work(core)) if isinstance(m, Hello)] == [2]


def test_acknowledgements_of_older_epochs_are_dropped() -> None:
    core = make((1,))
    now_ns = make_leader(core, granted=(1, 2))
    entry = core.propose(Kind.COMMAND, b"", b"x", now_ns)
    work(core)
    core.step(ONE, Hello(Term(2), Index(1), Term(1), 2, True), now_ns)
    core.step(
        ONE, AppendReply(Term(2), True, entry.index, boot=1), now_ns
    )  # it was on its way before the crash
    assert core.commit < entry.index


def test_what_a_suspect_acknowledged_before_its_crash_counts_no_longer() -> None:
    core = make((1,), size=5)
    now_ns = make_leader(core, granted=(1, 2))
    entry = core.propose(Kind.COMMAND, b"", b"x", now_ns)
    work(core)
    core.step(ONE, AppendReply(Term(2), True, entry.index, boot=1), now_ns)
    core.step(ONE, Hello(Term(2), Index(1), Term(1), 2, True), now_ns)
    core.step(TWO, AppendReply(Term(2), True, entry.index, boot=1), now_ns)
    assert core.commit < entry.index
    core.step(
        ONE, AppendReply(Term(2), True, Index(1), boot=2), now_ns
    )  # cured, but it has not got that entry yet
    assert core.commit < entry.index
    core.step(ONE, AppendReply(Term(2), True, entry.index, boot=2), now_ns)
    assert core.commit == entry.index


def test_votes_of_older_epochs_are_dropped() -> None:
    core = make((1,))
    now_ns = timeout(core)
    core.step(TWO, Vote(Term(2), True, True, 1), now_ns)
    work(core, now_ns=now_ns)
    core.step(ONE, Hello(Term(1), Index(1), Term(1), 2, True), now_ns)
    core.step(ONE, Vote(Term(2), True, False, 1), now_ns)
    assert role_of(core) is Role.CANDIDATE
    core.step(ONE, Vote(Term(2), True, False, 2), now_ns)
    assert role_of(core) is Role.LEADER


# -- whole groups


def test_one_suspect_is_cured_by_the_leader() -> None:
    cluster, one, _ = leading()
    cluster[one].crash(rotted=True)
    cluster.leader().propose(b"meanwhile")
    cluster.run(300)
    cluster[one].start()
    assert cluster[one].core.suspect
    cluster.run(1_000)
    assert not cluster[one].core.suspect
    assert not cluster[one].journal.suspect
    assert cluster[one].core.applied_index == cluster.leader().core.last_index


@pytest.mark.parametrize("size", [1, 3, 5])
def test_all_torn_at_once_come_back_by_themselves(size: int) -> None:
    cluster = Cluster(size)
    cluster.run(2_000)
    cluster.leader().propose(b"kept")
    cluster.run(300)
    applied = list(cluster.leader().applied)
    for replica in cluster.live():
        replica.crash(torn=True)
    for replica in cluster.replicas.values():
        replica.start()
    cluster.run(4_000)
    assert [replica.core.suspect for replica in cluster.live()] == [False] * size
    for replica in cluster.live():
        assert replica.applied[: len(applied)] == applied
        assert replica.core.applied_index == cluster.leader().core.last_index


def test_a_suspect_majority_waits_for_the_last_report() -> None:
    cluster, one, two = leading()
    leader = cluster.leader().node
    cluster[leader].crash()
    for node in (one, two):
        cluster[node].crash(torn=True)
        cluster[node].start()
    cluster.run(5_000)
    assert not [replica for replica in cluster.live() if replica.core.role is Role.LEADER]
    assert cluster[one].core.cure_state().missing == (leader,)
    assert cluster[one].core.cure_state().suspects == tuple(sorted((one, two)))
    cluster[leader].start()
    cluster.run(3_000)
    assert cluster.leader()
    assert not any(replica.core.suspect for replica in cluster.live())


def test_a_suspect_that_restarts_is_still_one() -> None:
    cluster, one, _ = leading()
    cluster.isolate(one)
    cluster[one].crash(torn=True)
    cluster[one].start()
    cluster.run(500)
    cluster[one].crash()
    cluster[one].start()
    assert cluster[one].core.suspect
    cluster.heal()
    cluster.run(2_000)
    assert not cluster[one].core.suspect


def test_confirmed_and_then_rotted_is_not_forgotten() -> None:
    """Node A led and wrote with B only; B's copy rots, A stops. C and B must not go on without A's report."""
    cluster, one, two = leading()
    leader = cluster.leader()
    cluster[two].crash()
    entry = leader.propose(b"on two disks")
    cluster.run(50)
    assert leader.core.commit == entry.index
    cluster[one].crash(rotted=True)
    leader.crash()
    cluster[one].start()
    cluster[two].start()
    cluster.run(5_000)
    assert not [replica for replica in cluster.live() if replica.core.role is Role.LEADER]
    leader.start()
    cluster.run(3_000)
    assert all(len(replica.applied) >= entry.index for replica in cluster.live())
