"""Messages: what is written is read, and every field has its bounds."""

from typing import Any

import pytest

from haqactor.swim.member import INCARNATION_MAX, Status
from haqactor.swim.messages import (
    AGE_MS_MAX,
    RUMOURS_MAX,
    WAIT_MS_MAX,
    Ack,
    Gossip,
    Message,
    Nack,
    Packet,
    Ping,
    PingReq,
    Pull,
    Rumour,
    SwimPacketError,
    Table,
    packet_fields,
    packet_from,
    rumour_from,
    rumour_row,
)
from tests.builders.swim_cluster import key_of, member

K = key_of(1)
MESSAGES: list[Message] = [
    Ping(1, K),
    PingReq(2, K, "a:1", 300),
    Ack(3, K),
    Nack(4),
    Gossip(),
    Pull(),
    Table(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    rumour = Rumour(member(2, 7, Status.DEAD, b"meta"), b"", 5_000_000)
    packet = Packet(K, "h:1", message, (rumour, Rumour(member(3, 1, Status.SUSPECT), K)))
    assert packet_from(packet_fields(packet)) == packet


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (0, [b"", bytes(15), "k", None]),
        (1, [-2, 1 << 31, True, 1.0, "1"]),
        (2, ["", "ä", "x" * 256, b"a", None]),
        (3, [0, -1, INCARNATION_MAX + 1, True, "1"]),
        (4, [-1, 4, True, None]),
        (5, ["", bytes(257), None]),
        (6, ["", bytes(15), bytes(17), None]),
        (7, [-1, AGE_MS_MAX + 1, 0.5, None]),
    ],
)
def test_a_rumours_fields_have_bounds(place: int, values: list[Any]) -> None:
    row = rumour_row(Rumour(member(1, 1)))
    for value in values:
        with pytest.raises(SwimPacketError):
            rumour_from([*row[:place], value, *row[place + 1 :]])


@pytest.mark.parametrize("row", [None, [], {}, [1] * 7, [1] * 9])
def test_a_rumour_has_its_shape(row: Any) -> None:
    with pytest.raises(SwimPacketError):
        rumour_from(row)


@pytest.mark.parametrize(
    "fields",
    [
        *(None, [], [0], [8], [True, 1, K], ["1"], [[1]]),
        *([1, 1], [1, 1, K, 1], [1, -1, K], [1, 1 << 63, K], [1, 1, b"x"]),
        *([2, 1, K, "", 1], [2, 1, K, "a", -1], [2, 1, K, "a", WAIT_MS_MAX + 1]),
        *([3, "1", K], [4, None], [5, 1], [6, 1], [7, 1]),
    ],
)
def test_a_messages_fields_have_bounds(fields: Any) -> None:
    with pytest.raises(SwimPacketError):
        packet_from([K, "a:1", fields, []])


@pytest.mark.parametrize(
    "values",
    [
        *(None, 1, {}, [], [K, "a:1", [5]], [K, "a:1", [5], [], 1]),
        *([b"", "a:1", [5], []], [K, "", [5], []], [K, "a:1", [5], {}]),
        [K, "a:1", [5], [rumour_row(Rumour(member(1, 1)))] * (RUMOURS_MAX + 1)],
    ],
)
def test_a_packet_has_its_shape(values: Any) -> None:
    with pytest.raises(SwimPacketError):
        packet_from(values)
