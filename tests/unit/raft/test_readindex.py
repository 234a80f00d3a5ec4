"""Covering rounds and reads: who must have answered what, and when."""

import pytest

from haqactor.entry import Kind
from haqactor.errors import NotLeader
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.core import RaftCore
from haqactor.raft.heartbeat import AnswerRow
from haqactor.raft.messages import Append, AppendReply
from haqactor.raft.state import Role
from tests.builders.raft_cluster import GROUP
from tests.builders.raft_core import make, make_leader, sent, work

ONE, TWO = NodeId(1), NodeId(2)
VOTERS = (NodeId(0), ONE, TWO)


def reply(core: RaftCore, voter: int, matched: int, now_ns: int, context: int = 0) -> None:
    core.step(
        NodeId(voter), AppendReply(core.term, True, Index(matched), read_context=context, boot=1), now_ns
    )


def appends(core: RaftCore, to: int = 1) -> list[Append]:
    return [m for peer, m in sent(work(core)) if peer == to and isinstance(m, Append)]


def propose(core: RaftCore, now_ns: int, size: int = 1) -> int:
    return core.propose(Kind.COMMAND, b"", b"x" * size, now_ns).index


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
