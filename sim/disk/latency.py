"""How long a disk takes.

One rule: whole nanoseconds, drawn from the stream that is handed in.
"""

from dataclasses import dataclass
from typing import Final

from haqactor.sim.keyed import Stream

Range = tuple[int, int]
"""The shortest and the longest, in nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of reads, writes into the cache, syncs, and work on names; ``bytes_per_us`` is added to what moves
    bytes. ``cached_share``: of all but syncs, what the system has in memory and does at once. The defaults
    are a fair NVMe disk that flushes its cache."""

    read_ns: Range = (5_000, 120_000)
    write_ns: Range = (3_000, 30_000)
    sync_ns: Range = (200_000, 2_000_000)
    name_ns: Range = (5_000, 60_000)
    bytes_per_us: int = 1_000
    cached_share: float = 0.8

    def draw(self, stream: Stream, between: Range, size: int = 0) -> int:
        """Nanoseconds for one operation on ``size`` bytes."""
        low, high = between
        return low + int(stream.random() * (high + 1 - low)) + size * 1_000 // self.bytes_per_us

    def cached(self, stream: Stream, between: Range) -> bool:
        """Is this operation one that takes no time?"""
        return between is not self.sync_ns and self.cached_share > 0.0 and stream.random() < self.cached_share


STEADY: Final = Latency(
    read_ns=(60_000, 60_000),
    write_ns=(16_000, 16_000),
    sync_ns=(1_000_000, 1_000_000),
    name_ns=(30_000, 30_000),
    cached_share=0.0,
)
"""Each kind of operation takes equally long."""
