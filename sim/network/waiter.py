"""The place at which one task of a host waits for something that comes from outside.

One rule: ``wake`` is called inside the host whose task waits.
"""

import trio


class Waiter:
    """``waits``: a task is here."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    @property
    def waits(self) -> bool:
        """Would ``wake`` wake anybody?"""
        return self._task is not None

    async def wait(self, what: str) -> None:
        """Until ``wake``, which may come for nothing. Raises trio.BusyResourceError if another task is
        here."""
        if self._task is not None:
            raise trio.BusyResourceError(f"{what}: one task at a time")
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._left)

    def _left(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        """Let whoever waits look again."""
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)
