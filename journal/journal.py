"""The journal of a node: one writer, many groups, and everything that callers may ask of it.

One rule: this is only the face; each duty has its own file.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import trio

from haqactor.entry import Entry
from haqactor.env import Disk, DiskError, DiskFull, LockHeld, Probe
from haqactor.errors import Conflict, Error, Overloaded, StorageFailed
from haqactor.ids import GroupId, Index
from haqactor.journal.commit import Committer
from haqactor.journal.compaction import Compactor
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import LOCK, DataFile, segment_name
from haqactor.journal.group import Group, RecoveredGroup
from haqactor.journal.identity import Identity
from haqactor.journal.index import normalized
from haqactor.journal.install import Install
from haqactor.journal.opening import Opened, Repair, clear_away, recover, resume
from haqactor.journal.quarantine import Quarantine
from haqactor.journal.reading import choose, read_entries
from haqactor.journal.record import Manifest
from haqactor.journal.salvage import Damage
from haqactor.journal.scan import BadBlock
from haqactor.journal.scrub import Scrubber
from haqactor.journal.segments import Segments
from haqactor.journal.snapshots import SnapshotReader, SnapshotWriter, open_snapshot
from haqactor.journal.statistics import Counters, JournalStatistics, measure
from haqactor.journal.store import Store
from haqactor.journal.writer import BlockWriter, Change, Persist, Update
from haqactor.raft.ready import SnapshotMeta


class Journal:
    """Made by ``open``; ``run`` must run for anything to become durable; ``aclose`` ends it cleanly."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        config: JournalConfig,
        probe: Probe,
        opened: Opened,
    ) -> None:
        found, identity = opened.found, opened.identity
        self.disk = disk
        self.directory = directory
        self.config = config
        self.recovered: dict[GroupId, RecoveredGroup] = found.recovered
        self.cut: BadBlock | None = found.cut
        self.damages: tuple[Damage, ...] = opened.damages
        self.groups = found.groups
        self._probe = probe
        self._identity = identity
        self._identity_lock = trio.Lock()
        self.segments = Segments(disk, directory, config, probe, self._named)
        self.writer = BlockWriter(config, identity.current.boot, self.groups, probe)
        self.counters = Counters()
        self.committer = Committer(config, probe, self.groups, self.segments, self.writer, self.counters)
        self._unlock: Callable[[], None] | None = None
        self._installs: dict[GroupId, Install] = {}
        self._store = Store(
            disk,
            directory,
            config,
            self.groups,
            self.segments,
            self.committer,
            self.counters,
            self.writer.boot,
            probe,
        )
        self._compactor = Compactor(self._store)
        self._scrubber = Scrubber(self._store)
        self._quarantine = Quarantine(disk, directory, self.writer.boot)
        self._evacuate_before = max(found.segments, default=0) + 1 if self.damages else 0

    @classmethod
    async def open(
        cls,
        disk: Disk,
        directory: str,
        config: JournalConfig,
        *,
        probe: Probe,
        on_unclean: Callable[[BadBlock], None] | None = None,
        repair: Repair | None = None,
        distrust: bool = False,
    ) -> "Journal":
        """Lock, recover, raise the boot epoch durably. ``on_unclean`` is told of a bad last block before
        it is cut. ``repair``: asked whether a damaged directory is to be opened with what is sound of it;
        its groups that lost something are ``damaged`` then, and ``evacuate`` must be called before anything
        else. ``distrust``: look at every byte, for there was damage.

        Raises StorageFailed (a second process, the disk), DataDamaged (anything that is not a torn tail)."""
        try:
            await disk.make_directory(directory)
            unlock = await disk.lock(f"{directory}/{LOCK}")
        except LockHeld as error:
            raise StorageFailed(
                f"{directory} is in use by another process; stop that one, or use another directory"
            ) from error
        except DiskError as error:
            raise StorageFailed(f"{directory}: {error}") from error
        try:
            journal = await cls._recover(disk, directory, config, probe, on_unclean, repair, distrust)
        except DiskError as error:
            unlock()
            raise StorageFailed(f"{directory}: {error}") from error
        except BaseException:
            unlock()
            raise
        journal._unlock = unlock
        return journal

    @classmethod
    async def _recover(
        cls,
        disk: Disk,
        directory: str,
        config: JournalConfig,
        probe: Probe,
        on_unclean: Callable[[BadBlock], None] | None,
        repair: Repair | None,
        distrust: bool,
    ) -> "Journal":
        opened = await recover(disk, directory, config, probe, on_unclean, repair, distrust)
        journal = cls(disk, directory, config, probe, opened)
        await resume(opened, journal.segments, journal.writer, probe)
        await clear_away(opened, journal._quarantine)
        return journal

    # -- identity

    @property
    def boot(self) -> int:
        """The boot epoch, raised durably by every open."""
        return self.writer.boot

    @property
    def identity(self) -> Identity:
        """Who this directory is."""
        return self._identity.current

    async def update_identity(self, change: Callable[[Identity], Identity]) -> None:
        """Store a changed identity durably. Boot, clean mark and suspicion are the journal's own and stay."""
        async with self._identity_lock:
            now = self._identity.current
            wanted = change(now)
            kept = replace(
                wanted,
                boot=now.boot,
                clean=now.clean,
                durable_upto=now.durable_upto,
                newest=now.newest,
                suspects=now.suspects,
                suspect_all=now.suspect_all,
                cured=now.cured,
                damaged=now.damaged,
                damaged_all=now.damaged_all,
                repaired=now.repaired,
            )
            await self._store_identity(kept)

    def tail_suspect(self, group: GroupId) -> bool:
        """Did this group (also one that the journal knows nothing of) lose a tail that was not cured yet?"""
        return self._identity.current.tail_suspect(group)

    async def cured(self, group: GroupId) -> None:
        """The group got its tail back (or is new): it starts without suspicion the next time. Durable on
        return."""
        async with self._identity_lock:
            now = self._identity.current
            if not now.tail_suspect(group):
                return
            await self._store_identity(now.heal(group))

    def is_damaged(self, group: GroupId) -> bool:
        """Did this group lose more than a torn tail?"""
        return self._identity.current.is_damaged(group)

    async def accept_loss(self, group: GroupId) -> None:
        """Somebody accepts that what this group lost here is lost (see ``haqactor.raft.recovery``). Durable
        on return."""
        async with self._identity_lock:
            await self._store_identity(self._identity.current.accept(group))

    async def accept_all_losses(self) -> None:
        """The same for every group, also those that this journal knows nothing of."""
        async with self._identity_lock:
            now = self._identity.current
            await self._store_identity(replace(now, damaged=(), damaged_all=False, repaired=()))

    async def evacuate(self) -> None:
        """After a salvage: copy what lives of the old segments, and put aside those that are damaged, so that
        the next start finds nothing of that. Needs ``run``. Raises StorageFailed, DataDamaged."""
        before, self._evacuate_before = self._evacuate_before, 0
        hurt = {damage.path for damage in self.damages}

        async def put_aside(file: DataFile) -> bool:
            if file.path not in hurt:
                return False
            self.segments.files.pop(file.number, None)
            await file.retire()
            await self._quarantine.put(segment_name(file.number))
            return True

        if before:
            try:
                await self._compactor.evacuate(before, put_aside)
            except DiskError as error:
                self.committer.poison(StorageFailed(f"putting damaged files aside failed: {error}"))

    async def _named(self, number: int) -> None:
        """There is a segment of that number from now on: a log without it has lost something."""
        async with self._identity_lock:
            now = self._identity.current
            if number > now.newest:
                await self._store_identity(replace(now, newest=number))

    async def _store_identity(self, identity: Identity) -> None:
        try:
            await self._identity.store(identity)
        except StorageFailed as error:
            self.committer.poison(error)

    # -- writing

    @property
    def failure(self) -> Error | None:
        """What ended it, the first of all that followed; None while it works."""
        return self.committer.failure

    @property
    def backlog_bytes(self) -> int:
        """Bytes submitted and not durable yet; callers bound it."""
        return self.committer.backlog

    @property
    def space_low(self) -> bool:
        """Stop publishes now; what frees space must still be let through (J10)."""
        return self.segments.space_low

    def submit(self, persist: Persist) -> None:
        """Queue entries and a hard state, which become durable together. Raises StorageFailed once the
        disk failed."""
        self.committer.submit(persist)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The writer. Ends when the journal is closed; raises StorageFailed or InvariantViolation: the
        node ends."""
        await self.committer.run(task_status=task_status)

    async def aclose(self) -> None:
        """Write out what is queued, an end block and the clean mark; then let the directory go. Raises
        StorageFailed."""
        unlock, self._unlock = self._unlock, None
        if unlock is None:
            return
        with trio.CancelScope(shield=True):
            try:
                mark = await self.committer.finish()
                if mark is not None:
                    async with self._identity_lock:
                        now = self._identity.current
                        await self._store_identity(replace(now, clean=mark, durable_upto=mark.sequence))
            finally:
                for install in list(self._installs.values()):
                    await install.abandon()
                for group in self.groups.values():
                    await group.close_files()
                await self.segments.aclose()
                await self._identity.aclose()
                unlock()

    # -- reading

    async def read(self, group: GroupId, first: Index, last: Index, bytes_max: int) -> tuple[Entry, ...]:
        """Durable entries of [first, last] up to ``bytes_max``, at least one if any exists; what is
        missing below the
        snapshot is left out. Raises DataDamaged."""
        state = self.groups.get(group)
        if state is None:
            await trio.lowlevel.checkpoint()
            return ()
        self.counters.reads += 1
        return tuple(
            await read_entries(group, choose(state.index, first, last, bytes_max), self.config, self._probe)
        )

    def snapshot(self, group: GroupId) -> SnapshotReader | None:
        """The group's newest snapshot."""
        state = self.groups.get(group)
        if state is None or state.snapshot is None:
            return None
        return SnapshotReader(state.snapshot, self.config.pins_max)

    # -- snapshots

    async def save_snapshot(
        self, group: GroupId, meta: SnapshotMeta, chunks: Iterable[bytes], live: Sequence[tuple[Index, Index]]
    ) -> None:
        """Store the state up to ``meta.index``; entries up to there that are not in ``live`` may go from
        now on.

        ``chunks`` is drawn from lazily, with a checkpoint after each. An older snapshot than the present
        one changes
        nothing (R12). Raises Overloaded when the disk is full, Conflict for an index beyond the log."""
        state = self.groups.get(group)
        if state is None or meta.index > state.index.last_index:
            raise Conflict(f"group {group} has no entry {meta.index} to take a snapshot of")
        if meta.index <= state.snapshot_index:
            return
        if self._probe.bug("journal.live_forgotten"):
            live = ()
        ranges = normalized([(first, min(last, meta.index)) for first, last in live])
        terms = tuple(state.index.ranges_with_terms(ranges))
        number = state.take_number()
        try:
            writer = await SnapshotWriter.create(
                self.disk, self.directory, group, number, self.boot, self._probe
            )
            try:
                await writer.add_all(chunks)
                ref = await writer.finish(meta, terms)
                snapshot = await open_snapshot(self.disk, self.directory, group, ref)
            except BaseException:
                with trio.CancelScope(shield=True):
                    await writer.abandon()
                raise
        except DiskFull as error:
            self.segments.refused(error)
            raise Overloaded(f"no space for a snapshot of group {group}: {error}", retry_after=5.0) from error
        except DiskError as error:
            self.committer.poison(StorageFailed(f"writing a snapshot of group {group} failed: {error}"))

        def plan() -> list[Update] | None:
            if self.groups.get(group) is not state or meta.index <= state.snapshot_index:
                return None
            return [Update(group, Manifest(meta, ref, state.manifest.cold))]

        def applied(happened: bool) -> None:
            if happened:
                state.take_snapshot(snapshot)

        if not await self.committer.commit(Change(plan, applied)):
            state.retired_snapshots.append(snapshot)

    async def begin_install(self, group: GroupId, meta: SnapshotMeta) -> Install:
        """Receive a snapshot. The same one again goes on where it stopped; another one begins anew.

        Raises Conflict if it is not newer than the present one."""
        state = self.groups.get(group)
        if state is None:
            state = self.groups[group] = Group(group)
        if meta.index <= state.snapshot_index:
            raise Conflict(
                f"group {group} has a snapshot at {state.snapshot_index}, not older than {meta.index}"
            )
        present = self._installs.get(group)
        if present is not None and present.meta == meta and present.open:
            return present
        if present is not None:
            await present.abandon()
        install = await Install.begin(self._store, state, meta)
        self._installs[group] = install
        return install

    def live(self, group: GroupId, ranges: Sequence[tuple[Index, Index]]) -> None:
        """A newer set of live entries up to the snapshot's index; it only shrinks."""
        state = self.groups.get(group)
        if state is not None:
            state.live = normalized([(first, min(last, state.snapshot_index)) for first, last in ranges])

    async def drop_group(self, group: GroupId) -> None:
        """The group was deleted: its entries, snapshot and hard state are dead once this returns."""
        state = self.groups.get(group)
        if state is None:
            return
        install = self._installs.pop(group, None)
        if install is not None:
            await install.abandon()
        await self.committer.commit(
            Change(
                lambda: [Update(group, None)] if self.groups.get(group) is state else None,
                lambda _happened: None,
            )
        )
        await self._compactor.remove_all(state)

    # -- space and health

    async def compact(self, puts_off: Callable[[GroupId], bool] = lambda _group: False) -> bool:
        """One bounded step of giving space back; False when there is nothing to do. ``puts_off``: is this
        group's next snapshot not to be waited for? Raises StorageFailed, DataDamaged."""
        return await self._compactor.step(puts_off)

    def wanted_snapshots(self) -> tuple[GroupId, ...]:
        """Groups whose entries above their snapshot hold up the retirement of the oldest segments."""
        return self._compactor.pinning()

    async def scrub_step(self) -> bool:
        """Re-read one piece of what is sealed; True when a whole round is complete. Raises DataDamaged,
        StorageFailed."""
        return await self._scrubber.step()

    def statistics(self) -> JournalStatistics:
        """Counts since open, and sizes now."""
        return measure(self.counters, self.segments, self.groups, self.committer.backlog)
