"""A replica's log disk: what is durable, and what is on its way there.

One rule: a write is durable when its sync ends, all that waited then with it, in order; a crash keeps a
prefix of the rest that nobody chose.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from haqactor.entry import Entry, Kind
from haqactor.ids import Index, NodeId, Term
from haqactor.raft.membership import decode
from haqactor.raft.ready import HardState, SnapshotMeta
from haqactor.sim.cores.heap import Timeline
from haqactor.sim.keyed import Stream


class Block(NamedTuple):
    """One write. ``snapshot``: its meta and chunks, and whether it came from a leader. ``cured``: the suspect
    mark goes. ``done``: called once it is durable."""

    entries: tuple[Entry, ...] = ()
    hard_state: HardState | None = None
    snapshot: tuple[SnapshotMeta, tuple[bytes, ...], bool] | None = None
    cured: bool = False
    done: Callable[[], None] | None = None


class LogDisk:
    """``hard_state``, ``meta`` and ``chunks`` (of the snapshot), ``entries`` (above it), ``suspect``: what is
    durable. ``tail``: the durable blocks of the newest sync, which damage may take away."""

    def __init__(self, voters: tuple[NodeId, ...], timeline: Timeline, sync_ns: int, random: Stream) -> None:
        self._timeline = timeline
        self._random = random
        self._incarnation = 0
        self.sync_ns = sync_ns
        self.stall_ns = 0
        self.constant = False
        self.hard_state = HardState()
        self.meta = SnapshotMeta(Index(0), Term(0), voters)
        self.chunks: tuple[bytes, ...] = ()
        self.entries: list[Entry] = []
        self.suspect = False
        self.pending: list[Block] = []
        self._syncing = 0
        self.syncs = 0
        self._undo: tuple[HardState, list[tuple[int, list[Entry]]]] | None = None
        self.on_durable: Callable[[Sequence[Block]], None] = lambda _blocks: None

    @property
    def last_index(self) -> int:
        """The end of the durable log."""
        return self.meta.index + len(self.entries)

    def at(self, index: int) -> Entry | None:
        """The durable entry there; None below the snapshot's end and beyond the log's."""
        place = index - self.meta.index - 1
        return self.entries[place] if 0 <= place < len(self.entries) else None

    def read(self, first: int, last: int, bytes_max: int) -> list[Entry]:
        """Durable entries from ``first`` on; one at least, if it is there."""
        found: list[Entry] = []
        size = 0
        for index in range(first, last + 1):
            entry = self.at(index)
            if entry is None or (found and size + entry.size > bytes_max):
                break
            found.append(entry)
            size += entry.size
        return found

    def submit(self, block: Block) -> None:
        """Begin to write it."""
        self.pending.append(block)
        if not self._syncing:
            self._sync()

    def _sync(self) -> None:
        self._syncing = len(self.pending)
        wait = self.sync_ns if self.constant else int(self.sync_ns * (0.5 + self._random.random()))
        self._timeline.after(wait + self.stall_ns, self._synced, self._incarnation)

    def _synced(self, incarnation: int) -> None:
        if incarnation != self._incarnation:
            return
        self.syncs += 1
        done = self.pending[: self._syncing]
        del self.pending[: self._syncing]
        self._undo = (self.hard_state, []) if done[0].snapshot is None else None
        for block in done:
            self._take(block)
        self._syncing = 0
        if self.pending:
            self._sync()
        self.on_durable(done)

    def _take(self, block: Block) -> None:
        if block.hard_state is not None:
            self.hard_state = block.hard_state
        if block.cured:
            self.suspect = False
        if block.snapshot is not None:
            self._compact(*block.snapshot)
        if block.entries:
            place = block.entries[0].index - self.meta.index - 1
            if place < 0:  # behind a snapshot that came in meanwhile
                return
            if self._undo is not None:
                self._undo[1].append((place, self.entries[place:]))
            self.entries[place:] = block.entries

    def _compact(self, meta: SnapshotMeta, chunks: tuple[bytes, ...], installed: bool) -> None:
        if meta.index <= self.meta.index:
            return
        matching = self.at(meta.index)
        if matching is not None and matching.term == meta.term:
            del self.entries[: meta.index - self.meta.index]
        elif installed:
            self.entries.clear()
        else:
            return
        self.meta, self.chunks = meta, chunks
        self._undo = None

    def crash(self, *, torn: bool) -> None:
        """What was not synced is lost, but for a prefix. ``torn``: the first lost one stands there in
        pieces."""
        self._incarnation += 1
        self._syncing = 0
        kept = self._random.randrange(len(self.pending) + 1)
        if torn and kept < len(self.pending):
            self.suspect = True
        for block in self.pending[:kept]:
            self._take(block)
            self._undo = None
        self.pending.clear()

    def rot(self) -> bool:
        """The newest sync is lost though it was durable. False: it cannot be taken away any more."""
        if self._undo is None:
            return False
        self.hard_state, steps = self._undo
        for place, replaced in reversed(steps):
            self.entries[place:] = replaced
        self._undo = None
        self.suspect = True
        return True

    def runs(self) -> list[tuple[Index, Term]]:
        """Term runs above the snapshot."""
        found: list[tuple[Index, Term]] = []
        for entry in self.entries:
            if not found or found[-1][1] != entry.term:
                found.append((entry.index, entry.term))
        return found

    def configs(self) -> list[tuple[Index, Any, Any]]:
        """Configurations above the snapshot."""
        return [
            (entry.index, known.voters, known.learners)
            for entry in self.entries
            if entry.kind is Kind.CONFIG
            for known in (decode(bytes(entry.header)),)
        ]
