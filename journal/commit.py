"""The writer: everything queued while the last sync ran becomes one block.

One rule: ``done`` is called only when the bytes are on the medium, in the order of submission, and after a
disk error nothing is ever called again (J1).
"""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, NoReturn

import trio

from haqactor.env import DiskError, Probe
from haqactor.errors import Error, InvariantViolation, StorageFailed
from haqactor.ids import GroupId, Index
from haqactor.journal import block
from haqactor.journal.config import JournalConfig
from haqactor.journal.group import Group
from haqactor.journal.identity import CleanMark
from haqactor.journal.segments import Segments
from haqactor.journal.statistics import Counters
from haqactor.journal.writer import Batch, BlockWriter, Change, Persist, Queued, check, take

_AHEAD: Final = 4
"""The next segment is prepared once a quarter of the present one is written."""

_HEAD_BYTES: Final = 1024
_ROW_BYTES: Final = 64
_STATE_BYTES: Final = 512
"""What a block needs beside what is queued, about: its header, a row and a hard state of each group, and at
the head of a segment the whole state of each."""
_LOOK_EVERY_S: Final = 5.0
_RETRY_EVERY_S: Final = 1.0


class WriterStopped(StorageFailed):
    """It was stopped in order before a change was answered; whether it is on the disk is not known, so none
    of its files may be touched any more."""


