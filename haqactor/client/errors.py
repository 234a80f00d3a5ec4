"""The two errors that are trio's errors as well.

One rule: they carry codes like all others, and are in the table of codes once this module is imported.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import trio

from haqactor.errors import BY_CODE, Error, OutcomeUnknown


class Closed(Error, trio.ClosedResourceError):
    """You (or the end of its block) closed this object; it cannot be used any more."""

    code: ClassVar[str] = "closed"


class ConnectionLost(Error, trio.BrokenResourceError):
    """The connection to the cluster ended and could not be made again. Connect anew."""

    code: ClassVar[str] = "connection_lost"


BY_CODE.update({kind.code: kind for kind in (Closed, ConnectionLost)})


class PublishUnknown(OutcomeUnknown):
    """An ``OutcomeUnknown`` of a publish, which the session goes on driving: ``retry`` waits for its
    outcome."""

    def __init__(
        self, message: str, *, queue: str, producer_seq: int | None, retry: Callable[[], Awaitable[Any]]
    ) -> None:
        super().__init__(message, queue=queue, producer_seq=producer_seq)
        self._retry = retry

    async def retry(self) -> Any:
        """What the publish would have returned, once it is known; never stored twice. Raises as ``publish``
        does."""
        return await self._retry()
