"""The search for an order, against trying all of them."""

from collections.abc import Iterable
from random import Random

import pytest

from haqactor.sim.linearizability import NO, UNKNOWN, YES, Call, check

Action = tuple[str, int | None, int | None]  # verb, argument, result (None: not seen)
State = int | None
HISTORIES = 6000


def step(state: State, action: Action) -> Iterable[State]:
    """A register with compare-and-set, and a write of unknown effect, which may add one or two."""
    verb, argument, result = action
    if verb == "write":
        return [argument]
    if verb == "read":
        return [state] if result == state else []
    if verb == "add":
        return [] if state is None else [(state + 1) % 3, (state + 2) % 3]
    return [result] if state == argument else []


def whole(action: Action) -> Action:
    return action


def is_read(action: Action) -> bool:
    return action[0] == "read"


def brute(rest: list[Call[Action]], state: State) -> bool:
    """Every order, one operation after the other; what never returned may be left out."""
    if all(call.returned is None for call in rest):
        return True
    for at, call in enumerate(rest):
        others = rest[:at] + rest[at + 1 :]
        if any(other.returned is not None and other.returned < call.invoked for other in others):
            continue
        if any(brute(others, after) for after in step(state, call.action)):
            return True
    return False


def draw(stream: Random) -> list[Call[Action]]:
    calls: list[Call[Action]] = []
    for _ in range(stream.randrange(1, 8)):
        verb = stream.choice(["write", "read", "read", "cas", "add"])
        argument = stream.choice([None, 0, 1, 2])
        result = stream.choice([None, 0, 1, 2])
        invoked = stream.randrange(12)
        returned = None if stream.random() < 0.15 else invoked + stream.randrange(6)
        calls.append(Call(invoked, returned, (verb, argument, result)))
    return calls


def believable(stream: Random) -> list[Call[Action]]:
    """A history that some order made, times blurred a little; and one answer in three changed."""
    state: State = None
    calls: list[Call[Action]] = []
    for at in range(stream.randrange(2, 8)):
        verb = stream.choice(["write", "read", "read", "cas"])
        argument: State = stream.choice([0, 1, 2])
        result: State = None
        if verb == "write":
            state = argument
        elif verb == "read":
            result = state
        elif state is not None:
            result = argument
            argument, state = state, argument
        else:
            verb, result = "read", None
        around = 4 * at
        returned = None if stream.random() < 0.1 else around + stream.randrange(9)
        calls.append(Call(around - stream.randrange(9), returned, (verb, argument, result)))
    if stream.random() < 0.33:
        at = stream.randrange(len(calls))
        verb, argument, _result = calls[at].action
        calls[at] = Call(calls[at].invoked, calls[at].returned, (verb, argument, stream.choice([0, 1, 2])))
    return calls


@pytest.mark.parametrize("make", [draw, believable])
def test_against_all_orders(make: object) -> None:
    stream = Random(4)
    found = {YES: 0, NO: 0}
    for _ in range(HISTORIES // 2 + 1):
        calls = draw(stream) if make is draw else believable(stream)
        verdict = check(calls, None, step)
        assert verdict.outcome == (YES if brute(calls, None) else NO), calls
        assert check(calls, None, step, reads=is_read, alike=whole).outcome == verdict.outcome, calls
        found[verdict.outcome] += 1
    assert min(found.values()) > HISTORIES // 20, found


def test_nothing_happened() -> None:
    assert check([], None, step).outcome == YES
    assert check([Call(1, None, ("read", None, 9))], None, step).outcome == YES


def test_what_is_stuck_is_named() -> None:
    write = Call[Action](1, 2, ("write", 1, None))
    read = Call[Action](3, 4, ("read", None, 2))
    verdict = check([write, read], None, step)
    assert verdict.outcome == NO
    assert verdict.stuck == (read,)


def test_a_tie_is_concurrent() -> None:
    write = Call[Action](2, 3, ("write", 1, None))
    read = Call[Action](1, 2, ("read", None, 1))
    assert check([write, read], None, step).outcome == YES


def hard(count: int) -> list[Call[Action]]:
    """So many concurrent writes, and a read that none of them explains."""
    writes = [Call[Action](0, 10, ("write", number, None)) for number in range(count)]
    return [*writes, Call(11, 12, ("read", None, -1))]


def test_the_budget_is_never_green() -> None:
    verdict = check(hard(20), None, step, budget=1000)
    assert verdict.outcome == UNKNOWN
    assert verdict.steps == 1001


def test_memory_keeps_it_short() -> None:
    """A search without it takes 10! steps."""
    verdict = check(hard(10), None, step, budget=20_000)
    assert verdict.outcome == NO


def test_reads_beside_what_may_have_happened_are_placed_at_once() -> None:
    unknown = [Call[Action](0, None, ("write", number, None)) for number in range(8)]
    reads = [Call[Action](10 + at, 40, ("read", None, 0)) for at in range(10)]
    calls = [*unknown, *reads, Call[Action](50, 51, ("read", None, -1))]
    assert check(calls, None, step, budget=30_000).outcome == UNKNOWN
    assert check(calls, None, step, budget=30_000, reads=is_read).outcome == NO


def test_what_is_alike_is_placed_in_its_order() -> None:
    adds = [Call[Action](1, None, ("add", None, None)) for _ in range(14)]
    calls = [Call[Action](0, 1, ("write", 0, None)), *adds, Call[Action](50, 51, ("read", None, -1))]
    assert check(calls, None, step, budget=5_000).outcome == UNKNOWN
    assert check(calls, None, step, budget=5_000, alike=whole).outcome == NO


def test_a_long_history_is_quick() -> None:
    stream = Random(7)
    calls: list[Call[Action]] = []
    value = 0
    for at in range(5000):
        if stream.random() < 0.5:
            value = stream.randrange(3)
            calls.append(Call(10 * at, 10 * at + 25, ("write", value, None)))
        else:
            calls.append(Call(10 * at, 10 * at + 5, ("read", None, value)))
    verdict = check(calls, None, step)
    assert verdict.outcome == YES
    assert verdict.steps < 100_000
