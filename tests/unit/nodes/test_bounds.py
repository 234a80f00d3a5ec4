"""Of two bounds the lower one holds, and what is refused names the setting."""

from typing import Any

import pytest

from haqactor.config import Limits, QueueConfig
from haqactor.machine.queue import Queue
from haqactor.nodes import bounds
from haqactor.nodes.line import Size


def queue(**settings: Any) -> Queue:
    return Queue(1, "q", 1, QueueConfig("q", **settings).settings())


@pytest.mark.parametrize(
    ("own", "most", "found", "remedy"),
    [
        (0, 0, 1 << 62, "raise limits.queue_bytes_max"),
        (0, 7, 7, "raise limits.queue_bytes_max"),
        (5, 0, 5, "declare it with a higher max_bytes"),
        (5, 7, 5, "declare it with a higher max_bytes"),
        (7, 7, 7, "declare it with a higher max_bytes"),
        (9, 7, 7, "raise limits.queue_bytes_max"),
    ],
)
def test_the_lower_one_holds(own: int, most: int, found: int, remedy: str) -> None:
    bound = bounds.of_queue(queue(max_bytes=own), Limits(queue_bytes_max=most)).bytes
    assert (bound.most, bound.unit, bound.remedy) == (found, "bytes", remedy)


def test_a_queue_of_an_older_release_has_no_bounds_of_its_own() -> None:
    settings = queue().settings
    del settings["max_bytes"], settings["max_messages"]
    found = bounds.of_queue(Queue(1, "q", 1, settings), Limits(queue_messages_max=3))
    assert (found.messages.most, found.bytes.most) == (3, 1 << 62)


def test_room_and_what_is_missing() -> None:
    found = bounds.of_group(Limits(group_messages_max=10, group_bytes_max=100))
    assert found.room(Size(4, 130)) == Size(6, -30)
    assert found.never(Size(10, 100)) is None
    assert found.never(Size(11, 1)) is found.messages
    assert found.never(Size(1, 101)) is found.bytes
    assert found.full(Size(2, 50), Size(9, 20)) == (found.messages, 9)
    assert found.full(Size(1, 81), Size(9, 20)) == (found.bytes, 20)
    assert found.full(Size(2, 81), Size(9, 20)) == (found.messages, 9)
