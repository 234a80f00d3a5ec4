"""Where offloaded work runs."""

import threading

from haqactor.runtime.real.offload import INLINE_BELOW, RealOffload


async def test_tiny_work_runs_here_and_the_rest_on_a_thread() -> None:
    """A size of 0 is unknown, and taken for large."""
    here = threading.get_ident()
    offload = RealOffload()
    assert await offload.run(threading.get_ident, cost_bytes=INLINE_BELOW - 1) == here
    assert await offload.run(threading.get_ident, cost_bytes=INLINE_BELOW) != here
    assert await offload.run(threading.get_ident) != here
