"""Where each entry of a group lies, in columns.

One rule: about 12 bytes an entry (20 in cold segments), never an object. Pieces are in index order and do
not overlap.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from haqactor.errors import InvariantViolation
from haqactor.ids import Index, Term
from haqactor.journal.files import DataFile

Ranges = tuple[tuple[Index, Index], ...]
"""Inclusive ranges of indexes, sorted, not touching."""


def normalized(ranges: Sequence[tuple[Index, Index]]) -> Ranges:
    """Sorted and joined."""
    joined: list[tuple[Index, Index]] = []
    for first, last in sorted(ranges):
        if last < first:
            continue
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def overlapping(ranges: Ranges, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The parts of ``ranges`` within [first, last]."""
    at = bisect_left(ranges, first, key=lambda each: each[1])
    while at < len(ranges) and ranges[at][0] <= last:
        yield max(ranges[at][0], first), min(ranges[at][1], last)
        at += 1


class Location(NamedTuple):
    """One entry's place."""

    file: DataFile
    log_index: Index
    place: int
    length: int


class Piece:
    """The entries of one group in one file. ``indexes`` is None where they are contiguous from ``first``."""

    __slots__ = ("file", "first", "indexes", "lengths", "places")

    def __init__(self, file: DataFile, first: int, indexes: "array[int] | None") -> None:
        self.file = file
        self.first = first
        self.indexes = indexes
        self.places = array("Q")
        self.lengths = array("I")

    @property
    def last(self) -> int:
        """The highest index; ``first - 1`` when empty."""
        if self.indexes is None:
            return self.first + len(self.places) - 1
        return self.indexes[-1] if self.indexes else self.first - 1

    def position(self, index: int) -> int:
        """The row of ``index``, or of the next one that exists."""
        if self.indexes is None:
            return min(max(index - self.first, 0), len(self.places))
        return bisect_left(self.indexes, index)

    def index_at(self, row: int) -> int:
        """The index in a row."""
        return self.first + row if self.indexes is None else self.indexes[row]

    def location(self, row: int) -> Location:
        """The entry in a row."""
        return Location(self.file, Index(self.index_at(row)), self.places[row], self.lengths[row])

    def truncate(self, start: int) -> None:
        """Forget ``start`` and all above."""
        row = self.position(start)
        del self.places[row:], self.lengths[row:]
        if self.indexes is not None:
            del self.indexes[row:]

    def live_rows(self, keep: Ranges) -> Iterator[tuple[int, int]]:
        """Row ranges [from, to) of entries in ``keep``."""
        for first, last in overlapping(keep, self.first, self.last):
            start, end = self.position(first), self.position(last + 1)
            if start < end:
                yield start, end

    def live_bytes(self, keep: Ranges) -> int:
        """Bytes of the entries in ``keep``."""
        return sum(sum(self.lengths[start:end]) for start, end in self.live_rows(keep))

    def filtered(self, keep: Ranges) -> "Piece":
        """A sparse piece with only the entries in ``keep``."""
        indexes = array("Q")
        piece = Piece(self.file, self.first, indexes)
        for start, end in self.live_rows(keep):
            indexes.extend(array("Q", [self.index_at(row) for row in range(start, end)]))
            piece.places.extend(self.places[start:end])
            piece.lengths.extend(self.lengths[start:end])
        if indexes:
            piece.first = indexes[0]
        return piece

    def __len__(self) -> int:
        return len(self.places)


