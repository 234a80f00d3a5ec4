"""Everything that one replica of one group knows, and the boxes in which its turn's work collects.

One rule: roles are functions over this state (``follower``, ``candidate``, ``leader``); only this module
touches the boxes.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum

from haqactor.env import Probe, Random
from haqactor.ids import NO_NODE, GroupId, Index, NodeId, Term
from haqactor.raft.config import RaftConfig
from haqactor.raft.log import Log
from haqactor.raft.membership import Configuration, Configurations
from haqactor.raft.messages import Append, InstallSnapshot, Message
from haqactor.raft.progress import Progress
from haqactor.raft.readindex import ReadIndex
from haqactor.raft.ready import Fetch, HardState
from haqactor.raft.recovery import Recovery

NEVER_NS = -(1 << 62)
NO_DEADLINE_NS = 1 << 62


class Role(Enum):
    """What a replica is in its term."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre_candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Cure:
    """A leader's duty to a suspect: a round in which it does not count, then word of ``index``."""

    __slots__ = ("boot", "index", "round", "told")

    def __init__(self, boot: int, round_number: int, index: Index) -> None:
        self.boot = boot
        self.round = round_number
        self.index = index
        self.told = False


class RaftState:
    """The replica. Times are the shell's monotonic nanoseconds; ``now_ns`` is the latest that it handed
    in."""

    __slots__ = (
        "_wait_span_ns",
        "ack_context",
        "ack_due",
        "ack_sent",
        "after",
        "applied",
        "boot",
        "check_ns",
        "commit",
        "config",
        "configurations",
        "cured",
        "cures",
        "deadline_ns",
        "dropped_from",
        "eager",
        "fetches",
        "group",
        "handed",
        "hard",
        "hard_changed",
        "heard_context",
        "hello_ns",
        "hello_seen_ns",
        "installs",
        "leader",
        "leader_seen_ns",
        "log",
        "matched",
        "node",
        "noop_index",
        "now",
        "now_ns",
        "peer_boots",
        "peer_suspects",
        "probe",
        "progress",
        "random",
        "reads",
        "recovery",
        "role",
        "role_changed",
        "sending",
        "shared",
        "suspicion_rank",
        "suspicion_tries",
        "term_start",
        "transfer_ns",
        "transferee",
        "unapplied",
        "unapplied_bytes",
        "votes",
    )  # fmt: skip

    def __init__(
        self,
        group: GroupId,
        node: NodeId,
        config: RaftConfig,
        *,
        hard_state: HardState,
        log: Log,
        configurations: Configurations,
        boot: int,
        suspect: bool,
        damaged: bool,
        random: Random,
        probe: Probe,
        now_ns: int,
    ) -> None:
        self.group = group
        self.node = node
        self.config = config
        self.random = random
        self.probe = probe
        self.boot = boot
        self.now_ns = now_ns
        fixed = probe.bug("raft.fixed_election_wait")
        self._wait_span_ns = 0 if fixed else config.election_max_ns - config.election_min_ns
        # what survives a crash
        self.hard = hard_state
        self.log = log
        self.configurations = configurations
        self.commit = self.handed = self.applied = log.snapshot.index
        self.recovery = Recovery(suspect and not probe.bug("raft.suspect_counts"), damaged)
        # as anybody
        self.role = Role.FOLLOWER
        self.leader = NO_NODE
        self.leader_seen_ns = NEVER_NS
        self.deadline_ns = NO_DEADLINE_NS
        self.hello_ns = now_ns if suspect else NO_DEADLINE_NS
        self.peer_boots: dict[NodeId, int] = {}
        self.peer_suspects: dict[NodeId, int] = {}  # node: the boot in which it is a suspect
        self.hello_seen_ns: dict[NodeId, int] = {}
        # as a follower, in this term
        self.matched = Index(0)  # the log agrees with the leader's up to here
        self.noop_index = Index(0)
        self.heard_context = 0
        self.ack_due = False
        self.ack_sent = Index(0)
        self.ack_context = 0
        self.suspicion_rank, self.suspicion_tries = -1, 0
        self.eager = False
        # as a candidate
        self.votes: dict[NodeId, bool] = {}
        # as a leader
        self.progress: dict[NodeId, Progress] = {}
        self.reads = ReadIndex()
        self.term_start = Index(0)  # the no-op's index
        self.unapplied: deque[tuple[Index, int]] = deque()
        self.unapplied_bytes = 0
        self.check_ns = NO_DEADLINE_NS
        self.cures: dict[NodeId, Cure] = {}
        self.transferee, self.transfer_ns, self.sending = NO_NODE, NO_DEADLINE_NS, False
        self.shared: Append | None = None  # the last Append built in this turn
        # the turn's work
        self.hard_changed = False
        self.now: list[tuple[NodeId, Message]] = []
        self.after: list[tuple[NodeId, Message]] = []
        self.fetches: list[Fetch] = []
        self.installs: list[tuple[NodeId, InstallSnapshot]] = []
        self.dropped_from: Index | None = None
        self.role_changed = False
        self.cured = False

    # -- who

    @property
    def term(self) -> Term:
        """The present term."""
        return self.hard.term

    @property
    def configuration(self) -> Configuration:
        """The one in effect."""
        return self.configurations.current

    @property
    def is_voter(self) -> bool:
        """Does this replica decide?"""
        return self.node in self.configuration.deciders()

    def others(self) -> tuple[NodeId, ...]:
        """The other voters."""
        return tuple(node for node in self.configuration.deciders() if node != self.node)

    def ranked(self, voters: Sequence[NodeId]) -> list[NodeId]:
        """Voters in the group's own order: rotated by the group's number, so that groups spread evenly (the
        order of a checksum over group and node does not: it gave one of three nodes half of the groups)."""
        ordered = sorted(voters)
        turn = self.group % len(ordered)
        return ordered[turn:] + ordered[:turn]

    # -- hard state

    def set_hard(self, term: Term, vote: NodeId) -> None:
        """Enter a term, or vote in it. What belongs to the old term goes."""
        if term > self.hard.term:
            self.matched = self.noop_index = self.ack_sent = Index(0)
            self.heard_context = self.ack_context = 0
            self.ack_due = False
            self.role_changed = True
        self.hard = HardState(term, vote)
        self.hard_changed = True

    # -- waiting

    def draw_deadline(self) -> None:
        """A new election wait, drawn anew each time (section 5.2)."""
        low, span = self.config.election_min_ns, self._wait_span_ns
        self.deadline_ns = self.now_ns + low + self.random.below(span + 1)

    def leader_is_live(self) -> bool:
        """Was a leader heard so recently that votes are refused (section 6; R9, R10)?"""
        if self.role is Role.LEADER:
            return True
        return self.leader != NO_NODE and self.now_ns - self.leader_seen_ns < self.config.election_min_ns

    def write_age_ns(self, now_ns: int) -> int:
        """How long the oldest write has been under way; 0: none is."""
        since = self.log.oldest_write_ns()
        return 0 if since is None else now_ns - since

    def disk_is_slow(self) -> bool:
        """Has a write been under way for too long (R18)?"""
        return self.write_age_ns(self.now_ns) > self.config.disk_slow_ns

    def set_role(self, role: Role, leader: NodeId) -> None:
        """Change role or leader; the shell is told where it is a change."""
        if role is not self.role or leader != self.leader:
            self.role = role
            self.leader = leader
            self.role_changed = True

    # -- sending

    def send_now(self, to: NodeId, message: Message) -> None:
        """A message that promises nothing still unwritten."""
        self.now.append((to, message))

    def send_after(self, to: NodeId, message: Message) -> None:
        """A message that may leave only when this turn's entries and hard state are durable."""
        self.after.append((to, message))
