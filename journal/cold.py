"""Cold segments: what lives on of retired segments, one group a file, frames as they were.

One rule: a frame is copied byte for byte, and its checksum verified on the way.

Footer: ``u32 count``, then columns: u64 index, u64 term, u64 offset, u32 length, u8 kind.
"""

from array import array
from collections.abc import Sequence

from haqactor.entry import Entry
from haqactor.env import Disk
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term
from haqactor.journal.files import DataFile, cold_name, damaged
from haqactor.journal.index import Piece
from haqactor.journal.record import SealedRef
from haqactor.journal.sealed import COLD, SealedWriter, open_named, open_sealed


class ColdColumns:
    """The rows of a cold segment, by rising index."""

    __slots__ = ("indexes", "kinds", "lengths", "offsets", "terms")

    def __init__(self) -> None:
        self.indexes = array("Q")
        self.terms = array("Q")
        self.offsets = array("Q")
        self.lengths = array("I")
        self.kinds = array("B")

    def encode(self) -> bytes:
        """The footer."""
        columns = (self.indexes, self.terms, self.offsets, self.lengths, self.kinds)
        return len(self.indexes).to_bytes(4, "little") + b"".join(column.tobytes() for column in columns)

    @classmethod
    def decode(cls, footer: bytes) -> "ColdColumns":
        """Raises DataDamaged."""
        columns = cls()
        count = int.from_bytes(footer[:4], "little")
        if len(footer) != 4 + count * 29:
            raise DataDamaged(f"a cold segment's table of {count} rows has {len(footer)} bytes")
        at = 4
        for column in (columns.indexes, columns.terms, columns.offsets, columns.lengths, columns.kinds):
            end = at + count * column.itemsize
            column.frombytes(footer[at:end])
            at = end
        return columns

    def runs(self) -> list[tuple[int, int]]:
        """(first index, term) wherever the term changes."""
        found: list[tuple[int, int]] = []
        for index, term in zip(self.indexes, self.terms, strict=True):
            if not found or found[-1][1] != term:
                found.append((index, term))
        return found

    def live_terms(self) -> list[tuple[Index, Index, Term]]:
        """(first, last, term) of neighbours of one term."""
        found: list[tuple[Index, Index, Term]] = []
        for index, term in zip(self.indexes, self.terms, strict=True):
            if found and found[-1][1] == index - 1 and found[-1][2] == term:
                found[-1] = (found[-1][0], Index(index), Term(term))
            else:
                found.append((Index(index), Index(index), Term(term)))
        return found


class ColdWriter:
    """Writes one cold segment."""

    def __init__(self, sealed: SealedWriter) -> None:
        self._sealed = sealed
        self.columns = ColdColumns()

    @classmethod
    async def create(
        cls, disk: Disk, directory: str, group: GroupId, number: int, epoch: int
    ) -> "ColdWriter":
        """Begin it."""
        name = cold_name(group, number)
        return cls(await SealedWriter.create(disk, directory, name, COLD, group, number, epoch))

    async def add(self, entries: Sequence[Entry]) -> None:
        """Append entries of rising index."""
        offset = await self._sealed.add([entry.frame for entry in entries])
        columns = self.columns
        for entry in entries:
            columns.indexes.append(entry.index)
            columns.terms.append(entry.term)
            columns.offsets.append(offset)
            columns.lengths.append(entry.size)
            columns.kinds.append(entry.kind)
            offset += entry.size

    async def finish(self) -> SealedRef:
        """Durable under its name."""
        return await self._sealed.finish(self.columns.encode())

    async def abandon(self) -> None:
        """Give up."""
        await self._sealed.abandon()


async def open_cold(
    disk: Disk, directory: str, group: GroupId, ref: SealedRef
) -> tuple[DataFile, ColdColumns]:
    """A cold segment that the journal names. Raises DataDamaged."""
    file = await open_named(disk, directory, cold_name(group, ref.number), group)
    _ref, footer, footer_at = await open_sealed(file, COLD, group, ref)
    try:
        columns = ColdColumns.decode(footer)
    except DataDamaged as error:
        raise damaged(file.path, footer_at, error, (group,)) from error
    data = DataFile(file, ref.number, ref.size)
    data.frame_bytes = sum(columns.lengths)
    return data, columns


def piece_of(file: DataFile, columns: ColdColumns, rows: Sequence[int]) -> Piece:
    """Some rows of a cold segment as a piece of the index."""
    indexes = array("Q", [columns.indexes[row] for row in rows])
    piece = Piece(file, indexes[0] if indexes else 0, indexes)
    piece.places = array("Q", [columns.offsets[row] for row in rows])
    piece.lengths = array("I", [columns.lengths[row] for row in rows])
    return piece
