"""The journal's bounds, in one frozen record.

One rule: every bound has a name, a unit and a default here, and what cannot work is refused at once.
"""

from dataclasses import dataclass
from typing import Final

from haqactor.errors import ConfigError

SECTOR_BYTES: Final = 512
"""Blocks begin at multiples of it, so that writing one never touches a sector that holds durable bytes of
another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """Sizes in bytes. The simulator draws them small; 4 KiB segments work."""

    segment_bytes: int = (
        64 * 1024 * 1024
    )  #: a segment file; one block that is larger gets a file of its own size
    first_segment_bytes: int = 4 * 1024 * 1024  #: the very first one, so that a fresh node starts at once
    block_bytes_max: int = (
        4 * 1024 * 1024
    )  #: what one fsync takes at most (a single larger Persist goes alone)
    compress_level: int = 1  #: zstd level for small frames of a block, 0: never
    compress_frame_bytes_max: int = 2048  #: a frame above this is taken as it is
    compress_bytes_min: int = 1024  #: less than this together is not worth it
    compress_bytes_max: int = 64 * 1024  #: more than this would hold the loop for too long
    segments_hot: int = 1  #: sealed segments that compaction leaves alone
    segments_pinned_max: int = (
        16  #: beyond, the oldest is retired by copying even what no snapshot covers yet
    )
    cold_files_max: int = (
        16  #: cold segments of one group before neighbours merge whatever their share of dead bytes
    )
    copy_bytes: int = 256 * 1024  #: read and written at once while copying; a checkpoint follows each
    read_gap_bytes: int = 16 * 1024  #: two frames nearer than this are fetched by one pread
    read_bytes_max: int = 1024 * 1024  #: one pread of several frames
    scrub_bytes: int = 1024 * 1024  #: re-read by one scrub step
    pins_max: int = 4  #: snapshots held for slow receivers at once
    reserve_bytes: int = (
        16 * 1024 * 1024
    )  #: free space below which ``space_low`` asks callers to stop publishes

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.segment_bytes < 4096 or self.segment_bytes % SECTOR_BYTES:
            raise ConfigError(
                f"segment_bytes = {self.segment_bytes}: use a multiple of {SECTOR_BYTES}, 4096 or more"
            )
        for name in (
            "block_bytes_max",
            "copy_bytes",
            "read_bytes_max",
            "scrub_bytes",
            "pins_max",
            "cold_files_max",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: must be at least 1")
        if not 0 <= self.compress_level <= 19:
            raise ConfigError(f"compress_level = {self.compress_level}: use 0 (never) to 19")
        if self.compress_bytes_max > 8 * 1024 * 1024:
            raise ConfigError("compress_bytes_max: at most 8 MiB, which is what a reader unpacks")
