"""What is known of a queue: the server's view, and this client's.

One rule: frozen records with named fields, as trio's ``statistics()`` have them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from haqactor.config import QueueConfig
from haqactor.errors import ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """The leader's view of a queue. ``dead``: messages that died here, parked or moved on; ``bytes``: what
    ``max_bytes`` bounds, the stored ones of all that is not settled; ``next_seq``: the place of the next
    message; ``leader``: a node."""

    name: str
    ready: int
    leased: int
    delayed: int
    dead: int
    bytes: int
    first_seq: int
    next_seq: int
    consumers: int
    group: int
    leader: int
    config: QueueConfig

    @classmethod
    def of(cls, name: str, result: Any) -> "QueueInfo":
        """From the reply to Info. Raises ProtocolError."""
        try:
            config = QueueConfig.from_settings(name, result["settings"])
            numbers = {field: int(result[field]) for field in _NUMBERS}
            return cls(name=name, config=config, bytes=int(result.get("bytes", 0)), **numbers)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(f"the reply to Info is {result!r:.80}") from error


_NUMBERS = ("ready", "leased", "delayed", "dead", "first_seq", "next_seq", "consumers", "group", "leader")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """This client's consumers of a queue, now and since they began. ``refused``: settlements that came after
    the lease was lost. ``dropped``: messages whose lease was lost in the buffer. ``unsettled``: held by this
    client, buffered ones included. ``stalls``: how often a consumer with credit heard nothing for 10 s though
    messages were ready, and subscribed anew; anything but 0 is worth a look at the nodes' logs."""

    consumers: int
    buffered: int
    unsettled: int
    tasks_waiting_receive: int
    delivered: int
    received: int
    acked: int
    nacked: int
    rejected: int
    released: int
    refused: int
    dropped: int
    stalls: int

    @classmethod
    def total(cls, rows: Sequence[Mapping[str, int]], ended: Mapping[str, int]) -> "QueueStatistics":
        """The sum of consumers that are there and those that ended."""
        names = [name for name in cls.__slots__ if name != "consumers"]
        sums = {name: sum(row[name] for row in rows) + ended.get(name, 0) for name in names}
        return cls(consumers=len(rows), **sums)
