"""Headers: a round trip, and no guess."""

import pytest

from haqactor import codec
from haqactor.errors import InvariantViolation, UnknownVersion
from haqactor.machine import commands
from haqactor.machine.versions import FIRST, Versions


def test_a_header_comes_back() -> None:
    given = [commands.tick(sessions=True), commands.declare("q", {"lease_ns": 5})]
    header = commands.decode(commands.encode(7, given))
    assert header == commands.Header(FIRST, 7, given)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff",
        codec.dumps([]),
        codec.dumps(["1", 0, []]),
        codec.dumps([True, 0, []]),
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


@pytest.mark.parametrize("header", [[2, 0, []], [0, 0, []], [2], [7, {"what": "ever"}], [2, 0, [[1000, 1]]]])
def test_of_another_version_nothing_but_the_version_is_read(header: list[object]) -> None:
    with pytest.raises(UnknownVersion):
        commands.decode(codec.dumps(header))


def test_a_release_may_know_more_than_one_version() -> None:
    header = commands.encode(7, [], version=2)
    assert commands.decode(header, Versions(1, 2)).version == 2
    with pytest.raises(UnknownVersion, match="machine version 2, and this release knows 3 to 4"):
        commands.decode(header, Versions(3, 4))
