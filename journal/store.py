"""What the journal's duties share: the disk, the groups, the segments, the writer.

One rule: groups and segments change only in what the writer calls after a sync.
"""

from dataclasses import dataclass

from haqactor.env import Disk, DiskError, FileMissing, Probe
from haqactor.ids import GroupId
from haqactor.journal.commit import Committer
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import DataFile
from haqactor.journal.group import Group
from haqactor.journal.segments import Segments
from haqactor.journal.snapshots import Snapshot
from haqactor.journal.statistics import Counters


@dataclass(frozen=True, slots=True)
class Store:
    """One open journal's insides."""

    disk: Disk
    directory: str
    config: JournalConfig
    groups: dict[GroupId, Group]
    segments: Segments
    committer: Committer
    counters: Counters
    boot: int
    probe: Probe

    async def remove(self, files: list[DataFile]) -> None:
        """Close and unlink sealed files that no record names any more. What a failing disk keeps, the next
        open removes."""
        for file in files:
            await file.retire()
            try:
                await self.disk.unlink(file.path)
            except FileMissing:
                continue
            except DiskError:
                return

    async def remove_snapshot(self, snapshot: Snapshot) -> None:
        """The same for a snapshot."""
        await self.remove([snapshot.file])
