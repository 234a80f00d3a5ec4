"""Headers: a round trip, and no guess."""

import pytest

from haqactor import codec
from haqactor.errors import InvariantViolation
from haqactor.machine import commands


def test_a_header_comes_back() -> None:
    given = [commands.tick(sessions=True), commands.declare("q", {"lease_ns": 5})]
    header = commands.decode(commands.encode(7, given))
    assert header == commands.Header(commands.MACHINE_VERSION, 7, given)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff",
        codec.dumps([2, 0, []]),
        codec.dumps([1, "0", []]),
        codec.dumps([1, 0]),
        codec.dumps([1, 0, {}]),
        codec.dumps([1, 0, [[6]]]),
        codec.dumps([1, 0, [[1000, 1]]]),
        codec.dumps([1, 0, [{}]]),
    ],
)
def test_what_is_not_known_is_never_guessed(header: bytes) -> None:
    with pytest.raises(InvariantViolation):
        commands.decode(header)
