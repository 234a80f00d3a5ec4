"""The routing table: terms decide, and listeners hear of changes only."""

from typing import Any

from haqactor.ids import NO_NODE, GroupId, NodeId, Term
from haqactor.nodes.leaders import Leaders


def test_rows_terms_and_pushes() -> None:
    """A lower term never replaces a higher one; an unknown leader that stays unknown is no news."""
    leaders = Leaders({NodeId(0): "a:1", NodeId(1): "b:1"})
    heard: list[list[list[Any]]] = []
    unsubscribe = leaders.subscribe(heard.append)
    group = GroupId(3)
    assert leaders.leader(group) == (NO_NODE, 0)
    leaders.update(group, NO_NODE, Term(1))
    leaders.update(group, NodeId(1), Term(2))
    leaders.update(group, NodeId(1), Term(2))
    leaders.update(group, NodeId(0), Term(1))
    assert leaders.leader(group) == (1, 2)
    leaders.update(group, NO_NODE, Term(3))
    leaders.update(group, NO_NODE, Term(4))
    leaders.update(group, NodeId(0), Term(4))
    assert heard == [[[3, 1, 2, "b:1"]], [[3, -1, 3, ""]], [[3, 0, 4, "a:1"]]]
    unsubscribe()
    unsubscribe()
    leaders.update(group, NodeId(1), Term(5))
    assert len(heard) == 3
    leaders.update(GroupId(1), NodeId(1), Term(1))
    assert leaders.rows() == [[1, 1, 1, "b:1"], [3, 1, 5, "b:1"]]


def test_a_listener_may_leave_while_it_is_told() -> None:
    """As a connection does that is dropped because it does not read."""
    leaders = Leaders({})
    heard: list[int] = []

    def once(rows: list[list[Any]]) -> None:
        heard.append(1)
        leave()

    leave = leaders.subscribe(once)
    leaders.subscribe(lambda _rows: heard.append(2))
    leaders.update(GroupId(1), NodeId(0), Term(1))
    leaders.update(GroupId(1), NodeId(1), Term(2))
    assert heard == [1, 2, 2]


def test_a_node_moves() -> None:
    """Listeners hear of what it leads, and of nothing else."""
    leaders = Leaders({NodeId(0): "a:1", NodeId(1): "b:1"})
    for group, node in ((1, 0), (2, 1), (3, 0)):
        leaders.update(GroupId(group), NodeId(node), Term(1))
    heard: list[list[list[Any]]] = []
    leaders.subscribe(heard.append)
    leaders.moved(NodeId(0), "c:1")
    leaders.moved(NodeId(2), "d:1")
    assert heard == [[[1, 0, 1, "c:1"], [3, 0, 1, "c:1"]]]
    assert leaders.address(NodeId(2)) == "d:1"
