"""The journal's figures.

One rule: counters only rise; sizes are measured when asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from haqactor.ids import GroupId
from haqactor.journal.group import Group
from haqactor.journal.segments import Segments


@dataclass(slots=True)
class Counters:
    """What is counted as it happens."""

    blocks: int = 0
    bytes: int = 0
    entries: int = 0
    reads: int = 0
    segments_retired: int = 0
    bytes_copied: int = 0

    def count(self, size: int, entries: int) -> None:
        """One more block, one sync."""
        self.blocks += 1
        self.bytes += size
        self.entries += entries


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStatistics:
    """Counts since open, sizes in bytes now. There is one sync a block."""

    blocks: int
    bytes: int
    entries: int
    fsyncs: int
    entries_per_fsync: float
    reads: int
    segments: int
    segment_bytes: int
    cold_files: int
    cold_bytes: int
    snapshot_bytes: int
    segments_retired: int
    bytes_copied: int
    backlog_bytes: int
    space_low: bool


def measure(
    counters: Counters, segments: Segments, groups: Mapping[GroupId, Group], backlog_bytes: int
) -> JournalStatistics:
    """The record as of now."""
    cold = [file.size for group in groups.values() for file in group.cold.values()]
    return JournalStatistics(
        blocks=counters.blocks,
        bytes=counters.bytes,
        entries=counters.entries,
        fsyncs=counters.blocks,
        entries_per_fsync=counters.entries / counters.blocks if counters.blocks else 0.0,
        reads=counters.reads,
        segments=len(segments.files),
        segment_bytes=sum(file.size for file in segments.files.values()),
        cold_files=len(cold),
        cold_bytes=sum(cold),
        snapshot_bytes=sum(
            group.snapshot.ref.size for group in groups.values() if group.snapshot is not None
        ),
        segments_retired=counters.segments_retired,
        bytes_copied=counters.bytes_copied,
        backlog_bytes=backlog_bytes,
        space_low=segments.space_low,
    )
