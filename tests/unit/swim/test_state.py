"""Packets are made within their bounds, whatever there is to say."""

from haqactor.env import NullProbe
from haqactor.swim.config import SwimConfig
from haqactor.swim.messages import Gossip, Ping, Rumour
from haqactor.swim.packet import decode
from haqactor.swim.state import SwimState
from haqactor.swim.table import Record
from tests.builders.swim_cluster import CLUSTER, Chance, key_of, member

LARGE = bytes(256)


def make() -> SwimState:
    return SwimState(
        SwimConfig(), CLUSTER, member(0, 1 << 20, meta=LARGE), random=Chance(0), probe=NullProbe(), now_ns=0
    )


def rumours(data: bytes) -> list[int]:
    packet = decode(data, CLUSTER, NullProbe(), bytes_max=SwimConfig().packet_bytes_max)
    return [rumour.member.node for rumour in packet.rumours]


def test_a_datagram_is_filled_and_not_overfilled() -> None:
    state = make()
    for number in range(1, 20):
        state.broadcasts.put(member(number, 5, meta=LARGE), key_of(1), 0)
    data = state.packet(Ping(1, key_of(1)))
    assert len(data) <= 1_400
    assert len(rumours(data)) == 4


def test_what_must_be_said_goes_first_and_once() -> None:
    state = make()
    state.broadcasts.put(member(1, 5), b"", 0)
    state.broadcasts.put(member(2, 5), b"", 0)
    assert rumours(state.packet(Gossip(), [Rumour(member(1, 5))])) == [1, 2]


def test_the_never_heard_and_what_has_no_room_are_left_out() -> None:
    state = make()
    first = [Rumour(member(number, 5, meta=LARGE)) for number in range(1, 9)]
    assert rumours(state.packet(Gossip(), [Rumour(member(9)), *first])) == [1, 2, 3, 4]


def test_some_are_drawn_without_repeats() -> None:
    state = make()
    records = [Record(member(number, 1), 0) for number in range(5)]
    drawn = [record.member.node for record in state.some(records, 5)]
    assert sorted(drawn) == list(range(5))
    assert len(state.some(records, 9)) == 5
    assert state.some([], 3) == []
    assert len(records) == 5


def test_numbers_of_pings_never_repeat_and_begin_anywhere() -> None:
    state = make()
    assert [state.next_seq() - state.next_seq() for _ in range(3)] == [-1, -1, -1]
    assert state.next_seq() > 1_000
