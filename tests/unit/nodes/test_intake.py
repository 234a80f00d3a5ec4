"""Peers' frames find their actor, early ones wait within a bound, and links' fates reach the groups."""

from typing import Any, cast

import pytest

from haqactor.errors import ProtocolError, Unauthorized
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.beats import Beats
from haqactor.nodes.group import GroupActor, RaftItem
from haqactor.nodes.intake import Intake
from haqactor.nodes.mailbox import Mailbox
from haqactor.nodes.peerwire import PeerOp, pack_raft
from haqactor.nodes.sending import Sending
from haqactor.raft.messages import Append, RequestVote, Vote
from tests.builders.node_context import node_context
from tests.builders.one_replica import running

PEER = NodeId(1)


class FakeBeats:
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_beat(self, peer: NodeId, frame: Frame) -> None:
        self.heard.append("beat")

    def on_answer(self, peer: NodeId, frame: Frame) -> None:
        self.heard.append("answer")


class FakeCore:
    """A core in some term."""

    def __init__(self, term: int) -> None:
        self.term = term

    def campaign_soon(self, now_ns: int) -> None:
        """An item of the mailbox."""


class FakeActor:
    """A group with a mailbox of four."""

    def __init__(self, group: int, term: int = 1) -> None:
        self.group = GroupId(group)
        self.mailbox: Mailbox[Any] = Mailbox(4, 1 << 20)
        self.core = FakeCore(term)
        self.installs_out: dict[NodeId, Any] = {}
        self.installs_in: dict[NodeId, Any] = {}
        self.context = node_context()[0]
        self.suspected: list[int] = []

    def lost_sight(self, peer: NodeId) -> None:
        self.mailbox.put_once(f"lost sight of {peer}")

    def suspect(self, peer: NodeId) -> None:
        self.suspected.append(peer)


class FakeLink:
    """A link to a peer."""

    def __init__(self, connected: bool) -> None:
        self.connected = connected
        self.boots: list[int] = []

    def heard_boot(self, boot: int) -> None:
        self.boots.append(boot)


def make(*actors: FakeActor) -> tuple[Intake, Any, FakeBeats]:
    context, _journal = node_context()
    context.groups = cast(Any, {actor.group: actor for actor in actors})
    beats = FakeBeats()
    return Intake(context, cast(Beats, beats)), context, beats


def frame(data: bytes) -> Frame:
    return Decoder(1 << 20).feed(data)[0]


def vote(group: int, term: int) -> Frame:
    return frame(pack_raft(GroupId(group), RequestVote(Term(term), PEER, Index(0), Term(0))))


async def test_frames_go_where_they_belong() -> None:
    """By kind, and by group."""
    actor = FakeActor(1)
    intake, _context, beats = make(actor, FakeActor(2))
    intake.peer_frame(PEER, 1, vote(1, 3))
    intake.peer_frame(PEER, 1, frame(encode(PeerOp.BEAT, [])))
    intake.peer_frame(PEER, 1, frame(encode(PeerOp.BEAT_ANSWER, [])))
    intake.peer_frame(PEER, 1, frame(encode(PeerOp.INSTALL, [9, 1, 1, 4, 1])))
    assert beats.heard == ["beat", "answer"]
    (item,) = await actor.mailbox.drain()
    assert isinstance(item, RaftItem)
    assert (item.sender, item.message.term) == (PEER, 3)
    with pytest.raises(ProtocolError, match="77"):
        intake.peer_frame(PEER, 1, frame(encode(77, [])))


async def test_a_full_mailbox_drops_what_raft_repeats() -> None:
    """And counts it."""
    actor = FakeActor(1)
    intake, _context, _beats = make(actor)
    for term in range(1, 8):
        intake.peer_frame(PEER, 1, vote(1, term))
    assert len(await actor.mailbox.drain()) == 4
    assert actor.context.gauges == {"peer_messages_dropped": 3}


