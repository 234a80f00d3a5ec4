"""Intervals against Python's sets."""

from hypothesis import given
from hypothesis import strategies as st

from haqactor.machine.intervals import IntervalSet, count, merged, minus
from haqactor.machine.rangemap import RangeMap

SPAN = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
STEPS = st.lists(st.tuples(st.booleans(), SPAN), max_size=40)


def build(steps: list[tuple[bool, tuple[int, int]]]) -> tuple[IntervalSet, set[int]]:
    real, model = IntervalSet(), set[int]()
    for put, (low, high) in steps:
        span = set(range(low, high + 1))
        if put:
            assert real.add(low, high) == len(span - model)
            model |= span
        else:
            assert real.discard(low, high) == len(span & model)
            model -= span
    return real, model


def expand(ranges: list[tuple[int, int]]) -> list[int]:
    return [value for low, high in ranges for value in range(low, high + 1)]


@given(STEPS, SPAN)
def test_a_set_of_intervals_is_a_set(
    steps: list[tuple[bool, tuple[int, int]]], span: tuple[int, int]
) -> None:
    real, model = build(steps)
    low, high = span
    inside = sorted(model & set(range(low, high + 1)))
    assert expand(list(real)) == sorted(model)
    assert real.total == len(model)
    assert expand(real.within(low, high)) == inside
    assert expand(real.missing(low, high)) == sorted(set(range(low, high + 1)) - model)
    assert real.covers(low, high) == (len(inside) == high - low + 1)
    assert real.overlaps(low, high) == bool(inside)
    assert real.next_missing(low) == min(set(range(low, 100)) - model)
    present = real.next_present(low)
    assert (present[0] if present else None) == min((value for value in model if value >= low), default=None)
    assert (low in real) == (low in model)
    assert all(a[1] + 1 < b[0] for a, b in zip(list(real), list(real)[1:], strict=False)), "neighbours touch"
    assert expand(minus([span], real)) == expand(real.missing(low, high))


@given(st.lists(SPAN))
def test_merged_ranges_hold_the_same_numbers(spans: list[tuple[int, int]]) -> None:
    numbers = sorted({value for low, high in spans for value in range(low, high + 1)})
    assert expand(merged(spans)) == numbers
    assert count(merged(spans)) == len(numbers)


@given(st.lists(st.tuples(SPAN, st.integers(0, 3)), max_size=30), SPAN)
def test_a_map_of_runs_is_a_map(steps: list[tuple[tuple[int, int], int]], span: tuple[int, int]) -> None:
    real, model = RangeMap(), dict[int, int]()
    for (low, high), value in steps:
        real.put(low, high, value)
        model.update(dict.fromkeys(range(low, high + 1), value))
    for key in range(75):
        assert real.get(key) == model.get(key, 0)
    runs = real.runs(*span)
    assert [key for low, high, _value in runs for key in range(low, high + 1)] == list(
        range(span[0], span[1] + 1)
    )
    assert all(model.get(key, 0) == value for low, high, value in runs for key in range(low, high + 1))
    assert all(a[1] + 1 < b[0] or a[2] != b[2] for a, b in zip(list(real), list(real)[1:], strict=False))


def test_settling_in_order_costs_one_interval() -> None:
    real = IntervalSet()
    for at in range(1, 10_001):
        real.add(at, at)
    assert len(real) == 1
    assert real.pop_first() == (1, 10_000)
    assert not real
