"""How much memory a node may take: its idle memory, and the configured buffers that a scenario can fill.

One rule: every term is a configured limit times a count, or what one connection, queue or message costs; the
same formula is written down in ``docs/operating/overload.md``.
"""

from dataclasses import dataclass
from typing import Final

from haqactor.config import Limits

SPARE: Final = 1.2
"""What allocators and Python's own objects may add to all of it."""
CONNECTION_BYTES: Final = 12 * 1024
"""A connection that says nothing: its tasks, its decoder, its outbox, its socket's objects."""
QUEUE_BYTES: Final = 12 * 1024
"""A queue without messages: its columns and sets, in the group and in the directory."""
MESSAGE_BYTES: Final = 160
"""A message that was published alone; those of a batch share a row."""
READ_BYTES: Final = 256 * 1024
"""One read of a socket."""
DELIVERY_BYTES: Final = 1024 * 1024
"""One delivery, beyond which a connection that is full gets no other (``haqactor.machine.picking``)."""
BLOCK_BYTES: Final = 4 * 1024 * 1024
"""What one sync of the journal writes, and what is packed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fills:
    """What a scenario can fill at one node. ``groups``: asked at once. ``senders``, ``takers``: connections
    that publish, and that are delivered to. ``connections``: all of them. ``queues``, ``messages``: held."""

    groups: int = 1
    senders: int = 0
    takers: int = 0
    connections: int = 0
    queues: int = 0
    messages: int = 0


def buffers_bytes(fills: Fills, limits: Limits, peers: int = 2) -> int:
    """All that ``fills`` may take, in bytes."""
    group = limits.mailbox_bytes_max + limits.uncommitted_bytes_max
    shared = limits.tail_cache_bytes + peers * limits.peer_link_window_bytes + 2 * BLOCK_BYTES
    return (
        shared
        + fills.groups * group
        + fills.senders * READ_BYTES
        + fills.takers * (limits.connection_buffer_bytes + fills.groups * DELIVERY_BYTES)
        + fills.connections * CONNECTION_BYTES
        + fills.queues * QUEUE_BYTES
        + fills.messages * MESSAGE_BYTES
    )


def bound_bytes(idle: int, fills: Fills, limits: Limits, peers: int = 2) -> int:
    """The most that a node's process may hold resident. ``idle``: what it held before."""
    return round((idle + buffers_bytes(fills, limits, peers)) * SPARE)
