"""Waiting, in trio, for what the core decides.

One rule: every wait is a checkpoint, and a cancelled wait changes nothing but that nobody waits.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

from haqactor.client.errors import SettlementUnknown
from haqactor.client.outcome import Outcome
from haqactor.client.settling import Settlement
from haqactor.errors import NoQuorum

T = TypeVar("T")


class Waiter:
    """Lets the task go on that made it, once: ``await trio.lowlevel.wait_task_rescheduled(waiter)``, for it
    is what trio calls to abort the wait, too. For those that wait by the thousand: a ``trio.Event`` makes two
    coroutines, a function and its cells for each wait, and garbage collection visits all of them."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = trio.lowlevel.current_task()

    def set(self) -> None:
        """Let it go on, unless it was cancelled, or was told before."""
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def __call__(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """It was cancelled."""
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


async def result(outcome: Outcome[T]) -> T:
    """The value, or the error raised."""
    if outcome.done:
        await trio.lowlevel.checkpoint()
    else:
        if outcome.signal is None:
            outcome.signal = trio.Event()
        await outcome.signal.wait()
    return outcome.get()


async def judged(
    settlements: Iterable[Settlement], queue: str, again: Callable[[], Awaitable[object]]
) -> list[int]:
    """The sequences whose leases were lost before their settlements came. Raises SettlementUnknown, whose
    ``retry`` is ``again``, where no leader says so in time: they are sent until one does."""
    lost: list[int] = []
    for settlement in settlements:
        try:
            refused = await result(settlement.outcome)
        except NoQuorum as error:
            text = f"{error}; the settlement goes on being sent, and may be stored already"
            raise SettlementUnknown(text, queue=queue, retry=again) from None
        lost += refused
    return lost
