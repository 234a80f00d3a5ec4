"""The peers' Python programs: their arguments, and their account of what arrived."""

from pathlib import Path

import pytest

from benchmarks.bodies import random_bodies
from benchmarks.peers.programs.job import Arrivals, Job, Wrong


def test_parses_what_the_runner_gives() -> None:
    job = Job.parse(["publish", "queue=q", "ports=1,2,3", "count=7", "size=100", "audit=1", "bodies=/b"])
    assert job == Job("publish", queue="q", ports=[1, 2, 3], count=7, size=100, audit=True, bodies="/b")
    assert job.window == 1_000


@pytest.mark.parametrize("arguments", [[], ["publish", "queue"], ["publish", "colour=red"], ["a", "mode=b"]])
def test_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    with pytest.raises(Wrong):
        Job.parse(arguments)


def test_loads_exactly_what_was_written(tmp_path: Path) -> None:
    bodies = random_bodies(5, 32)
    file = tmp_path / "bodies"
    file.write_bytes(b"".join(bodies))
    assert Job("publish", bodies=str(file), count=5, size=32).load() == bodies
    with pytest.raises(Wrong, match="does not hold 6"):
        Job("publish", bodies=str(file), count=6, size=32).load()


def test_accounts_for_each_message() -> None:
    bodies = random_bodies(3, 16)
    arrivals = Arrivals(bodies)
    for body in (bodies[2], bodies[0], bodies[0]):
        arrivals.take(body)
    assert (arrivals.different, arrivals.duplicates, arrivals.complete) == (2, 1, False)
    arrivals.take(bodies[1])
    assert arrivals.complete


def test_knows_what_was_never_sent() -> None:
    bodies = random_bodies(2, 16)
    for body in (bodies[1][:-1], bodies[1][:-1] + b"\0", bytes(16), (2).to_bytes(8, "big") + bytes(8)):
        with pytest.raises(Wrong, match="not sent"):
            Arrivals(bodies).take(body)
