"""The epochs of named producers, as group 0 issues them.

One rule: an epoch only rises, and the order of the last openings is kept, so that the other groups' leaders
see what is new without going through all names.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any, NamedTuple

from haqactor.ids import Index


class Opening(NamedTuple):
    """The last opening of a name. ``entry``: the index, in group 0, of the entry that made it."""

    name: str
    epoch: int
    entry: int = 0


class Epochs:
    """By the producers' ids, the last opened last."""

    __slots__ = ("_openings",)

    def __init__(self) -> None:
        self._openings: OrderedDict[bytes, Opening] = OrderedDict()

    def __len__(self) -> int:
        return len(self._openings)

    def open(self, name: str, index: Index) -> tuple[bytes, int]:
        """The producer's id and its next epoch, from 1."""
        producer = producer_id(name)
        epoch = self.current(producer) + 1
        self._openings[producer] = Opening(name, epoch, index)
        self._openings.move_to_end(producer)
        return producer, epoch

    def current(self, producer: bytes) -> int:
        """The newest epoch; 0 for a producer that was never opened."""
        opening = self._openings.get(producer)
        return 0 if opening is None else opening.epoch

    def opened_since(self, index: Index, count_max: int) -> list[bytes] | None:
        """The producers that were opened above ``index``; None: more than ``count_max``."""
        found: list[bytes] = []
        for producer in reversed(self._openings):
            if self._openings[producer].entry <= index:
                break
            if len(found) == count_max:
                return None
            found.append(producer)
        return found

    def rows(self) -> list[list[Any]]:
        """All of it, for a snapshot."""
        return [list(opening) for opening in self._openings.values()]

    def restore(self, rows: list[list[Any]]) -> None:
        """Some more of ``rows``, in its order."""
        for row in rows:
            opening = Opening(*row)
            self._openings[producer_id(opening.name)] = opening

    def clear(self) -> None:
        """Forget everything."""
        self._openings.clear()


def producer_id(name: str) -> bytes:
    """The 16-byte id of a named producer."""
    return blake2b(name.encode(), digest_size=16).digest()
