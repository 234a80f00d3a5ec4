"""What a whole group holds: the messages of all its queues that are not gone, and their stored bytes.

One rule: it is a sum over the queues, kept while they change, so that a publish need not add up a thousand
of them; nothing of it is stored, for it follows from the rows and the settled ranges.
"""

from typing import Protocol


class Holds(Protocol):
    """What a queue says of itself."""

    bytes: int

    @property
    def depth(self) -> int:
        """Messages that are not gone."""
        ...


class Held:
    """``messages`` and ``bytes``."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0

    def add(self, messages: int, size: int) -> None:
        """Messages came (or, negative, went)."""
        self.messages += messages
        self.bytes += size

    def enter(self, queue: Holds) -> None:
        """A queue came with all that it has."""
        self.add(queue.depth, queue.bytes)

    def leave(self, queue: Holds) -> None:
        """A queue went with all that it has."""
        self.add(-queue.depth, -queue.bytes)
