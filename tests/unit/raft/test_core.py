"""One core: its bounds, and what may be asked of it."""

import pytest

from haqactor.config import MESSAGE_BYTES_MOST, MIB
from haqactor.entry import ENTRY_BYTES_MAX, PROPOSED_BYTES_MAX, Kind
from haqactor.errors import (
    ConfigError,
    InvalidArgument,
    InvariantViolation,
    NotLeader,
    Overloaded,
    TooLarge,
)
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.config import RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.heartbeat import AnswerRow
from haqactor.raft.messages import Append, AppendReply, Vote
from tests.builders.raft_cluster import GROUP
from tests.builders.raft_core import entries, make, make_leader, sent, timeout, work

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


def test_uncommitted_bytes_are_bounded() -> None:
    """R16, R19: refused, not queued; one entry always fits; what is applied makes room, what is committed
    does not (seed 14941 of profile swarm: apply waited for a slow disk, and proposals went on and on)."""
    core = make(config=RaftConfig(uncommitted_bytes_max=500))
    now_ns = make_leader(core)
    propose(core, now_ns, 2_000)
    with pytest.raises(Overloaded):
        propose(core, now_ns)
    work(core)
    reply(core, 1, core.last_index, now_ns)
    committed = core.ready().committed
    assert committed is not None
    assert committed[1] == core.last_index
    with pytest.raises(Overloaded):
        propose(core, now_ns)
    core.applied(core.last_index)
    assert core.statistics().unapplied_bytes == 0
    propose(core, now_ns)


def test_an_entry_that_no_reader_would_take_is_refused() -> None:
    """Also where nothing else waits: it would be confirmed, and be damage at the next start."""
    core = make()
    now_ns = make_leader(core)
    last = core.last_index
    with pytest.raises(TooLarge):
        propose(core, now_ns, PROPOSED_BYTES_MAX + 1)
    assert core.last_index == last
    assert MESSAGE_BYTES_MOST + 4 * MIB < PROPOSED_BYTES_MAX < ENTRY_BYTES_MAX - 4 * MIB


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
