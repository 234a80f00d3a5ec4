"""Workers answer, die, hang and raise, and the pool tells each apart."""

import math
import operator
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from haqactor.sim.search.pool import Done, Pool


def work(pool: Pool, *tasks: tuple[Callable[..., Any], Any], limit_s: float = 60) -> dict[int, Done]:
    """All of them, by their place."""
    waiting, found = list(enumerate(tasks)), dict[int, Done]()
    while len(found) < len(tasks):
        while waiting and pool.free:
            number, (function, argument) = waiting.pop(0)
            assert pool.submit(number, function, argument, limit_s=limit_s)
        for done in pool.wait():
            found[done.key] = done
    return found


def test_each_task_is_answered_and_workers_alternate_hash_seeds() -> None:
    with Pool(2, hash_seeds=("1", "2")) as pool:
        found = work(pool, *((operator.index, number) for number in range(6)))
        assert [found[number].value for number in range(6)] == list(range(6))
        seeds = work(pool, (os.getenv, "PYTHONHASHSEED"), (os.getenv, "PYTHONHASHSEED"))
        assert sorted(done.value for done in seeds.values()) == ["1", "2"]
        assert [done.hash_seed for done in seeds.values()] == [done.value for done in seeds.values()]
        assert pool.submit("a", time.sleep, 0, unlike="1")
        assert not pool.submit("b", time.sleep, 0, unlike="1"), "the only other one has something to do"


def test_an_error_and_a_death_cost_one_task_each() -> None:
    with Pool(1) as pool:
        found = work(pool, (math.sqrt, -1), (os._exit, 7), (print, "to nobody"), (math.sqrt, 4))
    assert "ValueError" in found[0].error
    assert not found[0].died
    assert found[1].died
    assert "exit code 7" in found[1].error
    assert (found[2].error, found[3].value) == ("", 2.0)


def test_what_takes_for_ever_is_ended_and_says_where() -> None:
    with Pool(1) as pool:
        found = work(pool, (math.factorial, 10**7), (signal.raise_signal, signal.SIGKILL), limit_s=0.05)
    assert "more than 0.05 s of CPU time" in found[0].error
    assert "worker.py" in found[0].error
    assert "SIGKILL" in found[1].error


@pytest.mark.parametrize("leave", [Pool.drop, Pool.close])
def test_nothing_stays_behind(leave: Callable[[Pool], None]) -> None:
    pool = Pool(1)
    (pid,) = (done.value for done in work(pool, (os.getpgid, 0)).values())
    assert pool.submit("long", time.sleep, 60)
    leave(pool)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    pool.close()
