"""Bytes that have come and that nobody has read yet.

One rule: a read gives what the kernel might have had at that moment: some first part of it.
"""

from collections import deque
from typing import Final

from haqactor.sim.network.links import Link

SPLITS_IN_A_ROW: Final = 2
"""Reads that give only a part, one after the other: a frame in three pieces holds all that one in ten
does."""


class Inbox:
    """Of one end of a stream; ``link``: what the bytes come by. ``size``: how many there are."""

    __slots__ = ("_link", "_parts", "_splits", "size")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._parts: deque[bytes] = deque()
        self._splits = 0
        self.size = 0

    def put(self, data: bytes) -> None:
        """They have come."""
        self._parts.append(data)
        self.size += len(data)

    def take(self, max_bytes: int) -> bytes:
        """At least one and at most ``max_bytes`` of them, of which there are some; by chance fewer than there
        are."""
        parts, link = self._parts, self._link
        share = link.settings.split_share
        size = min(max_bytes, self.size)
        if size > 1 and share and self._splits < SPLITS_IN_A_ROW and link.draw(share):
            self._splits += 1
            size = 1 + link.below(size - 1)
        else:
            self._splits = 0
        if len(parts) > 1 and size > len(parts[0]):
            whole = b"".join(parts)
            parts.clear()
        else:
            whole = parts.popleft()
        if size < len(whole):
            parts.appendleft(whole[size:])
            whole = whole[:size]
        self.size -= size
        return whole

    def clear(self) -> None:
        """Nobody will read them."""
        self._parts.clear()
        self.size = 0
