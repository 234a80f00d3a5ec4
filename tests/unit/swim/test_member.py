"""Members: which news counts, and what cannot be said."""

from dataclasses import replace

import pytest

from haqactor.env import NullProbe
from haqactor.errors import InvalidArgument
from haqactor.swim.member import (
    ADDRESS_BYTES_MAX,
    INCARNATION_MAX,
    META_BYTES_MAX,
    Member,
    Status,
    checked,
    first_incarnation,
    same_facts,
    supersedes,
)
from tests.builders.swim_cluster import Switches, member

ALIVE, SUSPECT, DEAD, LEFT = Status


@pytest.mark.parametrize(
    ("new", "old", "wins"),
    [
        ((ALIVE, 2), (SUSPECT, 1), True),
        ((ALIVE, 2), (DEAD, 1), True),
        ((ALIVE, 2), (LEFT, 1), True),
        ((ALIVE, 1), (SUSPECT, 1), False),
        ((ALIVE, 1), (DEAD, 1), False),
        ((SUSPECT, 1), (ALIVE, 1), True),
        ((SUSPECT, 1), (ALIVE, 2), False),
        ((DEAD, 1), (ALIVE, 1), True),
        ((DEAD, 1), (SUSPECT, 1), True),
        ((DEAD, 1), (ALIVE, 2), False),
        ((LEFT, 1), (DEAD, 1), True),
        ((DEAD, 1), (LEFT, 1), False),
        ((LEFT, 1), (ALIVE, 2), False),
        ((ALIVE, 1), (ALIVE, 1), False),
    ],
)
def test_precedence(new: tuple[Status, int], old: tuple[Status, int], wins: bool) -> None:
    assert supersedes(member(1, new[1], new[0]), member(1, old[1], old[0])) is wins


def test_other_facts_of_the_same_incarnation_have_one_winner() -> None:
    one = member(1, 5)
    for other in (replace(one, meta=b"x"), replace(one, address="z:1"), replace(one, node=9)):
        assert not same_facts(one, other)
        assert supersedes(one, other) is not supersedes(other, one)


def test_news_of_another_member_never_counts() -> None:
    assert not supersedes(member(2, 9), member(1, 1))


def test_a_restart_speaks_above_everything_before_it() -> None:
    before = first_incarnation(3, NullProbe()) + 1_000
    assert first_incarnation(4, NullProbe()) > before
    assert first_incarnation(1, NullProbe()) > 0


def test_planted_a_restart_begins_anew() -> None:
    buggy = Switches(["swim.incarnation_restarts"])
    assert first_incarnation(4, buggy) == first_incarnation(1, buggy)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(member(1), key=b"short"),
        replace(member(1), node=-2),
        replace(member(1), node=1 << 31),
        replace(member(1), address=""),
        replace(member(1), address="ä:1"),
        replace(member(1), address="a\n:1"),
        replace(member(1), address="a" * (ADDRESS_BYTES_MAX + 1)),
        replace(member(1), incarnation=-1),
        replace(member(1), incarnation=INCARNATION_MAX + 1),
        replace(member(1), meta=bytes(META_BYTES_MAX + 1)),
    ],
)
def test_what_could_not_travel_is_refused(wrong: Member) -> None:
    with pytest.raises(InvalidArgument):
        checked(wrong)


def test_the_bounds_themselves_are_allowed() -> None:
    largest = Member(
        bytes(16), (1 << 31) - 1, "a" * ADDRESS_BYTES_MAX, INCARNATION_MAX, LEFT, bytes(META_BYTES_MAX)
    )
    assert checked(largest) is largest
    assert checked(replace(member(1), node=-1)).node == -1
