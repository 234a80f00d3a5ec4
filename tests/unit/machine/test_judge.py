"""What a leader accepts of a settlement, and what it answers before the log has it: nothing."""

from typing import Any

import pytest

from haqactor.errors import InvalidArgument, ProtocolError
from haqactor.machine import commands
from haqactor.machine.judge import Judged
from haqactor.machine.views import fingerprint
from tests.builders.queue_group import ALICE, BOB, Group, Q, leases


def serving(*, credit: int = 512) -> tuple[Group, list[list[int]]]:
    """A group whose consumer ALICE holds ten messages under one lease."""
    group = Group()
    group.publish(10)
    group.subscribe(ALICE, credit=credit)
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


def given(verdict: str, *row: Any) -> dict[str, Any]:
    """A settlement of one row."""
    return {verdict: [list(row)]}


GIVING_UP: list[tuple[str, list[Any]]] = [("nacks", [-1, "why"]), ("rejects", ["why"]), ("releases", [])]


@pytest.mark.parametrize(("verdict", "more"), GIVING_UP)
def test_what_is_given_up_again_is_answered_as_the_first_copy(verdict: str, more: list[Any]) -> None:
    """Its connection broke before the answer came: the first copy takes effect, so the second is no loss. It
    is answered behind the first, and changes nothing."""
    group, rows = serving()
    copy = given(verdict, *rows[0][:2], 2, 5, *more)
    first, again = group.judge(ALICE, **copy), group.judge(ALICE, **copy)
    assert first.command is not None
    assert again.refused == []
    assert again.command == commands.settle(Q, [], [], [], []), "the answer waits for the first copy"
    group.apply(first.command)
    state = fingerprint(group.machine.queues[Q])
    assert again.command is not None
    group.apply(again.command)
    assert fingerprint(group.machine.queues[Q]) == state
    assert group.judge(ALICE, **copy) == Judged(None, []), "and at once from then on"


@pytest.mark.parametrize(("verdict", "more"), GIVING_UP)
def test_of_a_repeat_only_what_this_very_lease_gave_up_so_is_accepted(verdict: str, more: list[Any]) -> None:
    group, rows = serving()
    lease = rows[0][:2]
    group.settle(ALICE, **given(verdict, *lease, 2, 5, *more))
    assert group.settle(ALICE, **given(verdict, *lease, 4, 12, *more)).refused == [(11, 12)]
    assert group.judge(ALICE, **given(verdict, lease[0], lease[1] + 1, 2, 5, *more)).refused == [(2, 5)]
    assert group.judge(BOB, **given(verdict, *lease, 2, 5, *more)).refused == [(2, 5)]
    for other, extra in GIVING_UP:
        if other != verdict:
            assert group.judge(ALICE, **given(other, *lease, 2, 5, *extra)).refused == [(2, 5)]


def test_a_repeat_does_not_touch_who_holds_the_message_by_now() -> None:
    group, rows = serving(credit=10)
    copy: dict[str, Any] = {"nacks": [[*rows[0][:2], 1, 3, 0, "no"]]}
    group.settle(ALICE, **copy)
    group.subscribe(BOB)
    again = leases(group.run(), BOB)
    assert [row[2:] for row in again] == [[1, 3]]
    assert group.judge(ALICE, **copy) == Judged(None, [])
    assert group.settle(BOB, acks=again).refused == []
    assert group.machine.queues[Q].low == 4


def test_what_an_expiry_took_is_lost_whoever_says_what_of_it() -> None:
    group, rows = serving()
    group.run(31)
    for verdict, more in GIVING_UP:
        copy = given(verdict, *rows[0], *more)
        assert [group.judge(ALICE, **copy).refused for _ in range(2)] == [[(1, 10)], [(1, 10)]]


def test_the_next_leader_knows_of_no_earlier_settlement() -> None:
    """What it has not seen held, it does not confirm."""
    group, rows = serving()
    copy: dict[str, Any] = {"rejects": [[*rows[0], "no"]]}
    group.settle(ALICE, **copy)
    group.new_term()
    group.subscribe(ALICE)
    group.run()
    assert group.judge(ALICE, **copy) == Judged(None, [(1, 10)])
