"""What a replica that does not lead says: where to go, or what has to be started."""

from typing import Any, cast

import pytest

from haqactor.errors import NotLeader, from_wire
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.refusal import not_leader
from haqactor.raft.core import RaftCore
from haqactor.raft.messages import Append, Hello
from tests.builders.node_context import node_context
from tests.builders.raft_core import make

GROUP = GroupId(1)
ONE, TWO = NodeId(1), NodeId(2)


class FakeLink:
    """To a peer that is there or not."""

    def __init__(self, connected: bool) -> None:
        self.connected = connected


def refused(core: RaftCore, *away: int) -> NotLeader:
    context, _journal = node_context(0)
    context.peers = cast(Any, {NodeId(node): FakeLink(node not in away) for node in (1, 2)})
    return not_leader(context, GROUP, core)


def hello(sender: NodeId, core: RaftCore, *, suspect: bool, reply: bool) -> None:
    message = Hello(Term(1), Index(1), Term(1), 1, suspect, reply, 1 if reply else 0, Index(0))
    core.step(sender, message, 0)


def test_a_leader_is_named() -> None:
    core = make((1,), suspect=True)
    core.step(ONE, Append(Term(2), Index(1), Term(1), Index(0), (), 0), 0)
    error = refused(core, 2)
    assert (error.leader, error.term, error.reason) == (1, 2, "")
    assert "node 1 leads group 1" in str(error)
    assert "reason" not in error.fields()


def test_a_suspect_names_the_voters_that_have_to_be_started() -> None:
    core = make((1,), suspect=True)
    hello(ONE, core, suspect=True, reply=False)
    hello(ONE, core, suspect=True, reply=True)
    error = refused(core, 2)
    assert (error.leader, error.reason) == (-1, "damaged")
    assert "lost on node 0, node 1" in str(error)
    assert "start node 2 (n2:7020)" in str(error)
    again = from_wire(error.code, str(error), error.fields())
    assert isinstance(again, NotLeader)
    assert again.reason == "damaged"


def test_a_sound_replica_beside_a_suspect_does_too() -> None:
    core = make((1,))
    assert refused(core, 2).reason == ""
    hello(ONE, core, suspect=True, reply=False)
    error = refused(core, 2)
    assert error.reason == "damaged"
    assert "lost on node 1, so" in str(error)
    assert "start node 2 " in str(error)


@pytest.mark.parametrize("suspect", [False, True])
def test_an_election_that_is_due_is_no_damage(suspect: bool) -> None:
    """Everybody is there, or will have reported in a moment."""
    core = make((1,), suspect=suspect)
    hello(ONE, core, suspect=True, reply=False)
    error = refused(core)
    assert (error.leader, error.reason) == (-1, "")


def test_a_majority_that_has_lost_something_is_told_by_the_sound_one_as_well() -> None:
    core = make((1, 2))
    hello(ONE, core, suspect=True, reply=False)
    assert refused(core).reason == ""
    hello(NodeId(2), core, suspect=True, reply=False)
    error = refused(core)
    assert error.reason == "damaged"
    assert "(node 1, node 2)" in str(error)
    assert "haq group recover 1 --accept-loss" in str(error)
