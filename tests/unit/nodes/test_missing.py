"""Requests for queues that a group does not know yet wait, within a bound, or learn that there are none."""

from typing import Any, cast

import pytest

from haqactor.errors import NotFound, Overloaded
from haqactor.ids import GroupId
from haqactor.machine.directory import DirectoryMachine
from haqactor.nodes.missing import Missing
from haqactor.nodes.sessions import Request


class FakeDirectory:
    """As far as ``Missing`` looks at it."""

    def __init__(self) -> None:
        self.applied = 10
        self.listed: dict[tuple[int, int], bool] = {}

    def lists(self, uid: int, group: int) -> bool:
        return (uid, group) in self.listed


def make() -> tuple[Missing, FakeDirectory]:
    directory = FakeDirectory()
    return Missing(cast(DirectoryMachine, directory)), directory


def request(name: Any, session: Any = None) -> Request:
    return Request(session, name, b"")


def names(requests: list[Request]) -> list[Any]:
    return [each.message for each in requests]


def test_waits_for_what_is_listed_or_not_known_yet() -> None:
    """And is taken in order, once, by queue or all together."""
    missing, directory = make()
    group, other = GroupId(1), GroupId(2)
    directory.listed[7, 1] = True
    missing.wait(group, 7, request("listed"))
    missing.wait(group, 11, request("not here yet"))
    missing.wait(group, 7, request("listed too"))
    missing.wait(other, 12, request("elsewhere"))
    assert names(missing.take(group, 7)) == ["listed", "listed too"]
    assert names(missing.take(group, 7)) == []
    assert names(missing.take_all(group)) == ["not here yet"]
    assert names(missing.take_all(other)) == ["elsewhere"]
    assert names(missing.take_all(other)) == []


def test_what_the_directory_does_not_list_is_gone() -> None:
    """Also where another group has it."""
    missing, directory = make()
    directory.listed[7, 2] = True
    for uid in (7, 10, 0, -1):
        with pytest.raises(NotFound):
            missing.wait(GroupId(1), uid, request(uid))


def test_the_bound_holds_over_all_groups_and_frees_up() -> None:
    """What was taken makes room."""
    missing, _directory = make()
    for number in range(4096):
        missing.wait(GroupId(number % 3), 11, request(number, number // 256))
    with pytest.raises(Overloaded):
        missing.wait(GroupId(1), 11, request("one more"))
    assert len(missing.take(GroupId(0), 11)) == 1366
    missing.wait(GroupId(1), 11, request("one more"))
    assert names(missing.take_all(GroupId(1)))[-1] == "one more"


def test_one_connection_cannot_take_every_place() -> None:
    """Others still find room; its places come back one by one, or all when it ends."""
    missing, _directory = make()
    group, other = GroupId(1), GroupId(2)
    for number in range(256):
        missing.wait((group, other)[number % 2], 11 + number % 4, request(number, "greedy"))
    with pytest.raises(Overloaded):
        missing.wait(group, 11, request("one more", "greedy"))
    missing.wait(group, 11, request("somebody else's", "modest"))
    assert len(missing.take(other, 12)) == 64
    missing.wait(group, 11, request("room again", "greedy"))
    missing.drop(cast(Any, "greedy"))
    missing.drop(cast(Any, "greedy"))
    assert names(missing.take_all(group)) == ["somebody else's"]
    assert missing.take_all(other) == []
    for number in range(256):
        missing.wait(group, 11, request(number, "greedy"))


def test_its_bytes_are_bounded_too() -> None:
    """A few large requests are as much as many small ones."""
    missing, _directory = make()
    group = GroupId(1)
    for number in range(16):
        missing.wait(group, 11, Request(cast(Any, number), number, b"", 1 << 20))
    with pytest.raises(Overloaded):
        missing.wait(group, 11, request("one more"))
    missing.drop(cast(Any, 3))
    missing.wait(group, 11, request("one more"))
