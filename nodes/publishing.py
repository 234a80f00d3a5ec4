"""Publishes at the leader: a batch's head is checked against what its frame claims, and becomes a command.

One rule: a batch's bytes are stored as they came; nothing but its head is read here.
"""

from haqactor import batch, wire
from haqactor.config import Limits
from haqactor.errors import ProtocolError, TooLarge
from haqactor.machine import commands
from haqactor.machine.commands import Command

_EXTRAS_BYTES_MAX = 80 * 1024


def checked(message: wire.Publish, blob: bytes, limits: Limits, at: int) -> Command:
    """The command of a publish whose batch lies ``at`` (bytes) in the entry's body. Raises ProtocolError
    where head and claim disagree, TooLarge."""
    head = batch.head(blob)
    alone = limits.message_bytes_max + _EXTRAS_BYTES_MAX
    bound = alone if head.count == 1 else batch.PACKED_BYTES_MAX + _EXTRAS_BYTES_MAX
    if head.content_bytes > bound or head.size > bound + batch.HEAD_BYTES + head.table_bytes:
        raise TooLarge(
            f"a message or batch of {head.content_bytes} bytes is over the limit of "
            f"{limits.message_bytes_max}",
            limit=limits.message_bytes_max,
        )
    if head.count != message.count or len(message.producer) != 16 or message.first < 1 or message.epoch < 0:
        raise ProtocolError("Publish and its batch disagree, or its numbers are out of range")
    return commands.publish(
        message.uid,
        message.producer,
        message.epoch,
        message.first,
        head.count,
        head.crc,
        message.below,
        message.began_ns,
        at,
        head.size,
    )
