"""Nurseries at our public borders: a single error leaves as itself, never as a group of one.

One rule: exactly one level is taken off, the one that our own nursery put on; a group that the body raised is
left as it is.
"""

from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio


def _reraise(error: BaseException) -> None:
    """Raise ``error`` with the context and cause that it had."""
    context, cause, hidden = error.__context__, error.__cause__, error.__suppress_context__
    try:
        raise error
    finally:
        error.__context__, error.__cause__, error.__suppress_context__ = context, cause, hidden
        del error, context, cause


class OpenNursery(AbstractAsyncContextManager[trio.Nursery, bool]):
    """``async with OpenNursery() as nursery``: like ``trio.open_nursery``, for use inside our context
    managers."""

    def __init__(self) -> None:
        self._inner = trio.open_nursery()

    async def __aenter__(self) -> trio.Nursery:
        return await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            return bool(await self._inner.__aexit__(kind, error, traceback))
        except BaseExceptionGroup as group:
            inner = group.exceptions[0]
            if len(group.exceptions) > 1 or group is error:
                raise
            if inner is error:
                return False
            _reraise(inner)
            raise AssertionError("unreachable") from group
