"""Logged time (docs/internals/traps.md, Q9)."""

from hypothesis import given
from hypothesis import strategies as st

from haqactor.machine.timekeeper import LoggedTime

S = 1_000_000_000


def settled(walls: list[int], *, last: int = 0, quorum: int = 2) -> LoggedTime:
    time = LoggedTime(last, quorum, 0)
    for voter, wall in enumerate(walls):
        time.hear(voter, wall, 0)
    time.now(0)
    return time


def test_a_term_may_begin_with_a_jump_forward() -> None:
    time = settled([7200 * S, 7201 * S, 9999 * S], last=S)
    assert time.now(0) == 7201 * S
    assert time.jumped_ns == 7200 * S


def test_a_term_never_begins_with_a_jump_back() -> None:
    time = settled([5 * S, 5 * S, 5 * S], last=100 * S)
    assert time.now(0) == 100 * S
    assert time.jumped_ns == 0
    time.hear(0, 15 * S, 10 * S)
    time.hear(1, 15 * S, 10 * S)
    assert time.now(10 * S) == 109 * S, "it runs 10 % slower until it is right"


def test_one_fast_clock_moves_nothing() -> None:
    assert settled([100 * S, 100 * S, 10**6 * S]).now(0) == 100 * S
    assert settled([100 * S, 10**6 * S]).now(0) == 100 * S, "the lower median"


def test_without_a_quorum_it_only_runs() -> None:
    time = LoggedTime(50 * S, 2, 0)
    time.hear(0, 10**6 * S, 0)
    assert time.now(3 * S) == 53 * S
    time.hear(0, 200 * S, 4 * S)
    time.hear(1, 200 * S, 4 * S)
    assert time.now(4 * S) == 200 * S, "the jump waits for the first quorum of the term"
    assert time.now(8 * S) == 204 * S, "clocks not heard for a second say nothing"


def test_a_step_of_the_clocks_is_slewed() -> None:
    time = settled([100 * S, 100 * S])
    for voter in range(2):
        time.hear(voter, 500 * S, S)
    assert time.now(S) == 101 * S + S // 10


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 5)), max_size=50))
def test_it_never_goes_back(events: list[tuple[int, int, int]]) -> None:
    time, now, before = LoggedTime(77 * S, 2, 0), 0, 77 * S
    jumped = False
    for voter, wall, wait in events:
        now += wait * S // 3
        time.hear(voter, wall * S, now)
        stamp = time.now(now)
        assert stamp >= before
        if jumped:
            assert stamp - before <= (wait * S // 3) * 11 // 10 + 1
        jumped = jumped or len({event[0] for event in events}) < 2 or stamp - before > 2 * wait * S
        before = stamp
