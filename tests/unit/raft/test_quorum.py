"""Counting, alone and joint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqactor.ids import NodeId
from haqactor.raft.membership import Configuration
from haqactor.raft.quorum import Verdict, election, majority, reached


def nodes(*ids: int) -> tuple[NodeId, ...]:
    return tuple(NodeId(node) for node in ids)


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_majority(count: int, needed: int) -> None:
    assert majority(count) == needed


@given(st.lists(st.integers(0, 50), min_size=1, max_size=7))
def test_reached_is_the_highest_that_a_majority_has(values: list[int]) -> None:
    configuration = Configuration(nodes(*range(len(values))))
    value = reached(configuration, {NodeId(node): held for node, held in enumerate(values)})
    needed = majority(len(values))
    assert sum(held >= value for held in values) >= needed
    assert sum(held > value for held in values) < needed


def test_the_silent_count_as_nothing() -> None:
    configuration = Configuration(nodes(0, 1, 2))
    assert reached(configuration, {NodeId(0): 9}) == 0
    assert reached(configuration, {NodeId(0): 9, NodeId(2): 4, NodeId(7): 9}) == 4


def test_both_sides_of_a_joint_configuration() -> None:
    """Thesis 4.3: agreement needs separate majorities of the old and the new configuration."""
    joint = Configuration(nodes(0, 1, 2), outgoing=nodes(2, 3, 4))
    held = {NodeId(0): 5, NodeId(1): 5, NodeId(2): 5, NodeId(3): 3}
    assert reached(joint, held) == 3
    assert joint.deciders() == nodes(0, 1, 2, 3, 4)
    won = {NodeId(0): True, NodeId(1): True}
    assert election(joint, won) is Verdict.OPEN
    assert election(joint, {**won, NodeId(3): True, NodeId(4): True}) is Verdict.WON
    assert election(joint, {**won, NodeId(3): False, NodeId(4): False}) is Verdict.LOST


@pytest.mark.parametrize(
    ("granted", "refused", "verdict"),
    [
        ((0, 1), (), Verdict.WON),
        ((0,), (), Verdict.OPEN),
        ((0,), (1,), Verdict.OPEN),
        ((0,), (1, 2), Verdict.LOST),
        ((), (0, 1), Verdict.LOST),
        ((0, 8, 9), (), Verdict.OPEN),
    ],
)
def test_election(granted: tuple[int, ...], refused: tuple[int, ...], verdict: Verdict) -> None:
    votes = {NodeId(node): True for node in granted} | {NodeId(node): False for node in refused}
    assert election(Configuration(nodes(0, 1, 2)), votes) is verdict


def test_an_even_group_needs_more_than_half() -> None:
    configuration = Configuration(nodes(0, 1, 2, 3))
    assert election(configuration, {NodeId(0): True, NodeId(1): True}) is Verdict.OPEN
    assert election(configuration, {NodeId(0): False, NodeId(1): False}) is Verdict.LOST
