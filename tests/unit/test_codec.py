"""CBOR: what is written comes back, and nothing else is taken."""

import cbor2
import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from haqactor import codec
from haqactor.errors import ProtocolError

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.binary(),
    st.text(),
    st.floats(allow_nan=False),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
)


@given(values)
def test_what_is_written_comes_back(value: object) -> None:
    assert codec.loads(codec.dumps(value)) == value


@given(values, st.binary(min_size=1))
def test_bytes_behind_a_value_are_passed_over(value: object, more: bytes) -> None:
    assert codec.loads(codec.dumps(value) + more) == value


@pytest.mark.parametrize(
    "value",
    [
        1 << 70,
        CBORTag(2, b"x"),
        CBORTag(4, [1 << 40, 1]),
        CBORTag(28, [CBORTag(29, 0)]),
        CBORTag(35, "(a+)+"),
        CBORTag(258, [1]),
        CBORTag(65_000, 1),
        CBORTag((1 << 64) - 1, 1),
        [1, {"x": [CBORTag(37, bytes(16))]}],
        {1: 2},
        {None: 2},
    ],
)
def test_what_nobody_here_writes_is_refused(value: object) -> None:
    """Numbers of any size (whose text alone is an error), lists that hold themselves, keys that collide."""
    with pytest.raises(ProtocolError, match="not a CBOR value"):
        codec.loads(cbor2.dumps(value))


def test_a_number_whose_text_is_an_error_is_refused() -> None:
    """It was told of in the text of a ProtocolError, and so became a ValueError."""
    with pytest.raises(ProtocolError, match="not a CBOR value"):
        codec.loads(cbor2.dumps(10**5000))


@pytest.mark.parametrize(
    "data", [b"", b"\x81" * 100_000, b"\x9b" + b"\xff" * 8, b"\x5b" + b"\x7f" * 8, b"\x61\xff"]
)
def test_what_is_broken_or_deep_or_claims_too_much_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        codec.loads(data)