async def test_what_came_before_its_group_is_kept_within_a_bound() -> None:
    """The newest eight; entries are sent again by themselves."""
    intake, _context, _beats = make()
    for term in range(1, 12):
        intake.peer_frame(PEER, 1, vote(5, term))
    append = Append(Term(3), Index(0), Term(0), Index(0), ())
    intake.peer_frame(PEER, 1, frame(pack_raft(GroupId(5), append)))
    actor = FakeActor(5)
    intake.started(cast(GroupActor, actor))
    assert [item.message.term for item in await actor.mailbox.drain()] == list(range(4, 12))
    intake.started(cast(GroupActor, actor))
    assert len(actor.mailbox) == 0


async def test_strangers_groups_do_not_fill_the_memory() -> None:
    """So many at most."""
    intake, _context, _beats = make()
    for group in range(3000):
        intake.peer_frame(PEER, 1, vote(group, 1))
    kept = 0
    for group in range(3000):
        actor = FakeActor(group)
        intake.started(cast(GroupActor, actor))
        kept += len(actor.mailbox)
    assert kept == 2048


async def test_a_link_that_is_up() -> None:
    """Every group looks for the peer's place again; a fresh one calls an election."""
    old, fresh = FakeActor(1, term=4), FakeActor(2, term=0)
    intake, _context, _beats = make(old, fresh)
    intake.link_up(PEER)
    assert await old.mailbox.drain() == ["lost sight of 1"]
    assert await fresh.mailbox.drain() == ["lost sight of 1", fresh.core.campaign_soon]
    intake.link_died(PEER)
    assert old.suspected == fresh.suspected == [1]


async def test_a_link_that_flaps_fills_no_mailbox() -> None:
    """The actor may be held up meanwhile: a hundred notices of the same in a simulated node's, seed 852342 of
    the swarm profile."""
    async with running(3) as one:
        intake = Intake(one.context, cast(Beats, FakeBeats()))
        before = len(one.actor.mailbox)
        for _ in range(100):
            intake.link_up(PEER)
            intake.link_up(NodeId(2))
            intake.link_died(PEER)
        assert len(one.actor.mailbox) - before <= 3


def test_the_link_to_a_peer_that_dials_in_hears_of_it() -> None:
    """It decides whether to dial back."""
    intake, context, _beats = make()
    links = FakeLink(True), FakeLink(False)
    context.peers = {NodeId(1): links[0], NodeId(2): links[1]}
    for peer in (1, 2, 3):
        intake.peer_connected(NodeId(peer), peer + 4)
    assert [link.boots for link in links] == [[5], [6]]


def test_most_of_the_cluster_refuses_this_node() -> None:
    """One peer may be wrong; the majority ends the node. The same peer twice is one."""
    intake, context, _beats = make()
    context.peers = {NodeId(peer): FakeLink(True) for peer in (1, 2)}
    intake.link_foreign(NodeId(1))
    intake.link_foreign(NodeId(1))
    with pytest.raises(Unauthorized, match="another cluster"):
        intake.link_foreign(NodeId(2))


def test_a_vote_is_kept_too() -> None:
    """Losing it would cost an election's wait."""
    intake, _context, _beats = make()
    intake.peer_frame(PEER, 1, frame(pack_raft(GroupId(6), Vote(Term(1), True, False, 1))))
    actor = FakeActor(6)
    intake.started(cast(GroupActor, actor))
    assert len(actor.mailbox) == 1


def test_a_new_connection_breaks_off_what_was_being_sent_over_the_old_one() -> None:
    """No answer to it will come, and until the patience with it was over the group had to do without that
    follower: seed 181 of the crash profile, with one of three nodes dead."""
    context, _journal = node_context()
    actor = FakeActor(1)
    context.groups[GroupId(1)] = cast(GroupActor, actor)
    mine, other = Sending(Term(3), Index(40)), Sending(Term(3), Index(40))
    actor.installs_out = {PEER: mine, NodeId(2): other}
    Intake(context, cast(Beats, FakeBeats())).link_up(PEER)
    assert (mine.refused, mine.moved.is_set()) == (True, True)
    assert (other.refused, other.moved.is_set()) == (False, False)
