"""Who waits for room where all is full: refused publishes, in the order in which they were refused first.

One rule: room goes to whoever has waited longest. Each that waits asks again by itself; without a line it
would be had by whoever happens to ask just after a message was settled, and of equal producers some get
twice what others do.

A place is kept as long as its owner goes on asking, and for ``KEPT_NS`` after.
"""

from typing import Final, NamedTuple, TypeAlias

PLACES_MAX: Final = 1024
"""Beyond them nobody else has a place: they ask as if nobody waited behind those."""
KEPT_NS: Final = 1_500_000_000
Who: TypeAlias = tuple[bytes, int]
"""Whose place it is: a producer, by the bytes that name it, and the queue that it publishes to."""


class Size(NamedTuple):
    """What is held, or comes, or has room."""

    messages: int
    bytes: int

    def fits(self, room: "Size") -> bool:
        """Is there room for all of it?"""
        return self.messages <= room.messages and self.bytes <= room.bytes


class _Place(NamedTuple):
    """``first``: the number of the publish; ``size``: its own; ``asked_ns``: when it asked last."""

    first: int
    size: Size
    asked_ns: int


class Line:
    """Of one queue, or of a whole group, at its leader."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[Who, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def lets(self, who: Who, first: int, size: Size, room: Size, now_ns: int) -> bool:
        """Is there room for this publish beside all that waited before? Places stay as they are. What follows
        a publish that waits, of the same owner, waits as well: alone it would leave a hole."""
        if not self._places:
            return size.fits(room)
        self._forget(now_ns)
        own = self._places.get(who)
        if own is not None and first > own.first:
            return False
        messages, size_bytes = size
        for waiting, place in self._places.items():
            if waiting == who:
                break
            messages += place.size.messages
            size_bytes += place.size.bytes
        return messages <= room.messages and size_bytes <= room.bytes

    def wait(self, who: Who, first: int, size: Size, now_ns: int) -> None:
        """It was refused: it keeps its place, or gets the last one. What follows it has none of its own."""
        own = self._places.get(who)
        if len(self._places) < PLACES_MAX if own is None else first <= own.first:
            self._places[who] = _Place(first, size, now_ns)

    def leave(self, who: Who, first: int) -> None:
        """It waits here no more; what went before it does."""
        own = self._places.get(who)
        if own is not None and first <= own.first:
            del self._places[who]

    def _forget(self, now_ns: int) -> None:
        """Those that do not ask any more."""
        gone = [name for name, place in self._places.items() if place.asked_ns + KEPT_NS < now_ns]
        for name in gone:
            del self._places[name]