class GroupIndex:
    """All entries of one group on disk."""

    __slots__ = ("last_index", "last_term", "pieces", "run_firsts", "run_terms")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.run_firsts = array("Q")
        self.run_terms = array("Q")
        self.last_index = Index(0)
        self.last_term = Term(0)

    def term_at(self, index: int) -> Term:
        """The term of an entry that exists; 0 where nothing is known."""
        at = bisect_right(self.run_firsts, index) - 1
        return Term(self.run_terms[at]) if at >= 0 else Term(0)

    def truncate(self, start: int) -> None:
        """Forget ``start`` and all above; the caller sets the new last."""
        while self.pieces and self.pieces[-1].first >= start:
            self.pieces.pop()
        if self.pieces and self.pieces[-1].last >= start:
            self.pieces[-1].truncate(start)
        row = bisect_left(self.run_firsts, start)
        del self.run_firsts[row:], self.run_terms[row:]

    def append(
        self,
        file: DataFile,
        first: int,
        places: Sequence[int],
        lengths: Sequence[int],
        runs: Sequence[tuple[int, int]],
    ) -> None:
        """Contiguous entries from ``first``; what stood from there on is forgotten. ``runs``: (first
        index, term)."""
        if first <= self.last_index:
            self.truncate(first)
        elif first != self.last_index + 1:
            raise InvariantViolation(f"entry {first} after {self.last_index} leaves a gap")
        piece = self.pieces[-1] if self.pieces else None
        if piece is None or piece.file is not file or piece.indexes is not None or piece.last + 1 != first:
            piece = Piece(file, first, None)
            self.pieces.append(piece)
        piece.places.extend(places)
        piece.lengths.extend(lengths)
        for start, term in runs:
            self.add_run(start, term)
        self.last_index = Index(first + len(places) - 1)
        self.last_term = Term(runs[-1][1])

    def add_run(self, start: int, term: int) -> None:
        """Entries from ``start`` on are of ``term``."""
        if not self.run_terms or self.run_terms[-1] != term:
            self.run_firsts.append(start)
            self.run_terms.append(term)

    def locate(self, first: int, last: int) -> Iterator[Location]:
        """Places of what exists of [first, last], in order."""
        at = bisect_left(self.pieces, first, key=lambda piece: piece.last)
        for piece in self.pieces[at:]:
            if piece.first > last:
                return
            for row in range(piece.position(first), piece.position(last + 1)):
                yield piece.location(row)

    def runs_above(self, index: int) -> list[tuple[Index, Term]]:
        """Term runs of the entries above ``index``."""
        runs = [
            (Index(max(first, index + 1)), Term(term))
            for first, term in zip(self.run_firsts, self.run_terms, strict=True)
        ]
        kept = [run for at, run in enumerate(runs) if at + 1 == len(runs) or runs[at + 1][0] > run[0]]
        return [run for run in kept if run[0] <= self.last_index]

    def drop_upto(self, index: int) -> None:
        """Forget all up to ``index``."""
        for row, piece in enumerate(self.pieces):
            if piece.last > index and piece.first <= index:
                self.pieces[row] = piece.filtered(((Index(index + 1), Index(piece.last)),))
        self.pieces = [piece for piece in self.pieces if piece.last > index]

    def install(
        self, index: Index, term: Term, below: Piece | None, runs: Sequence[tuple[int, int]], *, reset: bool
    ) -> None:
        """A snapshot at (index, term) came in: ``below`` is all that counts up to there; ``reset``:
        nothing above does."""
        above = [] if reset else self.runs_above(index)
        if reset:
            self.truncate(0)
            self.last_index, self.last_term = index, term
        else:
            self.drop_upto(index)
        if below is not None:
            self.pieces.insert(0, below)
        self.run_firsts, self.run_terms = array("Q"), array("Q")
        for start, run_term in (*runs, *above):
            self.add_run(start, run_term)

    def swap(self, files: Sequence[DataFile], piece: Piece | None) -> None:
        """Entries of these files lie in ``piece`` now, or nowhere; what was overwritten meanwhile stays
        forgotten."""
        numbers = [row for row, old in enumerate(self.pieces) if any(old.file is file for file in files)]
        if not numbers:
            return
        if piece is not None:
            piece.truncate(max(self.pieces[row].last for row in numbers) + 1)
        kept = [old for row, old in enumerate(self.pieces) if row not in numbers]
        if piece is not None and len(piece):
            kept.insert(numbers[0], piece)
        self.pieces = kept

    def ranges_with_terms(self, ranges: Ranges) -> list[tuple[Index, Index, Term]]:
        """What exists of ``ranges``, cut where the term changes."""
        found: list[tuple[Index, Index, Term]] = []
        for first, last in ranges:
            at = max(bisect_right(self.run_firsts, first) - 1, 0)
            while at < len(self.run_firsts) and self.run_firsts[at] <= last:
                end = self.run_firsts[at + 1] - 1 if at + 1 < len(self.run_firsts) else last
                found.append(
                    (Index(max(first, self.run_firsts[at])), Index(min(last, end)), Term(self.run_terms[at]))
                )
                at += 1
        return found
