"""A group of Raft cores over simulated journals and a network that does what a test wants.

One rule: nothing is durable before ``flush``, and nothing arrives before it is delivered; a crash keeps only
what is durable.
"""

import random
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from haqactor.entry import Entry, Kind
from haqactor.env import NullProbe
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft.config import MILLISECOND_NS, RaftConfig
from haqactor.raft.core import RaftCore
from haqactor.raft.heartbeat import Beat, BeatAnswer, Heartbeats
from haqactor.raft.membership import decode
from haqactor.raft.messages import AppendReply, InstallSnapshot, Message, Vote
from haqactor.raft.ready import HardState, Read, Ready, SnapshotMeta
from haqactor.raft.state import Role

GROUP = GroupId(3)
Payload = Message | Beat | BeatAnswer
Applied = tuple[Term, int]  # an entry's term and checksum
FOUNDING = SnapshotMeta(Index(0), Term(0), ())


class Chance:
    """``env.Random`` over a seeded generator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def below(self, bound: int) -> int:
        return self._random.randrange(bound)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)


class Envelope(NamedTuple):
    """A message on its way."""

    sender: NodeId
    to: NodeId
    payload: Payload


class Block(NamedTuple):
    """What one write brings to the disk. ``snapshot``: its meta and the state there."""

    entries: tuple[Entry, ...] = ()
    hard_state: HardState | None = None
    snapshot: tuple[SnapshotMeta, tuple[Applied, ...]] | None = None
    cured: bool = False


class Journal:
    """Durable blocks, and the log that they add up to. ``suspect`` is a mark outside the blocks."""

    def __init__(self, voters: tuple[NodeId, ...]) -> None:
        self.blocks: list[Block] = []
        self.suspect = False
        self.voters = voters
        self.replay()

    def replay(self) -> None:
        """Read everything from the beginning, as a start does."""
        self.hard_state = HardState()
        self.snapshot = SnapshotMeta(Index(0), Term(0), self.voters)
        self.state: tuple[Applied, ...] = ()
        self.entries: list[Entry] = []
        for block in self.blocks:
            self._take(block)

    def write(self, block: Block) -> None:
        """The block is durable."""
        self.blocks.append(block)
        self._take(block)
        if block.cured:
            self.suspect = False

    def _take(self, block: Block) -> None:
        self.hard_state = block.hard_state or self.hard_state
        if block.snapshot is not None:
            meta, self.state = block.snapshot
            matching = self.at(meta.index)
            kept = [e for e in self.entries if e.index > meta.index]
            self.entries = kept if matching is not None and matching.term == meta.term else []
            self.snapshot = meta
        if block.entries:
            first = block.entries[0].index
            del self.entries[max(first - self.snapshot.index - 1, 0) :]
            self.entries.extend(block.entries)
            assert [e.index for e in self.entries] == list(
                range(self.snapshot.index + 1, self.snapshot.index + 1 + len(self.entries))
            )

    def at(self, index: int) -> Entry | None:
        """The entry at ``index``, where it is held."""
        position = index - self.snapshot.index - 1
        return self.entries[position] if 0 <= position < len(self.entries) else None

    def runs(self) -> list[tuple[Index, Term]]:
        """Term runs above the snapshot."""
        found: list[tuple[Index, Term]] = []
        for entry in self.entries:
            if not found or found[-1][1] != entry.term:
                found.append((entry.index, entry.term))
        return found


class Write(NamedTuple):
    """A block on its way to the disk, and what waits for it."""

    block: Block
    after: list[tuple[NodeId, Payload]]
    installed: SnapshotMeta | None = None


class Replica:
    """A node as far as Raft is concerned: journal, core, applied state and a plain shell around them."""

    def __init__(self, cluster: "Cluster", node: NodeId, voters: tuple[NodeId, ...]) -> None:
        self.cluster = cluster
        self.node = node
        self.journal = Journal(voters)
        self.boot = 0
        self.up = False
        self.rotted = False  # durable bytes were lost, and it is not cured yet
        self.readies: list[Ready] = []
        self.start()

    def start(self) -> None:
        """Start, or start again, from what is durable."""
        self.boot += 1
        self.up = True
        journal = self.journal
        journal.replay()
        self.writes: deque[Write] = deque()
        self.applied: list[Applied] = list(journal.state)
        self.reads: list[Read] = []
        self.reads_failed: list[int] = []
        self.dropped_from: list[Index] = []
        self.core = RaftCore(
            GROUP,
            self.node,
            self.cluster.config,
            hard_state=journal.hard_state,
            snapshot=journal.snapshot,
            runs=journal.runs(),
            last_index=Index(journal.snapshot.index + len(journal.entries)),
            boot=self.boot,
            suspect=journal.suspect,
            configs=[
                (e.index, decode(bytes(e.header)).voters, decode(bytes(e.header)).learners)
                for e in journal.entries
                if e.kind is Kind.CONFIG
            ],
            random=self.cluster.chance,
            probe=NullProbe(),
            now_ns=self.cluster.now_ns,
        )
        self.beats = Heartbeats(self.boot)
        self.counted = self.core.commit
        self.turn()

    def crash(self, *, torn: bool = False, rotted: bool = False) -> None:
        """Stop without goodbye. ``torn``: the last block is bad, nothing durable is lost. ``rotted``: it was
        durable."""
        self.up = False
        self.writes.clear()
        if rotted and self.journal.blocks:
            self.journal.blocks.pop()
            self.rotted = True
        if torn or rotted:
            self.journal.suspect = True

    # -- the shell's turn

    def turn(self) -> None:
        """Perform Readies until there are none, as ``haqactor.raft.ready`` demands."""
        while self.core.has_ready():
            ready = self.core.ready()
            self.readies.append(ready)
            self._persist(ready)
            for to, message in ready.messages_now:
                self.cluster.send(self.node, to, message)
            for peer, offer in ready.installs:
                self.cluster.send(self.node, peer, offer)
            if ready.committed is not None:
                self._apply(*ready.committed)
            self.reads.extend(ready.reads)
            self.reads_failed.extend(ready.reads_failed)
            if ready.dropped_from is not None:
                self.dropped_from.append(ready.dropped_from)
            for fetch in ready.fetches:
                self._fetch(fetch.peer, fetch.first, fetch.last)
        self.cluster.check_leader(self)

    def _persist(self, ready: Ready) -> None:
        after = list(ready.messages_after)
        if ready.entries or ready.hard_state is not None or ready.cured:
            block = Block(ready.entries, ready.hard_state, None, ready.cured)
            self.writes.append(Write(block, list(after)))
        elif self.writes:
            self.writes[-1].after.extend(after)
        else:
            for to, message in after:
                self.cluster.send(self.node, to, message)

    def entry(self, index: int) -> Entry:
        """From memory, from what is being written, or from disk."""
        held = self.core.entries(Index(index), Index(index))
        found = held[0] if held else self.journal.at(index)
        assert found is not None
        assert found.index == index
        return found

    def _apply(self, first: Index, last: Index) -> None:
        assert first == len(self.applied) + 1
        for index in range(first, last + 1):
            durable = self.journal.at(index)
            entry = self.entry(index)
            assert durable is None or (durable.term, durable.crc) == (entry.term, entry.crc)
            self.applied.append((entry.term, entry.crc))
            self.cluster.check_committed(self, entry)
        self.core.applied(last)

    def _fetch(self, peer: NodeId, first: Index, last: Index) -> None:
        found: list[Entry] = []
        for index in range(first, min(last, first + 3) + 1):
            entry = self.journal.at(index)
            if entry is None:
                break
            found.append(entry)
        self.core.fetched(peer, first, found)

    def flush(self, count: int | None = None) -> None:
        """The oldest ``count`` writes, or all, become durable."""
        while self.writes and (count is None or count > 0):
            block, after, installed = self.writes.popleft()
            self.journal.write(block)
            self.rotted = self.rotted and self.journal.suspect
            if installed is not None:
                self._installed(installed)
            if block.hard_state is not None:
                self.core.hard_state_durable(block.hard_state)
            if block.entries:
                last = block.entries[-1]
                self.core.durable(last.term, last.index, self.cluster.now_ns)
            for to, message in after:
                self.cluster.send(self.node, to, message)
            self.turn()
            count = None if count is None else count - 1

    def _installed(self, meta: SnapshotMeta) -> None:
        if self.core.snapshot_installed(meta, self.cluster.now_ns):
            self.applied = list(self.journal.state)
        self.turn()

    def snapshot(self, index: int | None = None) -> None:
        """Take a durable snapshot of what is applied, and compact the log."""
        index = self.core.applied_index if index is None else index
        term = self.core.term_at(Index(index))
        assert term is not None
        configuration = self.core.configuration
        meta = SnapshotMeta(Index(index), term, configuration.voters, configuration.learners)
        if index <= self.journal.snapshot.index or self.journal.at(index) is None:
            return
        self.journal.write(Block(snapshot=(meta, tuple(self.applied[:index]))))
        self.core.compacted(meta)
        self.turn()

    def receive(self, envelope: Envelope) -> None:
        """One message from the network."""
        sender, _, payload = envelope
        now_ns = self.cluster.now_ns
        if isinstance(payload, Beat):
            rows = self.beats.on_beat(sender, Beat.from_tuple(payload.to_tuple()))
            if rows is not None:
                for row in rows:
                    self.core.beat(sender, row, now_ns)
                answers = [self.core.answer_row()] if rows else []
                self.cluster.send(self.node, sender, self.beats.answer(sender, answers))
        elif isinstance(payload, BeatAnswer):
            for answer in self.beats.on_answer(sender, BeatAnswer.from_tuple(payload.to_tuple())):
                self.core.beat_answer(sender, answer, now_ns)
        else:
            self.core.step(sender, payload, now_ns)
            if isinstance(payload, InstallSnapshot) and self.core.accepts_snapshot(payload):
                self._receive_snapshot(sender, payload)
        self.turn()

    def _receive_snapshot(self, sender: NodeId, offer: InstallSnapshot) -> None:
        source = self.cluster.replicas[sender]
        complete = source.up and source.core.applied_index >= offer.index
        if complete:
            meta = SnapshotMeta(offer.index, offer.index_term, offer.voters, offer.learners)
            state = tuple(source.applied[: offer.index])
            self.writes.append(Write(Block(snapshot=(meta, state)), [], meta))
        source.core.install_sent(self.node, complete)

    def send_beats(self) -> None:
        """A node's beat to every other node."""
        for peer in self.cluster.replicas:
            if peer != self.node:
                row = self.core.row()
                self.cluster.send(self.node, peer, self.beats.beat(peer, [row] if row else []))

    def propose(self, body: bytes = b"x") -> Entry:
        """Propose one command."""
        entry = self.core.propose(Kind.COMMAND, b"", body, self.cluster.now_ns)
        self.turn()
        return entry


