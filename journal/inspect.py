"""Looking into a directory while its node is down, for ``haq journal verify`` and ``dump``.

One rule: nothing is written, locked or repaired; every block is judged as recovery would judge it.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from haqactor.entry import HEAD_BYTES, Kind
from haqactor.env import Disk, DiskError
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term
from haqactor.journal.block import END, Frame
from haqactor.journal.cold import ColdColumns, piece_of
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import IDENTITY, DataFile, parse_name
from haqactor.journal.identity import CleanMark, IdentityFile
from haqactor.journal.index import Piece
from haqactor.journal.reading import read_entries
from haqactor.journal.record import Record, SealedRef, decode
from haqactor.journal.scan import Block, SegmentScan, first_written
from haqactor.journal.sealed import COLD, open_sealed
from haqactor.journal.snapshots import open_snapshot

Progress = Callable[[int, int], None]
"""Called with (bytes looked at, bytes in all)."""
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BlockReport:
    """One block or sealed file. ``kind``: identity, block, end, cold, snapshot. ``status``: ok, torn,
    corrupt.
    ``groups``: (group, entries, first index, last index). ``terms``: lowest and highest, (0, 0) without
    entries."""

    file: str
    offset: int
    size: int
    kind: str
    status: str
    what: str
    sequence: int
    entries: int
    groups: tuple[tuple[int, int, int, int], ...]
    terms: tuple[int, int]


@dataclass(frozen=True, slots=True)
class EntryReport:
    """One entry of a block, or (``kind`` "record") one record. ``header`` is its CBOR header."""

    file: str
    offset: int
    sequence: int
    group: int
    index: int
    term: int
    kind: str
    size: int
    header: bytes
    record: Record | None = None


class Inspection(Generic[R]):
    """An iterator over reports: ``async for report in inspection``. Holds no file open between two
    reports."""

    def __init__(self, disk: Disk, directory: str, progress: Progress | None, entries: bool) -> None:
        self._disk = disk
        self._directory = directory
        self._progress = progress
        self._entries = entries
        self._ready: deque[R] = deque()
        self._steps: deque[Callable[[], Awaitable[None]]] | None = None
        self._total = 0
        self._seen = 0
        self._clean: CleanMark | None = None
        self._last: Block | None = None
        self._segments: list[str] = []

    def __aiter__(self) -> AsyncIterator[R]:
        return self

    async def __anext__(self) -> R:
        if self._steps is None:
            self._steps = await self._plan()
        while not self._ready:
            if not self._steps:
                raise StopAsyncIteration
            await self._steps[0]()
        return self._ready.popleft()

    def _block(self, report: BlockReport) -> None:
        if not self._entries:
            self._ready.append(report)  # type: ignore[arg-type]  # verify's R is BlockReport

    def _entry(self, report: EntryReport) -> None:
        if self._entries:
            self._ready.append(report)  # type: ignore[arg-type]  # dump's R is EntryReport

    def _next_step(self) -> None:
        if self._steps:
            self._steps.popleft()

    def _advance(self, size: int) -> None:
        self._seen += size
        if self._progress is not None:
            self._progress(min(self._seen, self._total), self._total)

    async def _plan(self) -> deque[Callable[[], Awaitable[None]]]:
        steps: deque[Callable[[], Awaitable[None]]] = deque()
        names = await self._disk.list_directory(self._directory)
        if not any(parse_name(name) is not None or name == IDENTITY for name in names):
            raise DataDamaged(f"{self._directory} holds no journal")
        if IDENTITY in names:
            steps.append(self._identity)
        for name in names:
            parsed = parse_name(name)
            if parsed is None:
                continue
            kind, group, _number = parsed
            file = await self._disk.open(f"{self._directory}/{name}")
            self._total += await file.size()
            await file.aclose()
            if kind == "segment":
                self._segments.append(name)
            else:
                steps.append(self._sealed_step(name, kind, GroupId(group)))
        steps.extend(self._segment_step(name) for name in self._segments)
        return steps

    async def _identity(self) -> None:
        self._next_step()
        path = f"{self._directory}/{IDENTITY}"
        try:
            file = await IdentityFile.load(self._disk, self._directory)
            self._clean = file.current.clean
            what = f"node {file.current.node_id}, boot {file.current.boot}"
            await file.aclose()
            self._block(BlockReport(path, 0, 0, "identity", "ok", what, 0, 0, (), (0, 0)))
        except DataDamaged as error:
            self._block(BlockReport(path, 0, 0, "identity", "corrupt", str(error), 0, 0, (), (0, 0)))

    def _sealed_step(self, name: str, kind: str, group: GroupId) -> Callable[[], Awaitable[None]]:
        async def step() -> None:
            self._next_step()
            path = f"{self._directory}/{name}"
            file = await self._disk.open(path)
            size = await file.size()
            rows: tuple[tuple[int, int, int, int], ...] = ((group, 0, 0, 0),)
            terms, entries, status, what = (0, 0), 0, "ok", ""
            try:
                if kind == "cold":
                    columns = await self._cold(DataFile(file, 0, size), group)
                    entries = len(columns.indexes)
                    if entries:
                        rows = ((group, entries, columns.indexes[0], columns.indexes[-1]),)
                        terms = columns.terms[0], columns.terms[-1]
                else:
                    what = await self._snapshot(name, group, size)
            except (DataDamaged, DiskError) as error:
                status, what = "corrupt", str(error)
            finally:
                await file.aclose()
            self._block(BlockReport(path, 0, size, kind, status, what, 0, entries, rows, terms))
            self._advance(size)

        return step

    async def _cold(self, data: DataFile, group: GroupId) -> ColdColumns:
        _ref, footer, _at = await open_sealed(data.file, COLD, group, None)
        columns = ColdColumns.decode(footer)
        piece: Piece = piece_of(data, columns, range(len(columns.indexes)))
        for start in range(0, len(piece), 256):
            rows = range(start, min(start + 256, len(piece)))
            for entry in await read_entries(group, [piece.location(row) for row in rows], JournalConfig()):
                self._entry(
                    EntryReport(
                        data.path, piece.places[piece.position(entry.index)], 0, group, entry.index,
                        entry.term,
                        entry.kind.name, entry.size, bytes(entry.header),
                    )
                )  # fmt: skip
        return columns

    async def _snapshot(self, name: str, group: GroupId, size: int) -> str:
        parsed = parse_name(name)
        number = 0 if parsed is None else parsed[2]
        snapshot = await open_snapshot(self._disk, self._directory, group, SealedRef(number, size, -1))
        try:
            for chunk in range(len(snapshot.offsets)):
                await snapshot.chunk(chunk)
        finally:
            await snapshot.file.retire()
        return f"index {snapshot.meta.index}, term {snapshot.meta.term}, {len(snapshot.offsets)} chunks"

    def _segment_step(self, name: str) -> Callable[[], Awaitable[None]]:
        offset = 0

        async def step() -> None:
            nonlocal offset
            path = f"{self._directory}/{name}"
            parsed = parse_name(name)
            file = await self._disk.open(path)
            try:
                size = await file.size()
                scan = SegmentScan(file, 0 if parsed is None else parsed[2], size)
                scan.offset = offset
                for _ in range(64):
                    start = scan.offset
                    try:
                        block = await scan.next()
                    except DataDamaged as error:
                        self._block(
                            BlockReport(path, start, 0, "block", "corrupt", str(error), 0, 0, (), (0, 0))
                        )
                        block = None
                    if block is None:
                        await self._segment_end(name, scan)
                        self._next_step()
                        self._advance(size - offset)
                        return
                    self._good(path, block)
                self._advance(scan.offset - offset)
                offset = scan.offset
            finally:
                await file.aclose()

        return step

    def _good(self, path: str, block: Block) -> None:
        header, frames, last = block.header, block.payload.frames, self._last
        status, what = "ok", ""
        if last is not None and (header.previous_crc, header.sequence) != (
            last.header.crc,
            last.header.sequence + 1,
        ):
            status, what = "corrupt", f"does not follow block {last.header.sequence}: the chain is broken"
        self._last = block
        terms = [frame.term for frame in frames]
        span = (min(terms), max(terms)) if terms else (0, 0)
        kind = "end" if header.kind == END else "block"
        rows = tuple((row.group, row.entries, row.first, row.last) for row in header.rows)
        size = header.header_bytes + header.payload_bytes
        self._block(
            BlockReport(
                path, header.offset, size, kind, status, what, header.sequence, len(frames), rows, span
            )
        )
        if self._entries:
            for record in decode(block.payload.records):
                self._entry(
                    EntryReport(
                        path, header.offset, header.sequence, record.group, 0, 0, "record", 0, b"", record
                    )
                )
            for frame in frames:
                self._entry(_entry_report(path, block, frame))

    async def _segment_end(self, name: str, scan: SegmentScan) -> None:
        bad = scan.bad
        if bad is None:
            return
        later = await scan.later_block()
        corrupt = later is not None or self._clean is not None
        for other in self._segments[self._segments.index(name) + 1 :]:
            file = await self._disk.open(f"{self._directory}/{other}")
            corrupt = corrupt or await first_written(file, 0, await file.size()) is not None
            await file.aclose()
        groups = () if bad.header is None else bad.header.rows
        rows = tuple((row.group, row.entries, row.first, row.last) for row in groups)
        status = "corrupt" if corrupt else "torn"
        sequence = 0 if bad.header is None else bad.header.sequence
        self._block(
            BlockReport(bad.path, bad.offset, 0, "block", status, bad.what, sequence, 0, rows, (0, 0))
        )


def _entry_report(path: str, block: Block, frame: Frame) -> EntryReport:
    start = frame.position if frame.packed else frame.position - block.header.section_offset
    data = block.payload.section if frame.packed else block.raw
    length = int.from_bytes(data[start + 32 : start + 36], "little")
    return EntryReport(
        path,
        block.header.offset,
        block.header.sequence,
        frame.group,
        Index(frame.log_index),
        Term(frame.term),
        Kind(frame.kind).name,
        frame.length,
        data[start + HEAD_BYTES : start + HEAD_BYTES + length],
    )


def verify(disk: Disk, directory: str, *, progress: Progress | None = None) -> Inspection[BlockReport]:
    """Every block and sealed file, judged. Raises FileMissing where there is no directory, DataDamaged
    where it holds
    no journal; what is wrong inside is reported, not raised."""
    return Inspection[BlockReport](disk, directory, progress, False)


def dump(disk: Disk, directory: str, *, progress: Progress | None = None) -> Inspection[EntryReport]:
    """Every entry and record that can be read, in the order of the files."""
    return Inspection[EntryReport](disk, directory, progress, True)
