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
    """The session with the cluster ended and cannot go on: every node that is known refuses it now (another
    cluster at these addresses, another protocol version, no rights any more). Nodes that are merely down are
    waited for (``NoQuorum``). Whether unconfirmed publishes were stored is not known. Connect anew."""

    code: ClassVar[str] = "connection_lost"


BY_CODE.update({kind.code: kind for kind in (Closed, ConnectionLost)})


class RequestUnknown(OutcomeUnknown):
    """An ``OutcomeUnknown`` of something that may be repeated: a declaration, a deletion, a purge."""

    def __init__(
        self,
        message: str,
        *,
        queue: str,
        producer_seq: int | None = None,
        retry: Callable[[], Awaitable[Any]],
    ) -> None:
        super().__init__(message, queue=queue, producer_seq=producer_seq)
        self._retry = retry

    async def retry(self) -> Any:
        """Do it again, safely; returns and raises what the call itself would. A declaration converges, a
        queue that is gone counts as deleted, a purge drops what is there by now."""
        return await self._retry()


class PublishUnknown(RequestUnknown):
    """An ``OutcomeUnknown`` of a publish, which the session goes on driving: ``retry`` waits for its outcome;
    it is never stored twice."""


class SettlementUnknown(RequestUnknown):
    """An ``OutcomeUnknown`` of an acknowledgement or another settlement, which the session goes on driving:
    ``retry`` waits for its outcome."""