class Cluster:
    """Replicas of one group, a network and a clock. Checks election safety and state machine safety all the
    time."""

    def __init__(self, size: int = 3, *, seed: int = 1, config: RaftConfig | None = None) -> None:
        self.config = config or RaftConfig()
        self.chance = Chance(seed)
        self.now_ns = 0
        self.network: list[Envelope] = []
        self.cut: dict[tuple[NodeId, NodeId], bool] = {}
        self.leaders: dict[Term, NodeId] = {}
        self.committed: dict[Index, Applied] = {}
        self._next_beat_ns = 0
        voters = tuple(NodeId(node) for node in range(size))
        self.replicas: dict[NodeId, Replica] = {}
        for node in voters:
            self.replicas[node] = Replica(self, node, voters)

    def __getitem__(self, node: int) -> Replica:
        return self.replicas[NodeId(node)]

    # -- invariants

    def check_leader(self, replica: Replica) -> None:
        """Election safety (section 5.2): at most one leader a term."""
        core = replica.core
        if core.role is Role.LEADER:
            if core.commit > replica.counted:
                self.check_counted(replica)
            known = self.leaders.setdefault(core.term, replica.node)
            assert known == replica.node, f"term {core.term} has leaders {known} and {replica.node}"
        replica.counted = core.commit

    def check_counted(self, leader: Replica) -> None:
        """The commit rule (section 5.4.2): an entry of the leader's term, durable on a majority."""
        index, term = leader.core.commit, leader.core.term
        assert leader.core.term_at(index) == term
        copies = 0
        for replica in self.replicas.values():
            entry = replica.journal.at(index)
            held = replica.journal.snapshot.index >= index or (entry is not None and entry.term == term)
            copies += held or replica.rotted
        assert copies > len(self.replicas) // 2, f"{index} of term {term} is committed with {copies} copies"

    def check_promise(self, sender: NodeId, payload: Payload) -> None:
        """Durability order (R1): what a reply claims is on its sender's disk."""
        journal = self.replicas[sender].journal
        if isinstance(payload, Vote) and payload.granted and not payload.pre:
            assert journal.hard_state.term >= payload.term
        elif isinstance(payload, AppendReply):
            assert journal.hard_state.term >= payload.term
            assert not payload.accepted or journal.snapshot.index + len(journal.entries) >= payload.matched

    def check_committed(self, replica: Replica, entry: Entry) -> None:
        """State machine safety (section 5.4.3): the same entry at the same index everywhere."""
        known = self.committed.setdefault(entry.index, (entry.term, entry.crc))
        assert known == (entry.term, entry.crc), f"node {replica.node} applies another entry at {entry.index}"

    def check_logs(self) -> None:
        """Log matching (section 5.3): the same index and term, the same entries up to there."""
        seen: dict[tuple[Index, Term], tuple[int, Term | None]] = {}
        for replica in self.replicas.values():
            journal = replica.journal
            before: Term | None = journal.snapshot.term
            for entry in journal.entries:
                known = seen.setdefault((entry.index, entry.term), (entry.crc, before))
                assert known == (entry.crc, before), f"logs disagree at {entry.index} of term {entry.term}"
                before = entry.term

    # -- the network and the clock

    def send(self, sender: NodeId, to: NodeId, payload: Payload) -> None:
        """Hand a message to the network."""
        self.check_promise(sender, payload)
        if not self.cut.get((sender, to), False):
            self.network.append(Envelope(sender, to, payload))

    def deliver(self, position: int = 0) -> None:
        """One message arrives."""
        envelope = self.network.pop(position)
        replica = self.replicas[envelope.to]
        if replica.up and not self.cut.get((envelope.sender, envelope.to), False):
            replica.receive(envelope)

    def settle(self, rounds: int = 10_000) -> None:
        """Deliver and flush until nothing moves."""
        while rounds:
            rounds -= 1
            if self.network:
                self.deliver()
            elif not any(replica.writes for replica in self.live()):
                return
            for replica in self.live():
                replica.flush()
        raise AssertionError("messages never end")

    def live(self) -> list[Replica]:
        """The replicas that run."""
        return [replica for replica in self.replicas.values() if replica.up]

    def tick(self, duration_ns: int) -> None:
        """Time goes on, in one step; nothing is delivered."""
        self.now_ns += duration_ns
        for replica in self.live():
            if replica.core.next_deadline_ns <= self.now_ns:
                replica.core.tick(self.now_ns)
                replica.turn()
        if self.now_ns >= self._next_beat_ns:
            self._next_beat_ns = self.now_ns + self.config.heartbeat_ns
            for replica in self.live():
                replica.send_beats()

    def run(self, duration_ms: int, step_ms: int = 10) -> None:
        """A calm time: everything is delivered and written at once."""
        for _ in range(0, duration_ms, step_ms):
            self.tick(step_ms * MILLISECOND_NS)
            self.settle()

    def isolate(self, *nodes: int) -> None:
        """Cut these nodes off from the others, and only so."""
        inside = {NodeId(node): True for node in nodes}
        self.cut = {
            (a, b): True for a in self.replicas for b in self.replicas if inside.get(a) != inside.get(b)
        }

    def heal(self) -> None:
        """The network is whole."""
        self.cut = {}

    # -- common steps

    def elect(self, node: int) -> Replica:
        """Let ``node`` campaign now, and win."""
        replica = self[node]
        for each in self.live():
            each.core.suspect_leader(self.now_ns)
        self.now_ns = max(self.now_ns, replica.core.next_deadline_ns)
        replica.core.tick(self.now_ns)
        replica.turn()
        self.settle()
        assert replica.core.role is Role.LEADER, f"node {node} did not win"
        return replica

    def leader(self) -> Replica:
        """The leader of the highest term."""
        leading = [replica for replica in self.live() if replica.core.role is Role.LEADER]
        assert leading, "nobody leads"
        return max(leading, key=lambda replica: replica.core.term)

    def logs(self) -> Sequence[list[Term]]:
        """The terms in each durable log."""
        return [[entry.term for entry in replica.journal.entries] for replica in self.replicas.values()]
