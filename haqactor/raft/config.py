"""The bounds and times of a Raft group.

One rule: every buffer and every wait of the core has its limit here; times are nanoseconds, sizes are bytes.
"""

from dataclasses import dataclass
from typing import Final

from haqactor.errors import ConfigError

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftConfig:
    """Frozen; the same for all groups of a node. Raises ConfigError on contradictions."""

    heartbeat_ns: int = 100 * MILLISECOND_NS
    """How often nodes beat. Elections start when several beats in a row are missing."""
    election_min_ns: int = 600 * MILLISECOND_NS
    """A follower that heard its leader within this time refuses votes; the shortest wait before a
    campaign."""
    election_max_ns: int = 1_000 * MILLISECOND_NS
    """The longest wait; a leader that heard no quorum for this long steps down (check-quorum)."""
    suspicion_step_ns: int = 50 * MILLISECOND_NS
    """A suspected leader's followers campaign after this times their rank."""
    disk_slow_ns: int = SECOND_NS
    """Whose oldest write is not durable after this does not campaign, and as a leader is to hand over (R18).
    A write may wait for the sync before its own: two of almost half a second each are not slow yet."""
    disk_stuck_ns: int = 3 * SECOND_NS
    """A leader whose oldest write is not durable after this, and that could not hand over, steps down."""
    peer_window_bytes: int = 4 * 1024 * 1024
    """Sent to one follower and not acknowledged yet."""
    append_bytes_max: int = 512 * 1024
    """Entries in one Append; a larger entry travels alone."""
    uncommitted_bytes_max: int = 16 * 1024 * 1024
    """Proposed and not committed yet; beyond it ``propose`` raises Overloaded (R16)."""
    memory_bytes: int = 4 * 1024 * 1024
    """Entries kept in memory, beyond those that are needed there; older ones are asked for by Fetch."""
    committed_max: int = 1_024
    """Entries handed out for applying and not applied yet (R19)."""
    reads_max: int = 4_096
    """ReadIndex requests under way; beyond it ``request_read`` raises Overloaded."""

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat_ns < self.election_min_ns <= self.election_max_ns:
            raise ConfigError("raft times must rise: heartbeat < election_min <= election_max")
        if not 0 < self.disk_slow_ns <= self.disk_stuck_ns:
            raise ConfigError("raft times must rise: disk_slow <= disk_stuck")
        for name in (
            "peer_window_bytes",
            "append_bytes_max",
            "uncommitted_bytes_max",
            "committed_max",
            "reads_max",
        ):
            if getattr(self, name) <= 0:
                raise ConfigError(f"raft.{name} must be above 0")
