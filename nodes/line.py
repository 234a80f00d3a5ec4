"""Who waits for room in a full queue: refused publishes, in the order in which they were refused first.

One rule: room goes to whoever has waited longest. Each that waits asks again by itself; without a line it
would be had by whoever happens to ask just after a message was settled, and of equal producers some get
twice what others do.

A place is kept as long as its owner goes on asking, and for ``KEPT_NS`` after.
"""

from typing import Final, NamedTuple

PLACES_MAX: Final = 1024
"""Beyond them nobody else has a place: they ask as if nobody waited behind those."""
KEPT_NS: Final = 1_500_000_000


class _Place(NamedTuple):
    """``first``: the number of the publish; ``size``: its messages; ``asked_ns``: when it asked last."""

    first: int
    size: int
    asked_ns: int


class Line:
    """Of one queue at its leader. Producers by the bytes that name them."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[bytes, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def admits(self, producer: bytes, first: int, count: int, room: int, now_ns: int) -> bool:
        """Is there room for this publish beside all that waited before? If so it has no place any more, else
        it keeps its place, or gets the last one. What follows a publish that waits, of the same producer,
        waits as well: alone it would leave a hole."""
        self._forget(now_ns)
        own = self._places.get(producer)
        if own is not None and first > own.first:
            return False
        ahead = 0
        for waiting, place in self._places.items():
            if waiting == producer:
                break
            ahead += place.size
        if ahead + count <= room:
            self._places.pop(producer, None)
            return True
        if own is not None or len(self._places) < PLACES_MAX:
            self._places[producer] = _Place(first, count, now_ns)
        return False

    def _forget(self, now_ns: int) -> None:
        """Those that do not ask any more."""
        gone = [name for name, place in self._places.items() if place.asked_ns + KEPT_NS < now_ns]
        for name in gone:
            del self._places[name]
