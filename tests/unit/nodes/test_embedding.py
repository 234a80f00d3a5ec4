"""The sessions of embedded clients tell their directory and boot."""

from haqactor.nodes.embedding import died, own_session
from tests.builders.memory_environment import SeededRandom

MINE, OTHERS = b"m" * 16, b"o" * 16


def test_a_session_dies_with_its_boot() -> None:
    """Of this very directory; of others this node knows nothing."""
    random = SeededRandom(1)
    session = own_session(MINE, 7, random)
    assert len(session) == 16
    assert not died(session, MINE, 7)
    assert died(session, MINE, 8)
    assert not died(session, OTHERS, 8)
    assert not died(b"x" * 16, MINE, 8)


def test_two_sessions_of_one_boot_differ() -> None:
    """By chance."""
    random = SeededRandom(1)
    assert own_session(MINE, 7, random) != own_session(MINE, 7, random)
