"""Each tripwire rings inside a world and nowhere else; whole runs ring none."""

import datetime
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from haqactor.sim.run import run
from haqactor.sim.search.settings import read
from haqactor.sim.tripwires import SimEscape, tripwires
from haqactor.sim.verdict import Verdict
from haqactor.sim.world import World

NS = 1_000_000_000
held = time.time  # before any wire was set

ESCAPES: list[tuple[str, Callable[[], Any]]] = [
    ("time.time", lambda: time.time()),
    ("time.monotonic", lambda: time.monotonic()),
    ("time.perf_counter_ns", lambda: time.perf_counter_ns()),
    ("time.sleep", lambda: time.sleep(0)),
    ("datetime.now", lambda: getattr(datetime.datetime, "n" + "ow")()),
    ("datetime.now", lambda: datetime.datetime.now(datetime.UTC)),
    ("date.today", lambda: getattr(datetime.date, "to" + "day")()),
    ("random.random", lambda: random.random()),
    ("random.shuffle", lambda: random.shuffle([1, 2])),
    ("os.urandom", lambda: os.urandom(1)),
    ("random.urandom", lambda: secrets.token_bytes(1)),
    ("random.urandom", lambda: random.SystemRandom().random()),
    ("uuid.uuid1", lambda: uuid.uuid1()),
    ("uuid.uuid4", lambda: uuid.uuid4()),
    ("Thread.start", lambda: threading.Thread(target=print).start()),
    ("socket.socket", socket.socket),
    ("open", lambda: Path(__file__).read_bytes()),
    ("open", lambda: os.open(__file__, os.O_RDONLY)),
    ("os.listdir", lambda: list(Path().iterdir())),
    ("subprocess.Popen", lambda: subprocess.run(["true"], check=False)),
    ("os.fork", os.fork),
]


@pytest.mark.parametrize(("what", "call"), ESCAPES)
def test_each_rings_in_a_host_and_not_outside(what: str, call: Callable[[], Any]) -> None:
    caught: list[str] = []

    async def main() -> None:
        await trio.sleep(1)
        try:
            call()
        except SimEscape as error:
            caught.append(str(error))

    with tripwires() as escapes, World(1) as world:
        world.run_program("n0", main, 5 * NS)
        assert len(caught) == 1
        assert caught[0].startswith(what)
        assert "test_tripwires" in caught[0]
        assert len(escapes) == 1
        if "Thread" not in what:
            assert time.time() > 0
            assert datetime.datetime.now(datetime.UTC).year > 2000
    assert len(escapes) == 1


def test_all_is_as_it_was_afterwards() -> None:
    before = time.time, random.random, datetime.datetime.__dict__["now"], os.urandom
    with tripwires(), tripwires():
        assert time.time is not held
    assert (time.time, random.random, datetime.datetime.__dict__["now"], os.urandom) == before
    assert time.time is held
    with World(1) as world:
        world.run_program("n0", partial(trio.sleep, 1), 5 * NS)


def test_the_shared_generator_is_watched_though_its_method_was_taken_before() -> None:
    draw = random.random

    async def main() -> None:
        draw()

    with tripwires() as escapes, World(1) as world:
        world.run_program("n0", main, NS)
    assert escapes == ["the shared generator of the module random was drawn from or seeded"]


def test_other_threads_may_do_what_they_want() -> None:
    seen: list[float] = []
    begin, end = threading.Event(), threading.Event()
    patience_s = 30

    def other() -> None:
        begin.wait(patience_s)
        seen.append(time.time())
        end.set()

    thread = threading.Thread(target=other)
    thread.start()

    async def main() -> None:
        begin.set()
        end.wait(patience_s)

    with tripwires() as escapes, World(1) as world:
        world.run_program("n0", main, NS)
    thread.join()
    assert (len(seen), escapes) == (1, [])


def test_modules_may_be_imported_late() -> None:
    async def main() -> None:
        sys.modules.pop("colorsys", None)
        import colorsys

        assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)

    with tripwires() as escapes, World(1) as world:
        world.run_program("n0", main, NS)
    assert escapes == []


def test_a_run_that_escapes_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    from haqactor.sim import cluster

    log = cluster.NodeLog.info

    def curious(self: cluster.NodeLog, event: str, **more: Any) -> None:
        try:
            time.time()
        except SimEscape:
            pass  # swallowed, and told all the same
        log(self, event, **more)

    settings = read({"operations": "1", "nodes": "1", "work": ""}, NS)
    drawn = settings.of(1, "calm")
    clean = run(1, "calm", drawn=drawn)
    assert (clean.verdict, clean.escapes) == (Verdict.PASS, [])
    monkeypatch.setattr(cluster.NodeLog, "info", curious)
    found = run(1, "calm", drawn=drawn)
    assert (found.verdict, found.invariant) == (Verdict.NONDETERMINISM, "escape")
    assert "time.time() in tests.unit.sim.test_tripwires.curious" in found.message
