"""Re-reading what is sealed, slowly, so that rot is found while other replicas still have the bytes (J12).

One rule: a step is bounded; it reads through the same checks as recovery and never repairs by itself.
"""

from collections.abc import Awaitable, Callable

from haqactor.env import DiskError, NoDescriptors
from haqactor.errors import DataDamaged, StorageFailed
from haqactor.journal.cold import open_cold
from haqactor.journal.files import DataFile, damaged
from haqactor.journal.group import Group
from haqactor.journal.index import Location
from haqactor.journal.reading import read_entries
from haqactor.journal.scan import SegmentScan
from haqactor.journal.snapshots import Snapshot
from haqactor.journal.store import Store

Piecewise = Callable[[], Awaitable[bool]]
"""Reads one bounded piece; False when its file is done."""


class Scrubber:
    """One round after the other over segments, cold segments and snapshots."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._todo: list[Piecewise] = []
        self.pieces = 0

    async def step(self) -> bool:
        """One piece; True when this ended a round. Raises DataDamaged, StorageFailed."""
        if not self._todo:
            self._todo = self._round()
        if not self._todo:
            return True
        self.pieces += 1
        try:
            more = await self._todo[-1]()
        except DataDamaged:
            self._todo.pop()
            raise
        if not more:
            self._todo.pop()
        return not self._todo

    def _round(self) -> list[Piecewise]:
        todo: list[Piecewise] = []
        for group in self._store.groups.values():
            if group.snapshot is not None:
                todo.append(self._snapshot(group.snapshot))
            todo += [self._cold(group, file) for file in group.cold.values()]
        todo += [self._segment(file) for file in self._store.segments.sealed]
        return todo

    def _segment(self, data: DataFile) -> Piecewise:
        scan = SegmentScan(data.file, data.number, data.size)
        sequence = data.first_sequence - 1

        async def piece() -> bool:
            nonlocal sequence
            if data.doomed:
                return False
            async with data.held():
                start = scan.offset
                while scan.offset - start < self._store.config.scrub_bytes:
                    block = await scan.next()
                    if block is not None:
                        sequence = block.header.sequence
                        continue
                    bad = scan.bad
                    if bad is not None:
                        raise damaged(bad.path, bad.offset, bad.what, bad.groups or ())
                    following = self._store.segments.files.get(data.number + 1)
                    if following is not None and following.first_sequence != sequence + 1 and not data.doomed:
                        what = f"blocks {sequence + 1}..{following.first_sequence - 1} are gone"
                        raise damaged(data.path, scan.offset, what)
                    return False
            return True

        return piece

    def _cold(self, group: Group, data: DataFile) -> Piecewise:
        locations: list[Location] | None = None

        async def piece() -> bool:
            nonlocal locations
            if data.doomed:
                return False
            async with data.held():
                if locations is None:
                    ref = next((ref for ref in group.manifest.cold if ref.number == data.number), None)
                    if ref is None:
                        return False
                    try:
                        fresh, _columns = await open_cold(
                            self._store.disk, self._store.directory, group.id, ref
                        )
                    except DataDamaged:
                        if data.doomed:  # merged, or put aside by an installation, while we opened it
                            return False
                        raise
                    except NoDescriptors:
                        return False  # there is another round
                    except DiskError as error:
                        self._store.committer.poison(StorageFailed(f"{data.path} cannot be read: {error}"))
                    await fresh.retire()
                    locations = [
                        each.location(row)
                        for each in group.index.pieces
                        if each.file is data
                        for row in range(len(each))
                    ]
                part: list[Location] = []
                size = 0
                while locations and size < self._store.config.scrub_bytes:
                    part.append(locations.pop())
                    size += part[-1].length
                await read_entries(group.id, part[::-1], self._store.config)
            return bool(locations)

        return piece

    def _snapshot(self, snapshot: Snapshot) -> Piecewise:
        number = 0

        async def piece() -> bool:
            nonlocal number
            if snapshot.file.doomed or number >= len(snapshot.offsets):
                return False
            await snapshot.chunk(number)
            number += 1
            return number < len(snapshot.offsets)

        return piece