class Committer:
    """Owns the queue and the end of the journal."""

    def __init__(
        self,
        config: JournalConfig,
        probe: Probe,
        groups: dict[GroupId, Group],
        segments: Segments,
        writer: BlockWriter,
        counters: Counters,
    ) -> None:
        self._config = config
        self._probe = probe
        self._groups = groups
        self._segments = segments
        self._writer = writer
        self._counters = counters
        self._queue: deque[Queued] = deque()
        self._waiting: dict[trio.Event, None] = {}
        self._wake = trio.Event()
        self._space = trio.Event()
        self._busy = trio.Lock()
        self._closing = False
        self._stopped = False
        self._running = False
        self.failure: Error | None = None
        self.backlog = 0

    def submit(self, persist: Persist) -> None:
        """Queue; raises StorageFailed once the disk failed."""
        self.check_open()
        size = persist.size
        self._queue.append((persist, size))
        self.backlog += size
        self._wake.set()

    def check_open(self) -> None:
        """Raises StorageFailed when nothing can be written any more."""
        if self.failure is not None:
            raise StorageFailed(f"the journal stopped: {self.failure}") from self.failure
        if self._closing or self._stopped:
            raise StorageFailed("the journal is closed")

    def poison(self, error: Error) -> NoReturn:
        """Nothing is believed after a failed write, and nothing is retried."""
        self.fail(error)
        raise error

    def fail(self, error: Error) -> None:
        """The first failure counts; whoever waits is woken."""
        if self.failure is None:
            self._probe.mark("journal.poisoned")
            self.failure = error
        self._release()

    def _release(self) -> None:
        self._wake.set()
        for event in self._waiting:
            event.set()

    async def commit(self, change: Change) -> bool:
        """Put a change of the journal itself through the writer. False if it was no longer wanted."""
        if self._stopped:
            await trio.lowlevel.checkpoint_if_cancelled()  # as below
        self.check_open()
        if not self._running:
            raise StorageFailed("the journal's writer does not run")
        finished = trio.Event()
        wanted = answered = False

        def applied(happened: bool) -> None:
            nonlocal wanted, answered
            wanted, answered = happened, True
            change.applied(happened)
            finished.set()

        self._waiting[finished] = None
        self._queue.append((Change(change.plan, applied, change.oldest), 0))
        self._wake.set()
        try:
            with trio.CancelScope(
                shield=True
            ):  # a change that is queued happens; its files belong to whoever waits
                await finished.wait()
        finally:
            self._waiting.pop(finished, None)
        if self.failure is not None:
            raise StorageFailed(f"the journal stopped: {self.failure}") from self.failure
        if not answered:
            await trio.lowlevel.checkpoint_if_cancelled()  # who stops together with its writer just ends
            raise WriterStopped("the journal's writer was stopped")
        return wanted

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Write until closed."""
        async with unwrapped(), trio.open_nursery() as nursery:
            nursery.start_soon(self._prepare_ahead)
            self._running = True
            task_status.started()
            try:
                while True:
                    while not self._queue and not self._closing and self.failure is None:
                        self._wake = trio.Event()
                        await self._wake.wait()
                    if self.failure is not None:
                        raise self.failure
                    if not self._queue:
                        break
                    async with self._busy:
                        await self._room()
                        if self._queue:
                            await self._write_next()
            finally:
                self._running = False
                if not self._closing:
                    self._stopped = True
                    self._release()
            nursery.cancel_scope.cancel()

    async def _prepare_ahead(self) -> None:
        """Write the next segment's zeros in time, yet not before the present one is filling: they compete
        with its syncs."""
        while True:
            self._space = trio.Event()
            if not self._filling:
                with trio.move_on_after(_LOOK_EVERY_S):
                    await self._space.wait()
            try:
                if self._filling:
                    await self._segments.prepare()
                else:
                    await self._segments.look()
            except StorageFailed as error:
                self.poison(error)
            except DiskError as error:
                self.poison(StorageFailed(f"asking for free space failed: {error}"))
            if self._filling:
                await trio.sleep(_RETRY_EVERY_S)

    @property
    def _filling(self) -> bool:
        writer = self._writer
        if writer.file is None or self._segments.prepared:
            return False
        return writer.offset * _AHEAD >= writer.file.size

    async def _room(self) -> None:
        """Before anything is written: have the segment that it may need. A full disk is waited out, for
        nothing has failed yet; what waits is bounded by those who submit, and acknowledges nothing (J10)."""
        while self._queue and not self._closing and self._needs_segment:
            self._probe.mark("journal.segment_not_prepared")
            size = self._least_bytes()
            await self._segments.prepare(size)
            if not self._segments.has_room(size):  # else only more waits by now
                self._probe.mark("journal.waits_for_space")
                await trio.sleep(_RETRY_EVERY_S)

    @property
    def _needs_segment(self) -> bool:
        """May the next block not fit, while no other segment is there?"""
        writer = self._writer
        size = self._least_bytes()
        if writer.file is None or not writer.offset or self._segments.has_room(size):
            return False
        return writer.offset + size + self._beside_bytes() > writer.file.size

    def _least_bytes(self) -> int:
        """What the next block takes at least, about; of one that gets a segment of its own, at most."""
        size = block.aligned(min(self.backlog, self._config.block_bytes_max))
        return size if size <= self._config.segment_bytes else block.aligned(size + self._beside_bytes())

    def _beside_bytes(self) -> int:
        return _HEAD_BYTES + len(self._groups) * (_ROW_BYTES + _STATE_BYTES)

    async def _write_next(self) -> None:
        """One block: build, write, sync, tell. Not cancelled in the middle."""
        try:
            with trio.CancelScope(shield=True):
                small = self._probe.buggify("journal.small_block")
                batch = take(self._queue, 1 if small else self._config.block_bytes_max)
                lasts: dict[GroupId, Index] = {}
                for persist in batch.persists:
                    group = self._groups.get(persist.group)
                    if group is None:
                        group = self._groups[persist.group] = Group(persist.group)
                    if persist.entries:
                        check(persist, group, lasts.get(group.id, group.index.last_index))
                        lasts[group.id] = persist.entries[-1].index
                await self._write(batch)
        except DiskError as error:
            self.poison(StorageFailed(f"writing the journal failed: {error}"))
        except Error as error:
            self.poison(error)
        except BaseException as error:
            self.fail(InvariantViolation(f"the journal's writer ended: {error!r}"))
            raise

    async def _write(self, batch: Batch) -> None:
        writer, change = self._writer, batch.change
        if change is not None and batch.updates is None:
            change.applied(False)
            return
        if change is not None:
            if change.oldest is not None:
                writer.oldest = change.oldest
            await self._write_block(batch, block.DATA)
        elif any(each.entries or each.hard_state is not None for each in batch.persists):
            await self._write_block(batch, block.DATA)
        self.backlog -= batch.size
        for persist in batch.persists:
            persist.done()

    async def _write_block(self, batch: Batch, kind: int) -> None:
        writer = self._writer
        layout = writer.layout(batch, kind)
        early = writer.offset > 0 and self._segments.prepared and self._probe.buggify("journal.early_roll")
        if writer.file is None or early or writer.offset + layout.size > writer.file.size:
            states = sum([len(record) for record in writer.states(batch.updates, head=True)])
            unpacked = sum(layout.lengths) if layout.packed is not None else 0  # it may not pack there
            room = block.aligned(layout.size + states + unpacked)
            unused = writer.file is not None and not writer.offset
            writer.roll_to(await self._segments.roll(room, unused=unused))
            layout = writer.layout(batch, kind)
        file = writer.file
        if file is None:
            raise InvariantViolation("no segment is open")
        if self._probe.bug("journal.done_before_sync"):
            for persist in batch.persists:
                persist.done()
        try:
            await file.file.write_durable(writer.offset, layout.buffers)
        except DiskError:
            if not self._probe.bug("journal.sync_error_ignored"):
                raise
        self._counters.count(layout.size, len(layout.lengths))
        writer.written(layout)
        writer.apply(batch, layout)
        if self._filling:
            self._space.set()
        if batch.change is not None:
            for update in batch.updates or ():
                if update.manifest is None:
                    self._groups.pop(update.group, None)
                else:
                    self._groups[update.group].manifest = update.manifest
            batch.change.applied(True)

    async def finish(self) -> CleanMark | None:
        """Write what is queued and an end block; None after a failure."""
        self._closing = True
        self._wake.set()
        async with self._busy:
            while self._queue and self.failure is None:
                await self._write_next()
            if self.failure is not None:
                return None
            writer = self._writer
            try:
                await self._write_block(Batch([], 0), block.END)
            except DiskError as error:
                self.fail(StorageFailed(f"writing the end block failed: {error}"))
                return None
            if writer.file is None:
                return None
            return CleanMark(writer.file.number, writer.last_offset, writer.sequence - 1, writer.previous_crc)


@asynccontextmanager
async def unwrapped() -> AsyncGenerator[None, None]:
    """A single error leaves a nursery as itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
