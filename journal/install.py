"""Receiving a snapshot: first the live entries, then the state, then one durable record.

One rule: before that record nothing of it counts, and after it nothing of the old state does.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

from haqactor.entry import Entry, parse_many
from haqactor.env import Buffer, DiskError, DiskFull
from haqactor.errors import Conflict, InvalidArgument, Overloaded, StorageFailed
from haqactor.ids import Index
from haqactor.journal.cold import ColdWriter, open_cold, piece_of
from haqactor.journal.files import DataFile
from haqactor.journal.group import Group
from haqactor.journal.index import Piece
from haqactor.journal.record import Manifest, SealedRef
from haqactor.journal.snapshots import LiveTerms, SnapshotWriter, open_snapshot
from haqactor.journal.store import Store
from haqactor.journal.writer import Change, Update
from haqactor.raft.ready import SnapshotMeta

T = TypeVar("T")


class Install:
    """One snapshot on its way in. Entries come by rising index; those sent again are left out."""

    def __init__(
        self, store: Store, group: Group, meta: SnapshotMeta, cold: ColdWriter, state: SnapshotWriter
    ) -> None:
        self._store = store
        self._group = group
        self._cold = cold
        self._state = state
        self._chunks = 0
        self.meta = meta
        self.open = True

    @classmethod
    async def begin(cls, store: Store, group: Group, meta: SnapshotMeta) -> "Install":
        """Open the files under temporary names."""
        cold: ColdWriter | None = None
        try:
            number = group.take_number()
            cold = await ColdWriter.create(store.disk, store.directory, group.id, number, store.boot)
            number = group.take_number()
            state = await SnapshotWriter.create(
                store.disk, store.directory, group.id, number, store.boot, store.probe
            )
        except BaseException as error:
            if cold is not None:  # the other one was not made: who is cancelled leaves nothing either
                with trio.CancelScope(shield=True):
                    await cold.abandon()
            if isinstance(error, DiskFull):
                raise Overloaded(
                    f"no space to receive a snapshot of group {group.id}: {error}", retry_after=5.0
                ) from error
            if isinstance(error, DiskError):
                store.committer.poison(StorageFailed(f"receiving a snapshot failed: {error}"))
            raise
        return cls(store, group, meta, cold, state)

    @property
    def chunks(self) -> int:
        """How many chunks of the state are here already."""
        return self._chunks

    @property
    def last_entry(self) -> Index:
        """The highest live entry that is here already; 0: none. A sender that starts again goes on behind
        it."""
        indexes = self._cold.columns.indexes
        return Index(indexes[-1]) if indexes else Index(0)

    @property
    def entry_count(self) -> int:
        """How many live entries are here already."""
        return len(self._cold.columns.indexes)

    def have(self, index: Index) -> bool:
        """Is this live entry here already?"""
        indexes = self._cold.columns.indexes
        at = bisect_left(indexes, index)
        return at < len(indexes) and indexes[at] == index

    def _check(self) -> None:
        if not self.open:
            raise Conflict(f"this installation of group {self._group.id} has ended")

    async def add_entries(self, frames: Iterable[Buffer | Entry]) -> None:
        """Live entries (checked ones, or buffers of one frame or more), by rising index. Raises
        DataDamaged for a frame that does not
        check out, InvalidArgument for one that does not belong here, Overloaded when the disk is full."""
        self._check()
        entries: list[Entry] = []
        last = self.last_entry
        for frame in frames:
            for entry in (frame,) if isinstance(frame, Entry) else parse_many(frame):
                if entry.group != self._group.id or entry.index > self.meta.index:
                    raise InvalidArgument(f"{entry!r} is not part of the snapshot at {self.meta.index}")
                if entry.index <= last:
                    if self.have(entry.index) or any(each.index == entry.index for each in entries):
                        continue
                    raise InvalidArgument(f"{entry!r} comes after {last}")
                entries.append(entry)
                last = entry.index
        await self._guarded(self._cold.add, entries)

    async def begin_state(self) -> None:
        """The state comes from its first chunk on, whatever of it is here. Raises Overloaded when the disk
        is full."""
        self._check()
        if self._chunks:
            await self._guarded(Install._new_state, self)

    async def _new_state(self) -> None:
        store, group = self._store, self._group
        new = await SnapshotWriter.create(
            store.disk, store.directory, group.id, group.take_number(), store.boot, store.probe
        )
        old, self._state, self._chunks = self._state, new, 0
        with trio.CancelScope(shield=True):
            await old.abandon()

    async def add_chunk(self, chunk: bytes) -> None:
        """The next chunk of the state. Raises Overloaded when the disk is full."""
        self._check()
        await self._guarded(self._state.add, chunk)
        self._chunks += 1

    async def _guarded(self, step: Callable[[T], Awaitable[None]], argument: T) -> None:
        try:
            await step(argument)
        except DiskFull as error:
            await self.abandon()
            raise Overloaded(
                f"no space to receive a snapshot of group {self._group.id}: {error}", retry_after=5.0
            ) from error
        except DiskError as error:
            self._store.committer.poison(StorageFailed(f"receiving a snapshot failed: {error}"))

    async def finish(self) -> bool:
        """Make it the group's state, durably. False if something newer stands there already."""
        self._check()
        self.open = False
        store, group, meta, columns = self._store, self._group, self.meta, self._cold.columns
        ref: SealedRef | None = None
        piece: Piece | None = None
        file: DataFile | None = None
        try:
            if columns.indexes:
                ref = await self._cold.finish()
                file, read_back = await open_cold(store.disk, store.directory, group.id, ref)
                piece = piece_of(file, read_back, range(len(columns.indexes)))
            else:
                await self._cold.abandon()
            live: LiveTerms = tuple(columns.live_terms())
            snapshot_ref = await self._state.finish(meta, live)
            snapshot = await open_snapshot(store.disk, store.directory, group.id, snapshot_ref)
        except DiskFull as error:
            await self._remove(file)
            raise Overloaded(
                f"no space to receive a snapshot of group {group.id}: {error}", retry_after=5.0
            ) from error
        except DiskError as error:
            store.committer.poison(StorageFailed(f"receiving a snapshot failed: {error}"))
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self._remove(file)
            raise
        old_files = list(group.cold.values())
        update = Update(group.id, Manifest(meta, snapshot_ref, () if ref is None else (ref,)))

        def plan() -> list[Update] | None:
            nonlocal old_files
            if store.groups.get(group.id) is not group or meta.index <= group.snapshot_index:
                return None
            old_files = list(group.cold.values())
            index = group.index
            update.reset = index.last_index < meta.index or index.term_at(meta.index) != meta.term
            return [update]

        def applied(happened: bool) -> None:
            if happened:
                group.generation += 1
                group.index.install(meta.index, meta.term, piece, columns.runs(), reset=update.reset)
                group.cold = {} if file is None else {file.number: file}
                group.take_snapshot(snapshot)

        happened = await store.committer.commit(Change(plan, applied))
        with trio.CancelScope(shield=True):
            if happened:
                await store.remove(old_files)
            else:
                await store.remove([snapshot.file, *([] if file is None else [file])])
        return happened

    async def abandon(self) -> None:
        """Give up; again does no harm."""
        if self.open:
            self.open = False
            with trio.CancelScope(shield=True):
                await self._remove()

    async def _remove(self, file: DataFile | None = None) -> None:
        if file is not None:  # finished, and open by now
            await self._store.remove([file])
        await self._cold.abandon()
        await self._state.abandon()
