"""Headers: a round trip, and no guess."""

import pytest

from haqactor import codec
from haqactor.errors import InvalidArgument, InvariantViolation, UnknownVersion
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


@pytest.mark.parametrize(
    "command",
    [
        commands.producer_epoch(b"p" * 16, -1, 0),
        commands.producer_epoch(b"p" * 16, 1 << 63, 0),
        commands.limits(50_000.0),  # type: ignore[arg-type]  # as a settings file may have it
        commands.limits(1 << 64),
        commands.reserve(1, 4096.0, []),  # type: ignore[arg-type]  # the same
        commands.reserve(1, 10, [[b"s" * 16, -1]]),
        commands.reserve(1, 10, [["s", 1]]),
        commands.reserve(1, 10, [[b"s" * 16]]),
        commands.tick(1),  # type: ignore[arg-type]  # a number is no answer
        [1000, 1],
        [commands.Op.TICK.value],
    ],
)
def test_what_replicas_could_not_read_is_not_proposed(command: commands.Command) -> None:
    """In the log it would stay, and end every one of them."""
    with pytest.raises(InvalidArgument):
        commands.check(command)


def test_what_leaders_propose_passes() -> None:
    for command in (
        commands.settle(1, [(1, 2)], [[3, 3, -1, "why"]], [[4, 4, "why"]], [(5, 6)]),
        commands.return_(1, commands.Cause.EXPIRED, [(1, 2)], [], []),
        commands.reserve(1, 10, [[b"s" * 16, 0], [b"t" * 16, (1 << 63) - 1]]),
        commands.purge(1, []),
        commands.tick(sessions=True),
        commands.producer_epoch(b"p" * 16, 1, 0),
        commands.end_session(b"p" * 16),
        commands.follow_directory(7, [3], [[5, 1, "q", {}]]),
        commands.limits(5),
        commands.raise_version(2),
        commands.declare("q", {"max_attempts": -1}),
        commands.delete("q", 0),
        commands.open_producer("p"),
        commands.register_node(0, "n0:1", 0),
        commands.create_groups([[1, [0]]]),
    ):
        commands.check(command)
        assert commands.decode(commands.encode(1, [command])).commands
