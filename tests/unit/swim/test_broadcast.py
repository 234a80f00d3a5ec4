"""News to be told: the least told first, within the room, so often and no more."""

import pytest

from haqactor.swim.broadcast import Broadcasts, rumour_of, size_of, transmissions
from haqactor.swim.member import Status
from haqactor.swim.messages import Rumour
from tests.builders.swim_cluster import member

ROOM = 10_000


def told(rumours: list[Rumour]) -> list[int]:
    return [rumour.member.node for rumour in rumours]


@pytest.mark.parametrize(("members", "times"), [(1, 4), (9, 4), (10, 8), (99, 8), (1_000, 16)])
def test_how_often(members: int, times: int) -> None:
    assert transmissions(4, members) == times


def test_the_least_told_goes_first_and_of_these_the_newest() -> None:
    queue = Broadcasts()
    for number in (1, 2):
        queue.put(member(number, 1), b"", 0)
    one = size_of(Rumour(member(1, 1)))
    assert told(queue.take(one, 9, 0)) == [2]
    assert told(queue.take(one, 9, 0)) == [1]
    queue.put(member(3, 1), b"", 0)
    assert told(queue.take(ROOM, 9, 0)) == [3, 2, 1]


def test_each_is_told_so_often_and_then_dropped() -> None:
    queue = Broadcasts()
    queue.put(member(1, 1), b"", 0)
    assert [told(queue.take(ROOM, 3, 0)) for _ in range(4)] == [[1], [1], [1], []]
    assert len(queue) == 0


def test_newer_news_takes_the_place_of_older() -> None:
    queue = Broadcasts()
    queue.put(member(1, 1), b"", 0)
    queue.take(ROOM, 2, 0)
    queue.put(member(1, 2), b"", 0)
    for _ in range(2):
        assert [rumour.member.incarnation for rumour in queue.take(ROOM, 2, 0)] == [2]
    assert len(queue) == 0


def test_what_has_no_room_waits_and_a_smaller_one_goes() -> None:
    queue = Broadcasts()
    queue.put(member(1, 1), b"", 0)
    queue.put(member(2, 1, meta=bytes(200)), b"", 0)
    assert told(queue.take(size_of(Rumour(member(1, 1))), 9, 0)) == [1]
    assert told(queue.take(ROOM, 9, 0)) == [2, 1]


def test_what_the_packet_says_already_is_not_told_twice() -> None:
    queue = Broadcasts()
    queue.put(member(1, 1), b"", 0)
    assert queue.take(ROOM, 9, 0, skip=(member(1).key,)) == []
    queue.drop(member(1).key)
    queue.drop(member(2).key)
    queue.put(member(2, 1), b"", 0)
    queue.clear()
    assert len(queue) == 0


def test_only_the_dead_age() -> None:
    assert rumour_of(member(1, 1), b"", 10, 30).age_ns == 0
    assert rumour_of(member(1, 1, Status.DEAD), b"", 10, 30).age_ns == 20
    assert rumour_of(member(1, 1, Status.LEFT), b"", 30, 10).age_ns == 0
