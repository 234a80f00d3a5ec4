"""What the journal keeps in memory of one group.

One rule: it changes only after the block that says so is durable.
"""

from dataclasses import dataclass
from typing import Final

from haqactor.ids import GroupId, Index, Term
from haqactor.journal.files import DataFile
from haqactor.journal.index import GroupIndex, Ranges, normalized
from haqactor.journal.record import Manifest
from haqactor.journal.snapshots import Snapshot
from haqactor.raft.ready import HardState, SnapshotMeta

END_OF_LOG: Final = Index(2**63 - 1)


class Group:
    """One group's hard state, entries, sealed files and live entries."""

    __slots__ = (
        "cold",
        "generation",
        "hard",
        "id",
        "index",
        "live",
        "manifest",
        "next_number",
        "retired_snapshots",
        "snapshot",
    )

    def __init__(self, group: GroupId) -> None:
        self.id = group
        self.hard = HardState()
        self.manifest = Manifest()
        self.index = GroupIndex()
        self.snapshot: Snapshot | None = None
        self.cold: dict[int, DataFile] = {}
        self.live: Ranges = ()
        self.next_number = 1
        self.generation = 0  # counts installations, which put all sealed files aside
        self.retired_snapshots: list[Snapshot] = []

    @property
    def snapshot_index(self) -> Index:
        """The last index that a snapshot covers; 0: none."""
        meta = self.manifest.snapshot
        return meta.index if meta is not None else Index(0)

    @property
    def keep(self) -> Ranges:
        """What compaction must not lose: live entries, those of pinned snapshots, and all above the
        snapshot."""
        ranges = [*self.live, (Index(self.snapshot_index + 1), END_OF_LOG)]
        for snapshot in self.retired_snapshots:
            if snapshot.pins:
                ranges += snapshot.live
        if self.snapshot is not None and self.snapshot.pins:
            ranges += self.snapshot.live
        return normalized(ranges)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """A newer snapshot is durable; the old one is kept until nobody pins it."""
        if self.snapshot is not None:
            self.retired_snapshots.append(self.snapshot)
        self.snapshot = snapshot
        self.live = snapshot.live

    async def close_files(self) -> None:
        """Close all sealed files."""
        for file in self.cold.values():
            await file.retire()
        for snapshot in (*([self.snapshot] if self.snapshot is not None else []), *self.retired_snapshots):
            await snapshot.file.retire()

    def take_number(self) -> int:
        """A number for a new sealed file."""
        self.next_number += 1
        return self.next_number - 1


@dataclass(frozen=True, slots=True)
class RecoveredGroup:
    """What a group's core is restarted from. ``runs``: (first index, term) of the entries above the snapshot.
    ``configs``: (index, header) of the CONFIG entries among them."""

    hard_state: HardState
    snapshot: SnapshotMeta | None
    runs: tuple[tuple[Index, Term], ...]
    last_index: Index
    last_term: Term
    configs: tuple[tuple[Index, bytes], ...]
    tail_suspect: bool
