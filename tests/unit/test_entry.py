"""Entries: the frame is the entry, and a damaged one is never taken for it."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqactor.entry import HEAD_BYTES, Kind, build, parse, parse_many
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term


def entry(header: bytes = b"head", body: bytes = b"body", index: int = 7) -> bytes:
    return build(GroupId(3), Index(index), Term(2), Kind.COMMAND, header, body).frame


@given(st.binary(max_size=100), st.binary(max_size=300))
def test_what_is_built_is_parsed(header: bytes, body: bytes) -> None:
    parsed = parse(entry(header, body))
    assert (parsed.group, parsed.index, parsed.term, parsed.kind) == (3, 7, 2, Kind.COMMAND)
    assert (bytes(parsed.header), bytes(parsed.body)) == (header, body)
    assert parsed.size == HEAD_BYTES + len(header) + len(body)
    assert parsed.crc == int.from_bytes(parsed.frame[:4], "little")


@given(st.data())
def test_a_flipped_bit_is_damage(data: st.DataObject) -> None:
    frame = bytearray(entry())
    at = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[at // 8] ^= 1 << at % 8
    with pytest.raises(DataDamaged):
        parse(bytes(frame))


def test_many_behind_each_other() -> None:
    data = b"".join(entry(index=index) for index in range(1, 6))
    assert [found.index for found in parse_many(data)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("cut", [1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 3])
def test_a_cut_frame_is_damage(cut: int) -> None:
    whole = entry()
    with pytest.raises(DataDamaged):
        list(parse_many(whole + whole[:cut]))


@pytest.mark.parametrize(
    ("kind", "index", "term"), [(3, 1, 1), (255, 1, 1), (2, 1 << 63, 1), (2, 1, (1 << 64) - 1)]
)
def test_what_no_release_writes_is_damage_though_its_checksum_is_right(
    kind: int, index: int, term: int
) -> None:
    """A peer's entry of an unknown kind was a ValueError, which ended the node."""
    frame = build(GroupId(1), Index(index), Term(term), cast(Kind, kind), b"").frame
    with pytest.raises(DataDamaged, match="no release writes"):
        parse(frame)
