"""The end of a run: what the cluster holds when everything has come to rest.

One rule: what could not be read is None, and then nothing is concluded from it.
"""

from dataclasses import dataclass, field

from haqactor.ids import METADATA_GROUP
from haqactor.machine.versions import FIRST

Place = tuple[str, int, int]
"""Queue, uid (0 where the history names none), sequence."""


@dataclass(slots=True)
class Replica:
    """One replica of a group at the end. ``version``: of its machine; ``counts``: what it acknowledges."""

    term: int
    applied: int
    digest: bytes
    version: int = FIRST
    counts: bool = True


@dataclass(slots=True)
class Group:
    """A group at the end. ``replicas``: those of the core, by host; ``leader``: a host, "" for none."""

    leader: str
    replicas: dict[str, Replica] = field(default_factory=dict[str, Replica])


@dataclass(slots=True)
class Final:
    """``remaining``: what the queues still hold: its place to (``ready``, ``leased``, ``delayed`` or
    ``parked``; its body). ``healed_ns``: the beginning of the liveness phase, None if there was none; from
    then on the hosts of ``core`` and their links work. ``others``: outside of it, and running; they may
    lead, too. ``ended_ns``: when hosts ended last. ``disks``: bytes in use and their bound, by host.
    ``gossiping``: those of the core whose program is a member; ``probe_ns``, ``rejoin_ns``: their protocol
    period, and their longest wait between two attempts to find somebody back. ``known``: the newest version
    of the machine that every node knows; where not all of them are in the core nothing is known of that."""

    now_ns: int = 0
    remaining: dict[Place, tuple[str, bytes | None]] | None = None
    healed_ns: int | None = None
    core: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    ended_ns: dict[str, int] = field(default_factory=dict[str, int])
    election_ns: int = 1_000_000_000
    publish_ns: int = 30_000_000_000
    groups: dict[int, Group] = field(default_factory=dict[int, Group])
    disks: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    gossiping: tuple[str, ...] = ()
    probe_ns: int = 1_000_000_000
    rejoin_ns: int = 30_000_000_000
    known: int = FIRST

    @property
    def level(self) -> bool:
        """Whether every group has a leader in the core, and its replicas are all there, have applied the
        same, count, and go by the version that all know: one of them may have found damage just now, when the
        rest was read (seed 601449 of profile swarm), or still start from a slow disk (seed 704102)."""
        able = (*self.core, *self.others)
        return all(
            end.leader in able
            and len({replica.applied for replica in end.replicas.values()}) <= 1
            and all(replica.counts and replica.version >= self.known for replica in end.replicas.values())
            and (group == METADATA_GROUP or len(end.replicas) == len(self.core))
            for group, end in self.groups.items()
        )
