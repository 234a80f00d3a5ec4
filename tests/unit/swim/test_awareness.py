"""Local health stays within its bounds and stretches times."""

from haqactor.swim.awareness import Awareness


def test_the_score_has_bounds() -> None:
    health = Awareness(8)
    health.change(-1)
    assert health.score == 0
    health.change(100)
    assert health.score == 8
    health.change(-3)
    assert health.score == 5


def test_times_are_stretched() -> None:
    health = Awareness(8)
    assert health.stretch(10) == 10
    health.change(2)
    assert health.stretch(10) == 30


def test_zero_switches_it_off() -> None:
    health = Awareness(0)
    health.change(5)
    assert health.stretch(10) == 10
