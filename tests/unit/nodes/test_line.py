"""Room in a full queue goes to those that wait, in their order."""

from haqactor.nodes.line import KEPT_NS, PLACES_MAX, Line

A, B, C = (name.ljust(16) for name in (b"a", b"b", b"c"))


def test_the_first_one_refused_is_the_first_one_admitted() -> None:
    line = Line()
    assert not line.admits(A, 1, 2, 0, 0)
    assert not line.admits(B, 1, 1, 0, 1)
    assert not line.admits(B, 1, 1, 2, 2), "both places are kept for the one before"
    assert not line.admits(C, 1, 1, 2, 2)
    assert line.admits(A, 1, 2, 2, 3)
    assert not line.admits(C, 1, 1, 1, 4), "the second one's turn"
    assert line.admits(B, 1, 1, 1, 5)
    assert line.admits(C, 1, 1, 1, 6)
    assert len(line) == 0


def test_room_beyond_what_is_kept_is_for_everybody() -> None:
    line = Line()
    assert not line.admits(A, 1, 3, 2, 0)
    assert line.admits(B, 1, 2, 5, 0)


def test_whoever_does_not_ask_any_more_loses_its_place() -> None:
    line = Line()
    assert not line.admits(A, 1, 1, 0, 0)
    assert not line.admits(B, 1, 1, 1, KEPT_NS)
    assert line.admits(B, 1, 1, 1, KEPT_NS + 1)


def test_asking_again_keeps_the_place() -> None:
    line = Line()
    assert not line.admits(A, 1, 1, 0, 0)
    assert not line.admits(B, 1, 1, 0, 1)
    assert not line.admits(A, 1, 1, 0, KEPT_NS)
    assert not line.admits(B, 1, 1, 1, KEPT_NS + 1)


def test_what_follows_a_publish_that_waits_waits_behind_it() -> None:
    """It would only leave a hole; the one before it goes first."""
    line = Line()
    assert not line.admits(A, 1, 5, 2, 0)
    assert not line.admits(A, 6, 1, 2, 0)
    assert line.admits(A, 1, 5, 5, 1)
    assert line.admits(A, 6, 1, 1, 1)


def test_places_are_bounded() -> None:
    line = Line()
    for number in range(PLACES_MAX + 10):
        assert not line.admits(number.to_bytes(16, "big"), 1, 1, 0, 0)
    assert len(line) == PLACES_MAX
