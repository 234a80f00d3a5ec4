"""What the core's consumer tells the shell's, and what both count.

One rule: a listener is called in the middle of a step; it wakes tasks and takes notes, and waits for nothing.
"""

from typing import Protocol

from haqactor.client.part import Part


class Listener(Protocol):
    """What the shell's consumer hears from the core."""

    def arrived(self) -> None:
        """There is something to take, or the consumer ended."""

    def subscribed(self) -> None:
        """A leader knows of the consumer (again)."""

    def refused(self, rows: list[tuple[Part, int]]) -> None:
        """Acknowledgements that nobody waits for were refused."""

    def stalled(self, silent_ns: int, ready: int) -> None:
        """Nothing was heard for so long, though ``ready`` messages are (-1: nobody answers): it subscribes
        anew."""


class Unheard:
    def arrived(self) -> None:
        """Nobody listens yet."""

    def subscribed(self) -> None:
        """Nobody listens yet."""

    def refused(self, rows: list[tuple[Part, int]]) -> None:
        """Nobody listens yet."""

    def stalled(self, silent_ns: int, ready: int) -> None:
        """Nobody listens yet."""


class Counts:
    """What this consumer has seen since it began."""

    __slots__ = ("delivered", "dropped", "handed", "redelivered", "refused", "settled", "stalls")

    def __init__(self) -> None:
        self.delivered = self.handed = self.redelivered = self.dropped = self.refused = 0
        self.stalls = 0
        self.settled = [0, 0, 0, 0]
