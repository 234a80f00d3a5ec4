"""Batches: what is packed comes back, and nothing that lies is believed."""

from random import Random
from typing import Any

import google_crc32c
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from haqactor import batch, codec
from haqactor.batch import Content, Packer
from haqactor.errors import ProtocolError

LIMIT = 1 << 24
extras = st.tuples(
    st.one_of(st.none(), st.text(max_size=20)),
    st.one_of(
        st.none(),
        st.dictionaries(
            st.text(max_size=5), st.one_of(st.integers(-9, 9), st.binary(max_size=9)), max_size=3
        ),
    ),
    st.one_of(st.none(), st.text(max_size=8)),
)
contents = st.lists(
    st.builds(Content, st.binary(max_size=400), st.one_of(st.none(), extras)),
    min_size=1,
    max_size=batch.COUNT_MAX,
)


@settings(deadline=None, max_examples=60)
@given(contents)
def test_what_is_packed_comes_back(messages: list[Content]) -> None:
    data = Packer().pack(messages)
    head = batch.head(data)
    assert head.count == len(messages)
    assert head.size == len(data)
    assert sum(batch.lengths(data)) == head.content_bytes
    assert batch.unpack(data, LIMIT) == messages


@settings(deadline=None, max_examples=60)
@given(contents, st.data())
def test_a_flipped_bit_is_noticed(messages: list[Content], data: st.DataObject) -> None:
    packed = bytearray(Packer().pack(messages))
    at = data.draw(st.integers(0, len(packed) * 8 - 1))
    packed[at // 8] ^= 1 << at % 8
    try:
        assert batch.unpack(bytes(packed), LIMIT) == messages, "a flipped bit changed a message"
    except ProtocolError:
        return
    pytest.fail("a flipped bit went unnoticed")


def _shrinks(packer: Packer, contents: list[Content]) -> bool:
    return bool(batch.head(packer.pack(contents)).flags & batch.ZSTD)


def test_what_shrinks_is_compressed_whatever_was_packed_before() -> None:
    packer, draw = Packer(), Random(1)
    for _ in range(40):
        assert not _shrinks(packer, [Content(draw.randbytes(100)) for _ in range(100)])
        assert _shrinks(packer, [Content(b"a" * 10_000)])


def test_repetition_far_away_is_found_though_no_piece_shows_it() -> None:
    packer, draw = Packer(), Random(1)
    far = [Content(draw.randbytes(5_000))] * 2
    assert _shrinks(packer, far)
    assert not _shrinks(packer, [Content(draw.randbytes(10_000))])
    seen = [_shrinks(packer, far) for _ in range(17)]
    assert not seen[0]
    assert seen[-1]


def test_equal_lengths_need_one_row() -> None:
    packed = Packer().pack([Content(bytes([n]) * 10) for n in range(100)])
    assert batch.head(packed).table_bytes == 4
    assert list(batch.lengths(packed)) == [10] * 100


def test_what_compresses_is_compressed_and_what_does_not_is_not() -> None:
    assert batch.head(Packer().pack([Content(b"a" * 10_000)])).flags & batch.ZSTD
    random = bytes((n * n * 7919 + n) % 251 for n in range(5000))
    noise = zstandard.ZstdCompressor(level=9).compress(random)[:600]
    assert not batch.head(Packer().pack([Content(noise)])).flags & batch.ZSTD


def test_a_decompression_bomb_is_refused_by_its_declared_size() -> None:
    bomb = Packer().pack([Content(b"\0" * 8_000_000)])
    assert len(bomb) < 20_000
    with pytest.raises(ProtocolError, match="over the limit"):
        batch.unpack(bomb, 1_000_000)


def test_a_bomb_with_a_lying_head_is_refused_by_its_frame() -> None:
    honest = Packer().pack([Content(b"\0" * 1000)])
    at = batch.head(honest)
    bomb = zstandard.ZstdCompressor().compress(b"\0" * 8_000_000)
    lying = (
        _head_of(honest, stored=len(bomb))
        + honest[batch.HEAD_BYTES : batch.HEAD_BYTES + at.table_bytes]
        + bomb
    )
    lying = _checked(lying, at.table_bytes)
    with pytest.raises(ProtocolError, match="zstd frame says"):
        batch.unpack(lying, LIMIT)


def test_a_frame_without_a_size_is_refused() -> None:
    honest = Packer().pack([Content(b"\0" * 1000)])
    at = batch.head(honest)
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(b"\0" * 1000)
    lying = (
        _head_of(honest, stored=len(bomb))
        + honest[batch.HEAD_BYTES : batch.HEAD_BYTES + at.table_bytes]
        + bomb
    )
    with pytest.raises(ProtocolError):
        batch.unpack(_checked(lying, at.table_bytes), LIMIT)


def _head_of(data: bytes, *, stored: int) -> bytes:
    return data[:8] + stored.to_bytes(4, "little") + data[12 : batch.HEAD_BYTES]


def _checked(data: bytes, table: int) -> bytes:
    fixed, rest = data[:20], data[batch.HEAD_BYTES :]
    check: int = google_crc32c.extend(google_crc32c.value(fixed), rest[:table])
    return fixed + check.to_bytes(4, "little") + rest


@pytest.mark.parametrize("data", [b"", b"x" * 23, b"\0" * 24, b"\x02" + b"\0" * 30])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        batch.head(data)


def test_the_slicer_keeps_what_is_asked_for_in_that_order() -> None:
    messages = [Content(b"%d" % n, (f"k{n}", {"n": n}, None)) for n in range(10)]
    sliced = batch.select(Packer().pack(messages), [7, 2], LIMIT)
    assert batch.unpack(sliced, LIMIT) == [messages[7], messages[2]]


def test_key_hashes_are_the_same_everywhere() -> None:
    assert batch.key_hash("cust-7") == 0x3BF0B2161B9BA348
    assert batch.key_hash("a") != batch.key_hash("b")


@pytest.mark.parametrize("extras", [(5, None, None), (None, 5, None), (None, [], None), (None, None, b"id")])
def test_extras_of_another_type_are_refused(extras: Any) -> None:
    """A key that was a number ended the node that sliced the batch."""
    content = Content(b"body", extras)
    head = codec.dumps(list(extras))
    good = Packer().pack([Content(b"body", (None, None, None))])
    old = len(codec.dumps([None, None, None]))
    raw = len(head).to_bytes(4, "little") + head + content.body
    lying = good[:8] + len(raw).to_bytes(4, "little") * 2 + google_crc32c.value(raw).to_bytes(4, "little")
    lying += bytes(4) + len(raw).to_bytes(4, "little") + b"\x01" + raw
    assert len(good) == batch.HEAD_BYTES + 5 + 4 + old + 4
    with pytest.raises(ProtocolError, match="extras are not"):
        batch.select(_checked(lying, 5), [0], LIMIT)
