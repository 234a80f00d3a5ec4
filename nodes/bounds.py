"""How much a queue and a group may hold, and what their owners can do where that is not enough.

One rule: of two bounds the lower one holds, and a refusal names the setting that it is.
"""

from typing import Final, NamedTuple

from haqactor.config import Limits
from haqactor.machine.queue import Queue
from haqactor.nodes.line import Size

_NO_BOUND: Final = 1 << 62


class Bound(NamedTuple):
    """``most``: of ``unit``; ``remedy``: how to have more of it."""

    most: int
    unit: str
    remedy: str


class Bounds(NamedTuple):
    """Of one queue, or of a group as a whole."""

    messages: Bound
    bytes: Bound

    def room(self, held: Size) -> Size:
        """What is free beside ``held``; below 0 where dead letters, or a lower bound, came after it."""
        return Size(self.messages.most - held.messages, self.bytes.most - held.bytes)

    def never(self, size: Size) -> Bound | None:
        """The bound above which this is even where nothing else is held."""
        if size.messages > self.messages.most:
            return self.messages
        return self.bytes if size.bytes > self.bytes.most else None

    def full(self, size: Size, held: Size) -> tuple[Bound, int]:
        """The bound that refuses ``size`` beside ``held``, and what is held of it."""
        by_bytes = held.bytes + size.bytes > self.bytes.most
        if by_bytes and held.messages + size.messages <= self.messages.most:
            return self.bytes, held.bytes
        return self.messages, held.messages


def _bound(unit: str, own: int, most: int, setting: str) -> Bound:
    """``own``: of the queue, ``most``: of the node; 0 where there is none."""
    if own and (not most or own <= most):
        return Bound(own, unit, f"declare it with a higher max_{unit}")
    return Bound(most or _NO_BOUND, unit, f"raise limits.{setting}")


def of_queue(queue: Queue, limits: Limits) -> Bounds:
    """The queue's own, or those for every queue."""
    settings = queue.settings
    return Bounds(
        _bound("messages", settings.get("max_messages", 0), limits.queue_messages_max, "queue_messages_max"),
        _bound("bytes", settings.get("max_bytes", 0), limits.queue_bytes_max, "queue_bytes_max"),
    )


def of_group(limits: Limits) -> Bounds:
    """Those for all queues of a group together."""
    return Bounds(
        _bound("messages", 0, limits.group_messages_max, "group_messages_max"),
        _bound("bytes", 0, limits.group_bytes_max, "group_bytes_max"),
    )
