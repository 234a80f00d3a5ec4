"""What a core has counted since it began.

One rule: counters only rise; ``health`` and ``members`` are of now.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SwimStatistics:
    """``bad``: packets that were damaged or broke the protocol; ``foreign``: of another cluster; ``refused``:
    members for whom the table had no room. ``suspicions``, ``deaths``: begun and declared by this node
    itself."""

    packets_in: int
    packets_out: int
    bad: int
    foreign: int
    refused: int
    refutations: int
    suspicions: int
    deaths: int
    probes_failed: int
    exchanges_failed: int
    rejoins: int
    stalls: int
    health: int
    members: int


class Counts:
    """The same while it is counted."""

    __slots__ = (
        "bad",
        "deaths",
        "exchanges_failed",
        "foreign",
        "packets_in",
        "packets_out",
        "probes_failed",
        "refused",
        "refutations",
        "rejoins",
        "stalls",
        "suspicions",
    )

    def __init__(self) -> None:
        self.packets_in = self.packets_out = self.bad = self.foreign = self.refused = 0
        self.refutations = self.suspicions = self.deaths = self.probes_failed = 0
        self.exchanges_failed = self.rejoins = self.stalls = 0

    def statistics(self, *, health: int, members: int) -> SwimStatistics:
        """A picture of now."""
        return SwimStatistics(
            packets_in=self.packets_in,
            packets_out=self.packets_out,
            bad=self.bad,
            foreign=self.foreign,
            refused=self.refused,
            refutations=self.refutations,
            suspicions=self.suspicions,
            deaths=self.deaths,
            probes_failed=self.probes_failed,
            exchanges_failed=self.exchanges_failed,
            rejoins=self.rejoins,
            stalls=self.stalls,
            health=health,
            members=members,
        )
