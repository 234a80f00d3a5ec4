"""Percentiles, and how they are named."""

from benchmarks.latency import RATES, name_of, percentiles


def test_percentiles_of_waits_in_any_order() -> None:
    waits = [number / 1e3 for number in range(1_000, 0, -1)]
    found = {each.name: each.value for each in percentiles("confirm", waits)}
    assert found == {"confirm_p50_ms": 501.0, "confirm_p99_ms": 991.0, "confirm_p999_ms": 1_000.0}


def test_few_waits_have_percentiles_too() -> None:
    assert {each.value for each in percentiles("x", [0.25])} == {250.0}


def test_the_oldest_names_are_those_of_100_a_second() -> None:
    assert [name_of(rate) for rate in RATES] == ["confirm", "confirm_1000", "confirm_10000"]
