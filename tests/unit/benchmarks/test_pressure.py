"""The promises under pressure: each is broken by what breaks it, and by nothing else."""

from dataclasses import replace

import pytest

from benchmarks.pressure import Pressed
from benchmarks.result import BenchmarkWrong


def pressed(**changes: object) -> Pressed:
    """Ten seconds, of which the second and the last are compared; a batch a tenth of a second."""
    waits = [(each / 10, 0.1) for each in range(99)]
    calm = Pressed(
        seconds=10.0,
        saturation=1000.0,
        waits=waits,
        settled=[(at, 100) for at, _ in waits],
        memory=[(each + 0.5, [100, 200, 300]) for each in range(10)],
    )
    return replace(calm, **changes)  # type: ignore[arg-type]  # by the names of its fields


def test_nothing_is_broken() -> None:
    found = pressed()
    assert found.broken() == []
    assert found.confirmed == pytest.approx(990)
    assert found.p99_s((0, 10)) == 0.1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"memory": [(each + 0.5, [100, 200, 300 + 5 * each]) for each in range(10)]}, "memory grew"),
        ({"changes": 1}, "changed their leader"),
        ({"settled": [(each / 10, 79) for each in range(99)]}, "was settled"),
        ({"waits": [(each / 10, 1.01) for each in range(99)], "settled": [(1.0, 9000)]}, "p99 from"),
        ({"waits": [(each / 10, 0.1 if each < 90 else 0.16) for each in range(99)]}, "p99 grew"),
    ],
)
def test_one_is_broken(changes: dict[str, object], said: str) -> None:
    (line,) = pressed(**changes).broken()
    assert said in line


def test_what_was_not_looked_at_is_not_judged() -> None:
    with pytest.raises(BenchmarkWrong):
        pressed(memory=[]).broken()
    with pytest.raises(BenchmarkWrong):
        pressed(waits=[(0.0, 0.1)]).p99_s((1.0, 2.0))
