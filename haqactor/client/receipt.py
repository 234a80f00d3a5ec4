"""Receipts: where messages were stored.

One rule: a receipt is made of what its parcel was told, when somebody looks; a batch of 256 costs nothing
until then.
"""

from collections.abc import Iterator, Sequence
from typing import final, overload

from haqactor.client.parcel import Parcel


@final
class Receipt:
    """A message is stored: ``seq`` is its place in ``queue``, ``producer_seq`` its number in the producer's
    session; ``duplicate``: it had been stored before under that number."""

    __slots__ = ("_offset", "_parcel", "queue")

    def __init__(self, queue: str, parcel: Parcel, offset: int) -> None:
        self.queue = queue
        self._parcel = parcel
        self._offset = offset

    @property
    def seq(self) -> int:
        """Its place in the queue."""
        return self._parcel.place(self._offset)[0]

    @property
    def producer_seq(self) -> int:
        """Its number in the producer's session: what ``seq=`` takes."""
        return self._parcel.first + self._offset

    @property
    def duplicate(self) -> bool:
        """Was it stored before, by an earlier try?"""
        return self._parcel.place(self._offset)[1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Receipt):
            return NotImplemented
        return (self.queue, self.seq, self.producer_seq) == (other.queue, other.seq, other.producer_seq)

    def __hash__(self) -> int:
        return self.seq

    def __repr__(self) -> str:
        place = f"queue={self.queue!r}, seq={self.seq}, producer_seq={self.producer_seq}"
        return f"Receipt({place}, duplicate={self.duplicate})"


@final
class Receipts(Sequence[Receipt]):
    """The receipts of a ``publish_many``, in order; equal to a list of the same ones."""

    __slots__ = ("_parcels", "queue")
    __hash__ = None  # type: ignore[assignment]  # it is compared by content, as a list is

    def __init__(self, queue: str, parcels: Sequence[Parcel]) -> None:
        self.queue = queue
        self._parcels = parcels

    def __len__(self) -> int:
        return sum(parcel.count for parcel in self._parcels)

    def __iter__(self) -> Iterator[Receipt]:
        for parcel in self._parcels:
            for offset in range(parcel.count):
                yield Receipt(self.queue, parcel, offset)

    @overload
    def __getitem__(self, at: int) -> Receipt: ...

    @overload
    def __getitem__(self, at: slice) -> list[Receipt]: ...

    def __getitem__(self, at: int | slice) -> Receipt | list[Receipt]:
        if isinstance(at, slice):
            return list(self)[at]
        offset = at if at >= 0 else at + len(self)
        if offset >= 0:
            for parcel in self._parcels:
                if offset < parcel.count:
                    return Receipt(self.queue, parcel, offset)
                offset -= parcel.count
        raise IndexError(f"there are {len(self)} receipts, and no {at}")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Receipts):
            return list(self) == list(other)
        return list(self) == other if isinstance(other, list) else NotImplemented

    def __add__(self, other: Sequence[Receipt]) -> list[Receipt]:
        return [*self, *other]

    def __radd__(self, other: Sequence[Receipt]) -> list[Receipt]:
        return [*other, *self]

    def __repr__(self) -> str:
        return repr(list(self))
