"""The bytes: damage, other versions and other clusters are told apart, and nothing of them is believed."""

import pytest

from haqactor.env import NullProbe
from haqactor.errors import ProtocolError
from haqactor.swim.messages import Gossip, Packet, Rumour, SwimPacketError
from haqactor.swim.packet import HEAD_BYTES, ForeignCluster, decode, encode, framed
from tests.builders.swim_cluster import CLUSTER, Switches, key_of, member

PACKET = Packet(key_of(1), "a:1", Gossip(), (Rumour(member(2, 3)),))
OTHER = bytes(16)


def read(data: bytes, bytes_max: int = 1_400) -> Packet:
    return decode(data, CLUSTER, NullProbe(), bytes_max=bytes_max)


def test_what_is_written_is_read() -> None:
    assert read(encode(PACKET, CLUSTER)) == PACKET


def test_every_flipped_bit_is_noticed() -> None:
    data = encode(PACKET, CLUSTER)
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises(SwimPacketError):
                read(bytes(damaged))


def test_every_cut_is_noticed() -> None:
    data = encode(PACKET, CLUSTER)
    for length in range(len(data)):
        with pytest.raises(SwimPacketError):
            read(data[:length])
    with pytest.raises(SwimPacketError):
        read(data + b"x")


def test_another_cluster_is_told_apart() -> None:
    with pytest.raises(ForeignCluster):
        read(encode(PACKET, OTHER))


def test_planted_another_cluster_is_believed() -> None:
    buggy = Switches(["swim.foreign_accepted"])
    assert decode(encode(PACKET, OTHER), CLUSTER, buggy, bytes_max=1_400) == PACKET


def test_too_much_is_not_read() -> None:
    data = encode(PACKET, CLUSTER)
    assert read(data, len(data)) == PACKET
    with pytest.raises(SwimPacketError, match="at most"):
        read(data, len(data) - 1)


@pytest.mark.parametrize("values", [None, "x", 1, [1, 2, 3, 4], ["a", "b"]])
def test_other_values_in_a_sound_frame(values: object) -> None:
    with pytest.raises(SwimPacketError):
        read(framed(values, CLUSTER))


def test_a_bad_packet_is_a_protocol_error() -> None:
    assert issubclass(SwimPacketError, ProtocolError)
    assert HEAD_BYTES == 25
