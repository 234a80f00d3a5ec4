"""Room in a full queue goes to those that wait, in their order."""

from haqactor.nodes import line as module
from haqactor.nodes.line import KEPT_NS, PLACES_MAX, Size

A, B, C = (name.ljust(16) for name in (b"a", b"b", b"c"))
PLENTY = 1 << 40


class Line(module.Line):
    """With what its owner does after each answer."""

    def admits(self, producer: bytes, first: int, count: int, room: int, now_ns: int) -> bool:
        """Messages, where bytes are plenty."""
        return self.admits_size(producer, first, Size(count, 0), Size(room, PLENTY), now_ns)

    def admits_size(self, producer: bytes, first: int, size: Size, room: Size, now_ns: int) -> bool:
        """A publish to queue 1."""
        if self.lets((producer, 1), first, size, room, now_ns):
            self.leave((producer, 1), first)
            return True
        self.wait((producer, 1), first, size, now_ns)
        return False


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


def test_bytes_wait_in_the_same_line_as_messages() -> None:
    line = Line()
    room = Size(PLENTY, 100)
    assert not line.admits_size(A, 1, Size(1, 101), room, 0)
    assert not line.admits_size(B, 1, Size(1, 10), room, 1), "a hundred and one are kept for the one before"
    assert line.admits_size(A, 1, Size(1, 101), Size(1, 101), 2)
    assert not line.admits_size(B, 1, Size(1, 10), Size(0, 100), 3), "bytes alone are no room"
    assert line.admits_size(B, 1, Size(1, 10), Size(1, 10), 4)


def test_a_producer_has_a_place_for_each_of_its_queues() -> None:
    line = Line()
    size, none = Size(2, 0), Size(0, PLENTY)
    for uid in (1, 2):
        assert not line.lets((A, uid), 5, size, none, 0)
        line.wait((A, uid), 5, size, 0)
    assert not line.lets((A, 2), 5, size, Size(3, PLENTY), 1)
    assert line.lets((A, 1), 5, size, Size(3, PLENTY), 1)
    line.leave((A, 1), 5)
    assert line.lets((A, 2), 5, size, Size(3, PLENTY), 2)


def test_what_follows_takes_no_place_away() -> None:
    line = Line()
    assert not line.admits(A, 1, 5, 2, 0)
    line.wait((A, 1), 6, Size(1, 0), 1)
    line.leave((A, 1), 6)
    assert not line.admits(A, 6, 1, 9, 2)
    assert not line.admits(B, 1, 1, 5, 3), "five are kept for the first"
