"""Waiting, in trio, for what the core decides.

One rule: every wait is a checkpoint, and a cancelled wait changes nothing but that nobody waits.
"""

from typing import TypeVar

import trio

from haqactor.client.outcome import Outcome

T = TypeVar("T")


async def result(outcome: Outcome[T]) -> T:
    """The value, or the error raised."""
    if outcome.done:
        await trio.lowlevel.checkpoint()
    else:
        if outcome.signal is None:
            outcome.signal = trio.Event()
        await outcome.signal.wait()
    return outcome.get()
