"""What a leader accepts of a settlement, and what it answers before the log has it: nothing."""

from typing import Any

import pytest

from haqactor.errors import InvalidArgument, ProtocolError
from tests.builders.queue_group import ALICE, Group, Q, leases


def serving() -> tuple[Group, list[list[int]]]:
    """A group whose consumer ALICE holds ten messages under one lease."""
    group = Group()
    group.publish(10)
    group.subscribe(ALICE)
    return group, leases(group.run())


def test_a_repeated_acknowledgement_waits_for_the_log_as_the_first_does() -> None:
    """A session that lost its connection sends it again, perhaps to the same leader: no answer before it is
    committed."""
    group, rows = serving()
    part = [[*rows[0][:2], 1, 5]]
    first, again = group.judge(ALICE, acks=part), group.judge(ALICE, acks=part)
    assert first.command is not None
    assert again.command is not None
    assert first.command == again.command
    assert again.refused == []
    group.apply(first.command)
    assert group.judge(ALICE, acks=part).command is None
    group.apply(again.command)
    assert group.machine.queues[Q].low == 6


@pytest.mark.parametrize(
    "row",
    [
        [1, 1, 1, 1, -2, "x"],
        [1, 1, 1, 1, 0, 5],
        [1, 1, 2, 1, 0, ""],
        [1, 1, 1, 1],
        [1, 1, 1, 1, 0, "r" * 1025],  # each dead letter keeps its own
    ],
)
def test_malformed_settlements(row: list[Any]) -> None:
    group, _rows = serving()
    with pytest.raises((ProtocolError, InvalidArgument)):
        group.judge(ALICE, nacks=[row])


def test_an_older_lease_beside_the_newer_one_is_no_refusal() -> None:
    """What came again while an answer was on its way is settled under both leases, in one message, whose
    answer names messages alone: the acknowledgement that counts must not look refused."""
    group, rows = serving()
    term, counter = rows[0][:2]
    old = [[term, counter, 1, 3]]
    group.settle(ALICE, releases=[[term, counter, 1, 3]])
    group.d.credit(ALICE, 1, 512, 1000)
    new = leases(group.run())
    assert new[0][:2] != [term, counter]
    judged = group.judge(ALICE, acks=[*old, [*new[0][:2], 1, 2]])
    assert judged.refused == [(3, 3)], "held again, and not acknowledged"
    judged = group.judge(ALICE, nacks=[[term, counter, 3, 3, 0, "no"]], acks=[[*new[0][:2], 3, 3]])
    assert judged.refused == []
