"""What the actors of one node share: the environment, the settings, and each other's addresses.

One rule: actors meet only here; what is in here is either immutable or has one owner.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from structlog.typing import FilteringBoundLogger

from haqactor.config import Limits, NodeConfig
from haqactor.env import Environment
from haqactor.ids import GroupId, NodeId
from haqactor.journal.identity import Identity
from haqactor.machine.versions import KNOWN, Versions
from haqactor.nodes.admission import Admission
from haqactor.nodes.leaders import Leaders
from haqactor.nodes.outbox import Departures
from haqactor.nodes.pacing import Pace
from haqactor.nodes.timers import Timers

if TYPE_CHECKING:
    from haqactor.journal.journal import Journal
    from haqactor.journal.tail import TailCache
    from haqactor.nodes.group import GroupActor
    from haqactor.nodes.peers import PeerLink


_DESCRIPTORS_RESERVED: Final = 64
_DESCRIPTORS_OF_GROUP: Final = 20
PEEKS_AT_ONCE: Final = 4
"""Of one node: each holds a few MiB."""
PEEKS_WAITING_MAX: Final = 256


def _nobody() -> None:
    """No beats yet."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One node's shared ground. ``beat_now`` asks for a heartbeat at once. ``versions``: of the machine,
    those that this node's release knows. ``pace``: of whatever others, or it, have missed. ``first_boot``: of
    this program; 0: the present one is."""

    env: Environment
    config: NodeConfig
    log: FilteringBoundLogger
    journal: "Journal"
    tail: "TailCache"
    leaders: Leaders
    timers: Timers
    pace: Pace
    peeks: Admission = field(default_factory=lambda: Admission(PEEKS_AT_ONCE, PEEKS_WAITING_MAX))
    departures: Departures = field(default_factory=Departures)
    beat_now: Callable[[], None] = _nobody
    versions: Versions = KNOWN
    first_boot: int = 0
    groups: "dict[GroupId, GroupActor]" = field(default_factory=dict)
    peers: "dict[NodeId, PeerLink]" = field(default_factory=dict)
    gauges: dict[str, int] = field(default_factory=dict)
    walls: dict[NodeId, tuple[int, int]] = field(default_factory=dict)
    """Of each peer: its wall clock as heard, and our monotonic clock then."""

    @property
    def identity(self) -> Identity:
        """Who this node's directory is."""
        return self.journal.identity

    @property
    def boot(self) -> int:
        """This start's epoch."""
        return self.journal.boot

    @property
    def boots(self) -> range:
        """The epochs of this program: a node opens its directory again where it repairs it."""
        return range(self.first_boot or self.boot, self.boot + 1)

    @property
    def node(self) -> NodeId:
        """This node's id."""
        node = self.journal.identity.node_id
        return NodeId(-1 if node is None else node)

    @property
    def limits(self) -> Limits:
        """The bounds in force."""
        return self.config.limits

    @property
    def descriptors_reserved(self) -> int:
        """Those that no client's connection may have: the journal's files and the peers need them."""
        return _DESCRIPTORS_RESERVED + _DESCRIPTORS_OF_GROUP * self.config.groups

    def now(self) -> int:
        """The monotonic clock, nanoseconds."""
        return self.env.clock.monotonic_ns()

    def count(self, name: str, by: int = 1) -> None:
        """Add to a gauge that ``status`` shows."""
        self.gauges[name] = self.gauges.get(name, 0) + by

    def status_rows(self) -> list[dict[str, Any]]:
        """One map a group, by group."""
        return [self.groups[group].status() for group in sorted(self.groups)]
