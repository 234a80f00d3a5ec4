"""Nurseries at our public borders: a single error leaves as itself, never as a group of one.

One rule: exactly one level is taken off, the one that our own nursery put on; a group that the body raised
leaves as that same object.
"""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

import trio


class _Parcelled(Exception):
    """Stands for a group that the body raised, which the nursery would rebuild as another object."""


def _reraise(error: BaseException) -> None:
    """Raise ``error`` with the context and cause that it had."""
    context, cause, hidden = error.__context__, error.__cause__, error.__suppress_context__
    try:
        raise error
    finally:
        error.__context__, error.__cause__, error.__suppress_context__ = context, cause, hidden
        del error, context, cause


def _is_whole(error: BaseException | None) -> bool:
    """Is it a group without a cancellation in it, which no scope may take anything out of?"""
    group: Any = error
    return isinstance(error, BaseExceptionGroup) and group.subgroup(trio.Cancelled) is None


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
        shown = _Parcelled() if _is_whole(error) else error
        try:
            return bool(await self._inner.__aexit__(None if shown is None else type(shown), shown, traceback))
        except BaseExceptionGroup as group:
            found = [error if inner is shown and error is not None else inner for inner in group.exceptions]
            if len(found) > 1:
                if shown is error:
                    raise
                _reraise(group.derive(found))
            if found[0] is error:
                return False
            _reraise(found[0])
            raise AssertionError("unreachable") from group
