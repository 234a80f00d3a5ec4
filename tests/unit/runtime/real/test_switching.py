"""Threads beside a busy loop."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import trio

from haqactor.runtime.real import RealDisk
from haqactor.runtime.real.switching import SWITCH_INTERVAL, switch_threads_fairly


@pytest.fixture(autouse=True)
def interval() -> Generator[None, None, None]:
    """Leave the process as it was."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_it_shortens_and_never_lengthens() -> None:
    switch_threads_fairly()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL)
    sys.setswitchinterval(SWITCH_INTERVAL / 10)
    switch_threads_fairly()
    assert sys.getswitchinterval() < SWITCH_INTERVAL


@pytest.mark.parametrize("fair", [True, False])
async def test_the_first_use_of_a_disk_asks_for_it(tmp_path: Path, fair: bool) -> None:
    """A program that stores nothing keeps its interval."""
    disk = RealDisk(fair_threads=fair)
    assert sys.getswitchinterval() == pytest.approx(0.005)
    await disk.make_directory(str(tmp_path))
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL if fair else 0.005)


@pytest.mark.parametrize("sync", ["thread", "process"])
async def test_durable_writes_go_on_under_a_saturated_loop(tmp_path: Path, sync: str) -> None:
    """A thread that is not helped gets one or two through in a second; 100 in ten seconds are far from both
    ends."""
    disk = RealDisk(sync="thread" if sync == "thread" else "process")
    file = await disk.allocate(str(tmp_path / "segment"), 65_536)

    async def busy() -> None:
        while True:
            end = trio.current_time() + 100e-6
            while trio.current_time() < end:
                pass
            await trio.lowlevel.checkpoint()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(busy)
            for _ in range(100):
                await file.write_durable(0, [b"x" * 4096])
            nursery.cancel_scope.cancel()
    await file.aclose()
