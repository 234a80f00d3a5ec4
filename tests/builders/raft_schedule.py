"""Adverse schedules for a Raft cluster, driven by numbers, so that Hypothesis can draw and shrink them.

One rule: every number means something at any moment; what is impossible just then is skipped. Damage to
durable bytes never reaches a majority, everything else may.
"""

from collections.abc import Callable

from haqactor.errors import NotLeader, Overloaded
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.config import MILLISECOND_NS, RaftConfig
from haqactor.raft.state import Role
from tests.builders.raft_cluster import Cluster, Replica


class Schedule:
    """One run. ``act`` does one thing; ``finish`` lets everything heal and checks that nothing is lost and
    all goes on."""

    def __init__(self, size: int, seed: int) -> None:
        config = RaftConfig(
            append_bytes_max=150,
            peer_window_bytes=400,
            memory_bytes=200,
            committed_max=3,
            uncommitted_bytes_max=2_000,
        )
        self.cluster = Cluster(size, seed=seed, config=config)
        self.context = 0
        self.asked: dict[
            tuple[NodeId, int], tuple[int, int]
        ] = {}  # (node, context): boot, index known committed
        self.rounds: list[
            tuple[NodeId, int, Term, int, Term]
        ] = []  # node, boot, term, round, leader term then
        self.actions: list[Callable[[int], None]] = [
            *[self._deliver] * 8,
            *[self._flush] * 4,
            *[self._tick] * 3,
            *[self._propose] * 3,
            *[self._settle] * 2,
            self._drop,
            self._repeat,
            self._crash,
            self._tear,
            self._rot,
            self._start,
            self._start,
            self._isolate,
            self._heal,
            self._snapshot,
            self._read,
            self._cover,
            self._transfer,
            self._suspect,
            self._soon,
            self._break,
        ]

    def act(self, kind: int, number: int) -> None:
        """Do one thing, then look."""
        self.actions[kind % len(self.actions)](number)
        self._check_reads()

    def finish(self) -> None:
        """Heal and start everything; then the group must work, and hold all that was ever committed."""
        cluster = self.cluster
        cluster.check_logs()
        cluster.heal()
        for replica in cluster.replicas.values():
            if not replica.up:
                replica.start()
        cluster.run(6_000)
        highest = max(cluster.committed, default=Index(0))
        leader = cluster.leader()
        leader.propose(b"after")
        cluster.run(1_000)
        for replica in cluster.live():
            assert replica.core.applied_index == leader.core.last_index > highest, f"node {replica.node} lags"
            assert not replica.core.suspect
            assert not replica.journal.suspect
        cluster.check_logs()
        self._check_reads()

    # -- what may happen

    def _live(self, number: int) -> Replica | None:
        live = self.cluster.live()
        return live[number % len(live)] if live else None

    def _deliver(self, number: int) -> None:
        if self.cluster.network:
            # mostly the oldest, at times any
            position = 0 if number % 3 else (number // 3) % len(self.cluster.network)
            self.cluster.deliver(position)

    def _flush(self, number: int) -> None:
        replica = self._live(number)
        if replica is not None:
            replica.flush(None if number % 2 else 1)

    def _tick(self, number: int) -> None:
        self.cluster.tick((number % 400) * MILLISECOND_NS)

    def _propose(self, number: int) -> None:
        for replica in self.cluster.live():
            if replica.core.role is Role.LEADER:
                try:
                    replica.propose(bytes([number % 251]) * (number % 90))
                except (NotLeader, Overloaded):
                    pass

    def _settle(self, number: int) -> None:
        self.cluster.run(100 * (number % 8))

    def _drop(self, number: int) -> None:
        if self.cluster.network:
            self.cluster.network.pop(number % len(self.cluster.network))

    def _repeat(self, number: int) -> None:
        if self.cluster.network:
            envelope = self.cluster.network[number % len(self.cluster.network)]
            self.cluster.send(*envelope)

    def _crash(self, number: int) -> None:
        replica = self._live(number)
        if replica is not None:
            replica.crash()

    def _tear(self, number: int) -> None:
        replica = self._live(number)
        if replica is not None:
            replica.crash(torn=True)

    def _rot(self, number: int) -> None:
        replica = self._live(number)
        others = [r for r in self.cluster.replicas.values() if r.rotted and r is not replica]
        if replica is not None and len(others) + 1 <= (len(self.cluster.replicas) - 1) // 2:
            replica.crash(rotted=True)

    def _start(self, number: int) -> None:
        down = [replica for replica in self.cluster.replicas.values() if not replica.up]
        if down:
            down[number % len(down)].start()

    def _isolate(self, number: int) -> None:
        self.cluster.isolate(number % len(self.cluster.replicas))

    def _heal(self, number: int) -> None:
        self.cluster.heal()

    def _snapshot(self, number: int) -> None:
        replica = self._live(number)
        if replica is not None and replica.core.applied_index > 0:
            replica.snapshot()

    def _read(self, number: int) -> None:
        known = self._known()
        for replica in self.cluster.live():
            if replica.core.role is Role.LEADER:
                self.context += 1
                self.asked[replica.node, self.context] = (replica.boot, known)
                replica.core.request_read(self.context, self.cluster.now_ns)
                replica.turn()

    def _cover(self, number: int) -> None:
        highest = max((term for term, _ in self.cluster.committed.values()), default=Term(0))
        for replica in self.cluster.live():
            if replica.core.role is Role.LEADER:
                covering = replica.core.cover(self.cluster.now_ns)
                self.rounds.append((replica.node, replica.boot, replica.core.term, covering, highest))

    def _transfer(self, number: int) -> None:
        for replica in self.cluster.live():
            progress = {peer.node: peer for peer in replica.core.statistics().peers}
            target = NodeId(number % len(self.cluster.replicas))
            if replica.core.role is Role.LEADER and target in progress and not progress[target].suspect:
                replica.core.transfer(target, self.cluster.now_ns)
                replica.turn()

    def _suspect(self, number: int) -> None:
        replica = self._live(number)
        if replica is not None:
            replica.core.suspect_leader(self.cluster.now_ns)
            replica.turn()

    def _soon(self, number: int) -> None:
        for replica in self.cluster.live():
            replica.core.campaign_soon(self.cluster.now_ns)

    def _break(self, number: int) -> None:
        """A connection breaks: what is under way on it is lost, both ends know."""
        a = NodeId(number % len(self.cluster.replicas))
        b = NodeId((number // 7) % len(self.cluster.replicas))
        kept = [e for e in self.cluster.network if {e.sender, e.to} != {a, b}]
        self.cluster.network[:] = kept
        for one, other in ((a, b), (b, a)):
            if self.cluster.replicas[one].up:
                self.cluster.replicas[one].core.unreachable(other)
                self.cluster.replicas[one].turn()

    # -- what must hold

    def _known(self) -> int:
        """What anybody knows to be committed now."""
        commits = [replica.core.commit for replica in self.cluster.live()]
        return max([*self.cluster.committed, *commits], default=0)

    def _check_reads(self) -> None:
        for replica in self.cluster.live():
            for read in replica.reads:
                boot, known = self.asked.pop((replica.node, read.context))
                assert boot == replica.boot
                assert read.index >= known, f"a read at {read.index} misses what was committed at {known}"
            replica.reads.clear()
        open_rounds: list[tuple[NodeId, int, Term, int, Term]] = []
        for node, boot, term, covering, highest in self.rounds:
            replica = self.cluster.replicas[node]
            if not replica.up or replica.boot != boot or replica.core.term != term:
                continue
            if replica.core.role is Role.LEADER and replica.core.covered >= covering:
                assert highest <= term, (
                    f"a round of term {term} is covered, but {highest} had committed before it"
                )
            else:
                open_rounds.append((node, boot, term, covering, highest))
        self.rounds = open_rounds
