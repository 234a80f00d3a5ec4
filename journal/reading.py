"""Reading entries back: few preads, every frame checked.

One rule: a frame is handed out only if its checksum, group, index and term are what the index says. Files
that are retired meanwhile stay open until the read is through.
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from haqactor.entry import Entry, parse
from haqactor.env import DiskError, File, NullProbe, Probe
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId
from haqactor.journal.block import unpack
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import PACKED, DataFile, damaged, split_place
from haqactor.journal.index import GroupIndex, Location

_NULL: Final = NullProbe()
Span = tuple[int, int, list[tuple[Location, int, int]]]
"""(offset, end, [(location, offset of its frame or of its packed section, bytes there)]) of one pread."""


def extent(where: Location) -> tuple[int, int]:
    """(offset, bytes) that must be read for an entry: its frame, or the packed section that it is in."""
    if where.place & PACKED:
        ordinal, _position = split_place(where.place)
        return where.file.packed_at[ordinal], where.file.packed_stored[ordinal]
    return where.place, where.length


def spans(locations: Sequence[Location], config: JournalConfig) -> Iterator[tuple[DataFile, Span]]:
    """Group neighbours in a file into single reads."""
    current: tuple[DataFile, Span] | None = None
    for where in locations:
        offset, size = extent(where)
        if current is not None:
            file, (start, end, members) = current
            near = file is where.file and start <= offset <= end + config.read_gap_bytes
            if near and max(end, offset + size) - start <= config.read_bytes_max:
                members.append((where, offset, size))
                current = file, (start, max(end, offset + size), members)
                continue
            yield current
        current = where.file, (offset, offset + size, [(where, offset, size)])
    if current is not None:
        yield current


async def _pread(file: File, offset: int, size: int, group: GroupId) -> bytes:
    try:
        data = await file.pread(offset, size)
    except DiskError as error:
        raise damaged(file.path, offset, f"cannot be read: {error}", (group,)) from error
    if len(data) != size:
        raise damaged(file.path, offset, f"{size} bytes should be here, {len(data)} are", (group,))
    return data


async def read_entries(
    group: GroupId, locations: Sequence[Location], config: JournalConfig, probe: Probe = _NULL
) -> list[Entry]:
    """The entries at these places. Raises DataDamaged with file, place and group."""
    found: list[Entry] = []
    unchecked = probe.bug("journal.checksum_ignored")
    async with AsyncExitStack() as stack:
        for each in {where.file.path: where.file for where in locations}.values():
            await stack.enter_async_context(each.held())  # all, before the first wait
        for file, span in spans(locations, config):
            found += await _read_span(group, file, span, unchecked)
    return found


async def _read_span(group: GroupId, file: DataFile, span: Span, unchecked: bool) -> list[Entry]:
    start, end, members = span
    data = await _pread(file.file, start, end - start, group)
    found: list[Entry] = []
    section, section_at = b"", -1
    for where, offset, size in members:
        try:
            stored = data[offset - start : offset - start + size]
            if where.place & PACKED:
                ordinal, position = split_place(where.place)
                if section_at != offset:
                    section, section_at = unpack(stored, file.packed_raw[ordinal]), offset
                stored = section[position : position + where.length]
            entry = parse(stored, unchecked=unchecked)
        except DataDamaged as error:
            raise damaged(file.path, offset, error, (group,)) from error
        if (entry.group, entry.index) != (group, where.log_index):
            what = f"entry {entry.index} of group {entry.group} where {where.log_index} should be"
            raise damaged(file.path, offset, what, (group,))
        found.append(entry)
    return found


def choose(index: GroupIndex, first: int, last: int, bytes_max: int) -> list[Location]:
    """Places of [first, last] until ``bytes_max`` is reached; at least one if any exists."""
    chosen: list[Location] = []
    total = 0
    for where in index.locate(first, last):
        if chosen and total + where.length > bytes_max:
            break
        chosen.append(where)
        total += where.length
    return chosen
