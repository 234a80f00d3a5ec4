"""A few seconds of overload on three real nodes: every promise but flatness, which takes longer to judge."""

from functools import partial
from pathlib import Path

import pytest
import trio

from tests.overload import picture
from tests.overload.run import Result, raise_files, run
from tests.overload.scenarios import SCENARIOS

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def overload(name: str, seconds: float, size: int) -> Result:
    looks: list[float] = []
    result = trio.run(
        partial(run, SCENARIOS[name], seconds, size, lambda result: looks.append(result.samples[-1].at_s))
    )
    assert len(looks) >= seconds / 2
    return result


def broken(result: Result) -> dict[str, list[str]]:
    """But for flatness: caches still fill in the first seconds."""
    return {promise: rows for promise, rows in result.broken.items() if rows and promise != "memory flat"}


@pytest.mark.timeout(90)
def test_fast_producers(tmp_path: Path) -> None:
    """They get equal shares of a full queue, and wait."""
    result = overload("fast_producers", 4.0, 10)
    assert broken(result) == {}
    assert result.outcomes.total > 100
    picture.draw(tmp_path / "memory.svg", result)
    assert b"allowed" in (tmp_path / "memory.svg").read_bytes()
    told = result.summary()
    assert told["confirmed"] == result.outcomes.total
    assert len(told["samples"]) == len(result.samples)


@pytest.mark.timeout(90)
def test_idle_connections() -> None:
    result = overload("idle_connections", 2.0, 300)
    assert broken(result) == {}
    assert result.notes["connections made"] == 300


def test_too_many_files_are_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="open files are needed"):
        raise_files(1 << 40)
