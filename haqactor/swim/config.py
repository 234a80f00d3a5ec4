"""The times and bounds of membership.

One rule: every wait and every buffer of the core has its limit here; times are nanoseconds, sizes are bytes.
"""

from dataclasses import dataclass
from typing import Final

from haqactor.errors import ConfigError

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
HOUR_NS: Final = 3_600 * SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class SwimConfig:
    """Frozen; the same on all nodes of a cluster, except while they are changed one by one. Raises
    ConfigError on contradictions. *n* below is the number of members that are alive or suspected, oneself
    among them; *health* the awareness score, 0 when well."""

    probe_interval_ns: int = SECOND_NS
    """A protocol period: one member is probed in each, x (1 + health)."""
    probe_timeout_ns: int = 500 * MILLISECOND_NS
    """After this, x (1 + health), without an ack others are asked to try."""
    indirect_probes: int = 3
    """How many others are asked (*k* of the paper)."""
    suspicion_mult: int = 4
    """A suspect has at least suspicion_mult x max(1, log10 n) x probe_interval x (1 + health) to refute."""
    suspicion_max_mult: int = 6
    """And up to this many times as much while nobody else suspects it, or in bad health. 1: as in SWIM
    without Lifeguard."""
    awareness_max: int = 8
    """The worst health score. 0: this node never doubts itself, neither after failures nor after stalls."""
    gossip_interval_ns: int = 200 * MILLISECOND_NS
    """While there is news it is sent to others this often."""
    gossip_nodes: int = 3
    """To so many members each time."""
    retransmit_mult: int = 4
    """A piece of news is sent retransmit_mult x ceil(log10(n + 1)) times by each who heard it."""
    push_pull_interval_ns: int = 30 * SECOND_NS
    """Whole tables are exchanged with one member this often. So long, too, the newly dead are gossiped to."""
    packet_bytes_max: int = 1_400
    """A datagram at most."""
    rejoin_min_ns: int = SECOND_NS
    """The dead, the never heard and the seeds are tried again after this; then twice that, and so on ..."""
    rejoin_max_ns: int = 30 * SECOND_NS
    """... up to this, for ever."""
    forget_ns: int = 24 * HOUR_NS
    """The dead and those who left are forgotten after this, except known ones."""
    members_max: int = 1_024
    """Members in the table, the dead among them; more are refused."""

    def __post_init__(self) -> None:
        if not 0 < self.probe_timeout_ns < self.probe_interval_ns:
            raise ConfigError("swim times must rise: 0 < probe_timeout < probe_interval")
        if not 0 < self.rejoin_min_ns <= self.rejoin_max_ns:
            raise ConfigError("swim times must rise: 0 < rejoin_min <= rejoin_max")
        if self.forget_ns < 4 * self.push_pull_interval_ns:
            raise ConfigError(
                "swim.forget must be 4 x push_pull_interval at least, so that all hear of a death"
            )
        for name in ("gossip_interval_ns", "push_pull_interval_ns", "suspicion_mult", "suspicion_max_mult"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"swim.{name} must be above 0")
        for name in ("gossip_nodes", "retransmit_mult", "members_max"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"swim.{name} must be above 0")
        if min(self.indirect_probes, self.awareness_max) < 0:
            raise ConfigError("swim.indirect_probes and swim.awareness_max must not be below 0")
        if not 1_200 <= self.packet_bytes_max <= 65_000:
            raise ConfigError("swim.packet_bytes_max must be from 1200, so that any member fits, to 65000")
