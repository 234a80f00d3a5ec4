"""The sessions of embedded clients tell their directory and boot."""

from haqactor.nodes.embedding import died, own_session
from tests.builders.memory_environment import SeededRandom
from tests.builders.node_context import node_context

MINE, OTHERS = b"m" * 16, b"o" * 16


def test_a_session_dies_with_its_boot() -> None:
    """Of this very directory; of others this node knows nothing."""
    random = SeededRandom(1)
    session = own_session(MINE, 7, random)
    assert len(session) == 16
    assert not died(session, MINE, range(7, 8))
    assert died(session, MINE, range(8, 9))
    assert not died(session, OTHERS, range(8, 9))
    assert not died(b"x" * 16, MINE, range(8, 9))


def test_a_session_outlives_a_repair_of_its_node() -> None:
    """The directory was opened again, under another epoch, by the same program."""
    session = own_session(MINE, 7, SeededRandom(1))
    assert not died(session, MINE, range(7, 10))
    assert not died(session, MINE, range(6, 8))
    context, _journal = node_context(boot=9)
    assert context.boots == range(9, 10)
    context.first_boot = 7
    assert context.boots == range(7, 10)


def test_two_sessions_of_one_boot_differ() -> None:
    """By chance."""
    random = SeededRandom(1)
    assert own_session(MINE, 7, random) != own_session(MINE, 7, random)
