"""The segment files: opening the next one ahead of need, and letting retired ones go.

One rule: a segment has its full size, zero-filled and durable, before it has its name (J6-J8).
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from haqactor.env import Disk, DiskError, DiskFull, FileMissing, NoDescriptors, Probe
from haqactor.errors import StorageFailed
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import TEMPORARY, DataFile, segment_name

FIRST_BYTES: Final = 4 * 1024 * 1024
"""A directory's first segment is small, so that a new node need not wait for a large one to be zeroed."""

_TRIES: Final = 30
_TRY_EVERY_S: Final = 1.0
"""Where descriptors are wanting in the middle of a write, which ahead of it is waited out for ever."""


class Segments:
    """All segments by number; the last in use is written to, the one behind it is prepared. ``named``: told
    of each number before anything is written there."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        config: JournalConfig,
        probe: Probe,
        named: Callable[[int], Awaitable[None]],
    ) -> None:
        self._named = named
        self._probe = probe
        self._disk = disk
        self._directory = directory
        self._config = config
        self._lock = trio.Lock()
        self._spare: DataFile | None = None
        self.files: dict[int, DataFile] = {}
        self.current = 0
        self.space_low = False

    @property
    def sealed(self) -> list[DataFile]:
        """Those that are not written to any more, oldest first."""
        return [self.files[number] for number in sorted(self.files) if number < self.current]

    async def _allocate(self, number: int, size: int) -> None:
        """A file of that size that has no name yet."""
        path = f"{self._directory}/{segment_name(number)}{TEMPORARY}"
        try:
            await self._disk.unlink(path)
        except FileMissing:
            pass
        await (await self._disk.allocate(path, size)).aclose()

    async def _name(self, number: int, size: int) -> DataFile:
        """What was allocated gets its name, and whatever has that has none from then on."""
        path = f"{self._directory}/{segment_name(number)}"
        await self._disk.rename(path + TEMPORARY, path)
        if not self._probe.bug("journal.names_not_synced"):
            await self._disk.sync_directory(self._directory)
        await self._named(number)
        return DataFile(await self._disk.open(path), number, size)

    def adopt(self, file: DataFile) -> bool:
        """An unused segment found at the start; True if it can serve as the next one."""
        if file.number == self.current + 1:
            self._spare = file
            return True
        return False

    async def prepare(self, size: int = 0) -> None:
        """Have the next segment ready, with room for ``size`` bytes. A full disk only sets ``space_low``;
        where descriptors are wanting the caller comes again. Raises StorageFailed."""
        async with self._lock:
            await self._prepare(size)

    def has_room(self, size: int) -> bool:
        """Is the next segment ready, and large enough?"""
        return self._spare is not None and self._spare.size >= size

    async def _prepare(self, size: int) -> None:
        if self._spare is not None and self._spare.size >= size:
            return
        try:
            self._spare = await self._replace_spare(max(size, self._config.segment_bytes))
            await self.look()
        except NoDescriptors:
            self._probe.mark("journal.no_descriptor_for_a_segment")
        except DiskFull as error:
            self._probe.mark("journal.no_space_for_a_segment")
            self.refused(error)
        except DiskError as error:
            raise StorageFailed(f"no new segment in {self._directory}: {error}") from error

    async def _replace_spare(self, size: int) -> DataFile:
        """A next segment in the place of the one that is ready, if one is. Whoever is cancelled, or fails,
        when the new one may have the name already leaves none: blocks in a file without a name would be
        lost."""
        number = self.current + 1
        await self._allocate(number, size)
        small, self._spare = self._spare, None
        try:
            return await self._name(number, size)
        finally:
            if small is not None:
                with trio.CancelScope(shield=True):
                    await small.retire()

    def refused(self, error: DiskFull) -> None:
        """The disk was full: ask callers to stop publishes, which does not help where descriptors are
        wanting."""
        if not isinstance(error, NoDescriptors):
            self.space_low = True

    async def look(self) -> None:
        """See how much space there is. Raises DiskError."""
        free = await self._disk.free_bytes(self._directory)
        self.space_low = free < self._config.reserve_bytes

    @property
    def prepared(self) -> bool:
        """The next segment is ready."""
        return self._spare is not None

    async def first(self) -> DataFile:
        """The first segment of a new journal, a small one: its zeros are written before anything can be
        confirmed."""
        async with self._lock:
            self.current += 1
            file, self._spare = self._spare, None  # adopted: the last start got no further than this
            if file is None:
                size = min(self._config.first_segment_bytes, self._config.segment_bytes)
                await self._allocate(self.current, size)
                file = await self._name(self.current, size)
            self.files[self.current] = file
            return file

    async def roll(self, size: int, *, unused: bool = False) -> DataFile:
        """Seal the current segment; the next one has room for ``size`` bytes. ``unused``: nothing was written
        to the current one, so that a larger one takes its place: behind an empty segment blocks would look as
        if others had been lost. Raises StorageFailed."""
        async with self._lock:
            with trio.CancelScope(shield=unused):  # in the middle the current one has no name
                await self._roll(size, unused=unused)
            return self.files[self.current]

    async def _roll(self, size: int, *, unused: bool) -> None:
        tries = 0
        while True:
            try:
                file = await (self._enlarge(size) if unused else self._next(size))
                break
            except DiskError as error:
                tries += 1
                if not isinstance(error, NoDescriptors) or tries > _TRIES:
                    raise StorageFailed(f"no new segment in {self._directory}: {error}") from error
            await trio.sleep(_TRY_EVERY_S)  # nothing failed that was to last: somebody closes a file
        self.files[file.number] = file
        self.current = file.number

    async def _enlarge(self, size: int) -> DataFile:
        self._probe.mark("journal.segment_enlarged")
        old = self.files[self.current]
        await self._allocate(old.number, max(size, old.size))
        file = await self._name(old.number, max(size, old.size))
        await old.retire()
        return file

    async def _next(self, size: int) -> DataFile:
        if self.has_room(size):
            spare, self._spare = self._spare, None
            if spare is not None:
                return spare
        wanted = self._config.segment_bytes
        if not self.files:
            wanted = min(wanted, FIRST_BYTES)
        return await self._replace_spare(max(size, wanted))

    async def remove(self, file: DataFile) -> None:
        """Close and unlink. Raises DiskError."""
        await file.retire()
        self.files.pop(file.number, None)
        try:
            await self._disk.unlink(f"{self._directory}/{segment_name(file.number)}")
        except FileMissing:
            return
        await self._disk.sync_directory(self._directory)

    async def aclose(self) -> None:
        """Close all."""
        for file in (*self.files.values(), *(() if self._spare is None else (self._spare,))):
            await file.retire()
