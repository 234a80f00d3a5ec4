"""Configurations: their bytes and their history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqactor.errors import DataDamaged
from haqactor.ids import Index, NodeId
from haqactor.raft.membership import Configuration, Configurations, decode

IDS = st.lists(st.integers(0, 2**32 - 1).map(NodeId), max_size=7, unique=True).map(tuple)


@given(IDS.filter(bool), IDS, IDS)
def test_bytes_round_trip(
    voters: tuple[NodeId, ...], learners: tuple[NodeId, ...], outgoing: tuple[NodeId, ...]
) -> None:
    configuration = Configuration(voters, learners, outgoing)
    assert decode(configuration.encode()) == configuration


@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\x01\x00\x00\x00\x00\x00\x00", b"\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"]
)
def test_foreign_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(DataDamaged):
        decode(data)


def test_cut_bytes_are_damage() -> None:
    data = Configuration((NodeId(1), NodeId(2))).encode()
    with pytest.raises(DataDamaged):
        decode(data[:-1])


def test_members_and_deciders() -> None:
    configuration = Configuration((NodeId(2), NodeId(1)), (NodeId(5),), (NodeId(1), NodeId(3)))
    assert configuration.deciders() == (1, 2, 3)
    assert configuration.members() == (1, 2, 3, 5)


def test_history_follows_the_log() -> None:
    """R8: in effect on append, rolled back on truncation, found again behind a snapshot."""
    one, two, three = (Configuration((NodeId(node),)) for node in (1, 2, 3))
    history = Configurations(one, Index(0), [(Index(5), two)])
    history.append(Index(8), three)
    assert history.current is three
    history.truncate(Index(6))
    assert history.current is two
    history.append(Index(9), three)
    history.compact(Index(7))
    assert (history.at(Index(7)), history.at(Index(9)), history.current) == (two, three, three)
    history.truncate(Index(8))
    assert history.current is two
    history.restore(one, Index(20))
    assert history.current is one
