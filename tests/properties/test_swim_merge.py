"""The merge rule is a semilattice, packets are read as written, and no bytes at all do harm."""

import random
from functools import reduce

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqactor.env import NullProbe
from haqactor.swim.config import SwimConfig
from haqactor.swim.core import SwimCore
from haqactor.swim.member import INCARNATION_MAX, NODE_MAX, Member, Status, supersedes
from haqactor.swim.messages import (
    AGE_MS_MAX,
    SEQ_MAX,
    WAIT_MS_MAX,
    Ack,
    Gossip,
    Nack,
    Packet,
    Ping,
    PingReq,
    Pull,
    Rumour,
    SwimPacketError,
    Table,
)
from haqactor.swim.packet import STREAM_BYTES_MAX, ForeignCluster, decode, encode, framed
from tests.builders.swim_cluster import CLUSTER, Chance, member

KEY = bytes(16)
FEW = st.builds(
    Member,
    st.just(KEY),
    st.integers(-1, 1),
    st.sampled_from(["a:1", "b:1"]),
    st.integers(0, 3),
    st.sampled_from(Status),
    st.sampled_from([b"", b"x"]),
)
KEYS = st.binary(min_size=16, max_size=16)
ADDRESSES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255)
MEMBERS = st.builds(
    Member,
    KEYS,
    st.integers(-1, NODE_MAX),
    ADDRESSES,
    st.integers(1, INCARNATION_MAX),
    st.sampled_from(Status),
    st.binary(max_size=256),
)
AGES = st.integers(0, AGE_MS_MAX).map(lambda ms: ms * 1_000_000)
RUMOURS = st.builds(Rumour, MEMBERS, st.one_of(st.just(b""), KEYS), AGES)
SEQ = st.integers(0, SEQ_MAX)
MESSAGES = st.one_of(
    st.builds(Ping, SEQ, KEYS),
    st.builds(PingReq, SEQ, KEYS, ADDRESSES, st.integers(0, WAIT_MS_MAX)),
    st.builds(Ack, SEQ, KEYS),
    st.builds(Nack, SEQ),
    st.sampled_from([Gossip(), Pull(), Table()]),
)
PACKETS = st.builds(Packet, KEYS, ADDRESSES, MESSAGES, st.lists(RUMOURS, max_size=5).map(tuple))
PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 9),
        st.floats(),
        st.text(max_size=3),
        KEYS,
        st.binary(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=8), st.dictionaries(st.integers(0, 3), inner, max_size=2)
    ),
    max_leaves=30,
)


def join(one: Member, other: Member) -> Member:
    return other if supersedes(other, one) else one


@given(FEW, FEW, FEW)
def test_the_rule_is_a_semilattice(a: Member, b: Member, c: Member) -> None:
    assert join(a, a) == a
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))


@given(FEW, FEW)
def test_of_two_different_ones_exactly_one_counts(a: Member, b: Member) -> None:
    assert supersedes(a, b) + supersedes(b, a) == (a != b)


@given(st.lists(FEW, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_whatever_the_order_the_view_is_the_same(news: list[Member], order: random.Random) -> None:
    shuffled = list(news)
    order.shuffle(shuffled)
    assert reduce(join, [*shuffled, *news]) == reduce(join, news)


@given(PACKETS)
def test_packets_are_read_as_they_were_written(packet: Packet) -> None:
    data = encode(packet, CLUSTER)
    assert decode(data, CLUSTER, NullProbe(), bytes_max=len(data)) == packet


def read(data: bytes) -> None:
    try:
        decode(data, CLUSTER, NullProbe(), bytes_max=STREAM_BYTES_MAX)
    except SwimPacketError:
        pass


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    read(data)
    read(encode(Packet(KEY, "a:1", Gossip()), CLUSTER)[:25] + data)


@given(PACKETS, st.integers(0, 10_000), st.integers(0, 255))
def test_changed_bytes_are_noticed(packet: Packet, place: int, value: int) -> None:
    data = bytearray(encode(packet, CLUSTER))
    place %= len(data)
    if data[place] == value:
        return
    data[place] = value
    with pytest.raises(SwimPacketError) as found:
        decode(bytes(data), CLUSTER, NullProbe(), bytes_max=STREAM_BYTES_MAX)
    assert not isinstance(found.value, ForeignCluster), "the checksum covers the cluster"


@given(PLAIN)
def test_sound_frames_of_anything(values: object) -> None:
    read(framed(values, CLUSTER))


@given(st.binary(min_size=1, max_size=200))
def test_sound_frames_of_any_bytes(body: bytes) -> None:
    """The checksum is right, what stands behind it is not even CBOR."""
    checked = CLUSTER + body
    read(b"HAQG\x01" + google_crc32c.value(checked).to_bytes(4, "little") + checked)


@given(st.lists(st.tuples(PACKETS, st.sampled_from(["received", "asked", "exchanged"])), max_size=10))
def test_a_core_takes_whatever_may_be_said(packets: list[tuple[Packet, str]]) -> None:
    me = member(0, 1 << 20)
    core = SwimCore(
        SwimConfig(members_max=8),
        CLUSTER,
        me,
        (member(1),),
        (),
        random=Chance(1),
        probe=NullProbe(),
        now_ns=0,
    )
    now_ns = 0
    for packet, way in packets:
        data = encode(packet, CLUSTER)
        try:
            if way == "received":
                core.received(data, "socket", now_ns)
            elif way == "asked":
                core.asked(data, now_ns)
            else:
                core.exchanged("a:1", data, now_ns)
        except SwimPacketError:
            pass
        now_ns = core.next_ns()
        core.tick(now_ns)
        core.take()
        assert len(core.members()) <= 9
        assert core.me.incarnation >= me.incarnation
