"""Frames: any chunking gives the same frames; whatever is wrong is refused before it costs memory."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqactor.errors import ProtocolError
from haqactor.frame import PRELUDE_BYTES, Decoder, Frame, encode

headers = st.lists(
    st.one_of(st.integers(0, 2**40), st.binary(max_size=20), st.text(max_size=10), st.booleans()), max_size=6
)


@given(
    st.lists(st.tuples(st.integers(0, 255), headers, st.binary(max_size=200)), max_size=6), st.integers(1, 50)
)
def test_any_chunking_gives_the_same_frames(frames: list[tuple[int, list[Any], bytes]], step: int) -> None:
    data = b"".join(encode(kind, header, blob) for kind, header, blob in frames)
    decoder = Decoder(10_000)
    found: list[Frame] = []
    for at in range(0, len(data), step):
        found += decoder.feed(data[at : at + step])
    assert [frame[:3] for frame in found] == frames
    assert decoder.pending_bytes == 0


@given(st.data())
def test_a_flipped_bit_never_makes_another_frame(data: st.DataObject) -> None:
    good = bytearray(encode(7, [1, b"two", "three"], b"blob" * 10))
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    good[at // 8] ^= 1 << at % 8
    decoder = Decoder(10_000)
    try:
        assert decoder.feed(bytes(good)) == []
    except ProtocolError:
        return


def test_an_oversized_frame_is_refused_at_its_prelude() -> None:
    huge = encode(1, [], b"x" * 5000)
    with pytest.raises(ProtocolError, match="over the limit of 4096"):
        Decoder(4096).feed(huge[:PRELUDE_BYTES])


def test_another_protocol_is_told_apart() -> None:
    with pytest.raises(ProtocolError, match="is the port right"):
        Decoder(4096).feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def test_memory_is_bounded_by_one_frame() -> None:
    decoder = Decoder(1_000_000)
    part = encode(1, [], b"x" * 900_000)[:-1]
    decoder.feed(part)
    assert decoder.pending_bytes == len(part)


def test_a_header_that_is_no_cbor_is_a_protocol_error() -> None:
    import google_crc32c

    rest = (
        (9).to_bytes(1, "little")
        + b"\0"
        + (0x4A51).to_bytes(2, "little")
        + (3).to_bytes(4, "little")
        + b"\xff\xff\xff"
    )
    data = (len(rest) + 8).to_bytes(4, "little") + google_crc32c.value(rest).to_bytes(4, "little") + rest
    with pytest.raises(ProtocolError, match="CBOR"):
        Decoder(1000).feed(data)


@pytest.mark.parametrize("more", [b"", b"x", encode(1, ["good again"])])
def test_good_frames_ahead_of_garbage_are_not_lost(more: bytes) -> None:
    """They are returned first; then the stream is over, whatever follows."""
    decoder = Decoder(10_000)
    good = encode(7, [1], b"one") + encode(7, [2], b"two")
    found = decoder.feed(good + b"GET / HTTP/1.1\r\n\r\n")
    assert [frame[:3] for frame in found] == [(7, [1], b"one"), (7, [2], b"two")]
    assert decoder.pending_bytes == 0
    for _ in range(2):
        with pytest.raises(ProtocolError, match="is the port right"):
            decoder.feed(more)
        with pytest.raises(ProtocolError, match="is the port right"):
            decoder.check()


def test_a_header_counts_as_what_it_takes() -> None:
    """A thousand requests that are nothing but header would fill memory else, and an entry."""
    rows = [[1, number, number, number] for number in range(1_000)]
    (large,) = Decoder(100_000).feed(encode(7, [1, rows]))
    (small,) = Decoder(100_000).feed(encode(7, [1, 2], b"x" * 1_000))
    assert large.size > len(encode(7, [1, rows]))
    assert 1_000 < small.size < 1_100


def test_a_frame_in_small_pieces_takes_little_more_than_its_bytes() -> None:
    body = bytes(256 * 1024)
    data = encode(7, [1], body)
    decoder = Decoder(1 << 20)
    tracemalloc.start()
    try:
        frames = [frame for at in range(0, len(data), 8) for frame in decoder.feed(data[at : at + 8])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [frame.blob for frame in frames] == [body]
    assert peak < 4 * len(body)  # an object for each piece would be twelve times as much


@pytest.mark.parametrize("cut", [1, 15, 16, 17, 5_000, 70_000])
def test_large_frames_cut_anywhere(cut: int) -> None:
    bodies = [bytes([number]) * size for number, size in enumerate((0, 10_000, 100, 150_000, 1, 70_000))]
    data = b"".join(encode(number, [number], body) for number, body in enumerate(bodies))
    decoder = Decoder(1 << 20)
    frames = [frame for at in range(0, len(data), cut) for frame in decoder.feed(data[at : at + cut])]
    assert [(frame.kind, frame.header, frame.blob) for frame in frames] == [
        (number, [number], body) for number, body in enumerate(bodies)
    ]
    assert decoder.pending_bytes == 0
