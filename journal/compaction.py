"""Giving space back: the oldest segment is retired, what lives of it moves to cold segments, and those merge.

One rule: what replaces a file is durable, and named in the journal, before the file goes (J7).
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack

import trio

from haqactor.env import DiskError, DiskFull
from haqactor.errors import StorageFailed
from haqactor.ids import GroupId
from haqactor.journal.cold import ColdColumns, ColdWriter, open_cold, piece_of
from haqactor.journal.files import DataFile
from haqactor.journal.group import Group
from haqactor.journal.index import Location, Piece, Ranges
from haqactor.journal.reading import read_entries
from haqactor.journal.record import Manifest, SealedRef
from haqactor.journal.store import Store
from haqactor.journal.writer import Change, Update


class Moved:
    """What was copied for one group: its new cold segment, and the generation of the group that it was
    copied from."""

    __slots__ = ("columns", "file", "generation", "group", "ref")

    def __init__(
        self, group: Group, ref: SealedRef, file: DataFile, columns: ColdColumns, generation: int
    ) -> None:
        self.group = group
        self.ref = ref
        self.file = file
        self.columns = columns
        self.generation = generation

    @property
    def stale(self) -> bool:
        """The group was dropped or replaced meanwhile."""
        return self.group.generation != self.generation

    @property
    def piece(self) -> Piece:
        """All of it, for the index."""
        return piece_of(self.file, self.columns, range(len(self.columns.indexes)))


class Compactor:
    """One step at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = trio.Lock()
        self._puts_off: Callable[[GroupId], bool] = lambda _group: False

    async def step(self, puts_off: Callable[[GroupId], bool]) -> bool:
        """Retire or merge once; False when there is nothing to do (or no space to do it). ``puts_off``: does
        a group take no snapshot for now? It would hold a segment, and all that others wrote to it, for as
        long; so what no snapshot of it covers yet is copied as well."""
        async with self._turn:
            self._puts_off = puts_off
            try:
                await self._release_snapshots()
                return await self._retire() or await self._merge()
            except DiskFull as error:
                self._store.probe.mark("journal.no_space_to_compact")
                self._store.segments.refused(error)
                return False
            except DiskError as error:
                self._store.committer.poison(StorageFailed(f"compaction failed: {error}"))

    def pinning(self) -> tuple[GroupId, ...]:
        """Groups with entries above their snapshot in the segments that should go."""
        sealed = self._store.segments.sealed
        old = {file.number for file in sealed[: max(0, len(sealed) - self._store.config.segments_hot)]}
        if not old:
            return ()
        return tuple(group.id for group in self._store.groups.values() if self._pins(group, old))

    def _pins(self, group: Group, numbers: "set[int]") -> bool:
        base, cold = group.snapshot_index, group.cold
        return any(
            piece.last > base
            and piece.file.number in numbers
            and cold.get(piece.file.number) is not piece.file
            for piece in group.index.pieces
        )

    async def _release_snapshots(self) -> None:
        for group in list(self._store.groups.values()):
            free = [snapshot for snapshot in group.retired_snapshots if not snapshot.pins]
            group.retired_snapshots = [snapshot for snapshot in group.retired_snapshots if snapshot.pins]
            for snapshot in free:
                await self._store.remove_snapshot(snapshot)

    async def remove_all(self, group: Group) -> None:
        """The sealed files of a group that was dropped."""
        group.generation += 1
        snapshots = [*([] if group.snapshot is None else [group.snapshot]), *group.retired_snapshots]
        await self._store.remove([*group.cold.values(), *[snapshot.file for snapshot in snapshots]])

    async def _copy(
        self,
        group: Group,
        locations: Iterable[Location],
        between: Callable[[], Awaitable[object]] = trio.lowlevel.checkpoint,
    ) -> Moved | None:
        """Copy frames as they are, bounded pieces at a time, with ``between`` after each. None where there is
        nothing."""
        store = self._store
        generation = group.generation
        writer: ColdWriter | None = None
        try:
            for part in _portions(locations, store.config.copy_bytes):
                entries = await read_entries(group.id, part, store.config)
                if writer is None:
                    number = group.take_number()
                    writer = await ColdWriter.create(
                        store.disk, store.directory, group.id, number, store.boot
                    )
                await writer.add(entries)
                store.counters.bytes_copied += sum(entry.size for entry in entries)
                await between()
            if writer is None:
                return None
            ref = await writer.finish()
            file, columns = await open_cold(store.disk, store.directory, group.id, ref)
        except BaseException:
            if writer is not None:
                with trio.CancelScope(shield=True):
                    await writer.abandon()
            raise
        return Moved(group, ref, file, columns, generation)

    async def _retire(self) -> bool:
        store = self._store
        sealed = store.segments.sealed
        if len(sealed) <= store.config.segments_hot:
            return False
        oldest = sealed[0]
        forced = len(sealed) > store.config.segments_pinned_max
        pinned = [group.id for group in store.groups.values() if self._pins(group, {oldest.number})]
        if not forced and not all(map(self._puts_off, pinned)):
            return False
        if pinned and not forced:
            store.probe.mark("journal.retired_beside_a_snapshot_put_off")
        if forced:
            store.probe.mark("journal.retired_by_force")
        await self._retire_segment(oldest, oldest.number + 1)
        return True

    async def _retire_meanwhile(self) -> None:
        """A merge that copies a gigabyte takes long, and no segment may wait for that: beside a busy journal
        they would be many by then."""
        await trio.lowlevel.checkpoint()
        if await self._retire():
            self._store.probe.mark("journal.retired_during_a_merge")

    async def evacuate(self, before: int, put_aside: Callable[[DataFile], Awaitable[bool]]) -> None:
        """Retire every segment with a number below ``before``, whatever holds it: their blocks are not all
        good, so that the journal must not begin there any more. ``put_aside``: takes a damaged file away;
        False where it is not one. Raises DiskError, DataDamaged."""
        async with self._turn:
            while True:
                numbers = sorted(self._store.segments.files)
                if not numbers or numbers[0] >= before:
                    return
                following = numbers[1] if len(numbers) > 1 else before
                await self._retire_segment(self._store.segments.files[numbers[0]], following, put_aside)

    async def _retire_segment(
        self,
        oldest: DataFile,
        following: int,
        put_aside: Callable[[DataFile], Awaitable[bool]] | None = None,
    ) -> None:
        store = self._store
        moved: list[Moved] = []
        touched = [
            group for group in store.groups.values() if any(p.file is oldest for p in group.index.pieces)
        ]
        try:
            for group in touched:
                one = await self._copy(group, _living(group, [oldest], group.keep))
                if one is not None:
                    moved.append(one)
        except BaseException:
            with trio.CancelScope(shield=True):
                await store.remove([one.file for one in moved])
            raise

        def plan() -> list[Update] | None:
            if any(one.stale for one in moved):
                return None
            return [Update(one.group.id, _with(one.group.manifest, one.ref)) for one in moved]

        def applied(happened: bool) -> None:
            if not happened:
                return
            pieces = {one.group.id: one for one in moved}
            for group in store.groups.values():
                one = pieces.get(group.id)
                group.index.swap([oldest], None if one is None else one.piece)
                if one is not None:
                    group.cold[one.ref.number] = one.file

        if moved:
            store.probe.mark("journal.live_entries_moved")
        if store.probe.bug("journal.unlink_first"):
            await store.segments.remove(oldest)
        happened = await store.committer.commit(Change(plan, applied, following))
        with trio.CancelScope(shield=True):
            if happened:
                store.probe.mark("journal.segment_retired")
                store.counters.segments_retired += 1
                if put_aside is None or not await put_aside(oldest):
                    await store.segments.remove(oldest)
                await store.segments.look()
            else:
                store.probe.mark("journal.move_overtaken")
                await store.remove([one.file for one in moved])

    async def _merge(self) -> bool:
        for group in list(self._store.groups.values()):
            chosen = self._mergeable(group)
            if chosen:
                await self._merge_files(group, chosen)
                return True
        return False

    def _mergeable(self, group: Group) -> list[DataFile]:
        """A dead cold segment, or one or two neighbours under 50 % live, or the smallest two of too many. The
        awkward ones come last: else they would be all that is ever done, and there be ever more files."""
        files = [group.cold[ref.number] for ref in group.manifest.cold]
        if not files:
            return []
        keep = group.keep
        alive = [sum(p.live_bytes(keep) for p in group.index.pieces if p.file is file) for file in files]
        for file, live in zip(files, alive, strict=True):
            if not live:
                return [file]
        for at in range(len(files) - 1):
            pair = files[at : at + 2]
            if 2 * sum(alive[at : at + 2]) < sum(file.frame_bytes for file in pair):
                return pair
        for file, live in zip(files, alive, strict=True):
            if 2 * live < file.frame_bytes:
                return [file]
        if len(files) > self._store.config.cold_files_max:
            at = min(range(len(files) - 1), key=lambda row: alive[row] + alive[row + 1])
            return files[at : at + 2]
        return files[:1] if self._store.probe.buggify("journal.early_merge") else []

    async def _merge_files(self, group: Group, files: list[DataFile]) -> None:
        store = self._store
        numbers = [file.number for file in files]
        generation = group.generation
        async with AsyncExitStack() as stack:
            for file in files:  # an installation may put them aside meanwhile
                await stack.enter_async_context(file.held())
            moved = await self._copy(group, _living(group, files, group.keep), self._retire_meanwhile)
        store.probe.mark("journal.cold_files_merged")
        present = [] if moved is None else [moved]

        def plan() -> list[Update] | None:
            if group.generation != generation:
                return None
            refs: list[SealedRef] = []
            for ref in group.manifest.cold:
                if ref.number == numbers[0] and moved is not None:
                    refs.append(moved.ref)
                if ref.number not in numbers:
                    refs.append(ref)
            manifest = group.manifest
            return [Update(group.id, Manifest(manifest.snapshot, manifest.snapshot_file, tuple(refs)))]

        def applied(happened: bool) -> None:
            if not happened:
                return
            group.index.swap(files, None if moved is None else moved.piece)
            for number in numbers:
                group.cold.pop(number, None)
            for one in present:
                group.cold[one.ref.number] = one.file

        happened = await store.committer.commit(Change(plan, applied))
        with trio.CancelScope(shield=True):
            await store.remove(files if happened else [one.file for one in present])


def _with(manifest: Manifest, ref: SealedRef) -> Manifest:
    return Manifest(manifest.snapshot, manifest.snapshot_file, (*manifest.cold, ref))


def _living(group: Group, files: Sequence[DataFile], keep: Ranges) -> Iterator[Location]:
    """What these files hold that must be kept, as of now: the index may move on while this is drawn from."""
    pieces = [
        piece.filtered(keep) for piece in group.index.pieces if any(piece.file is file for file in files)
    ]
    return (piece.location(row) for piece in pieces for row in range(len(piece)))


def _portions(locations: Iterable[Location], bytes_max: int) -> Iterable[list[Location]]:
    part: list[Location] = []
    size = 0
    for where in locations:
        if part and size + where.length > bytes_max:
            yield part
            part, size = [], 0
        part.append(where)
        size += where.length
    if part:
        yield part
