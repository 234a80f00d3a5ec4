"""Applying committed entries in order, from memory where they are, from the journal where they are not.

One rule: an entry is applied once, in order, and never inside an await: cold entries are read beside the turn
and applied in a later one. Also here: what a replica must read for others (fetches) and when it takes a
snapshot."""

from typing import TYPE_CHECKING, Any, Final

import trio

from haqactor.entry import Entry
from haqactor.errors import Conflict, InvariantViolation, Overloaded
from haqactor.ids import Index, NodeId
from haqactor.nodes import sending
from haqactor.raft.messages import InstallSnapshot
from haqactor.raft.progress import Mode
from haqactor.raft.ready import Fetch, SnapshotMeta

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_READ_BYTES: Final = 1024 * 1024
_DIGEST_EVERY: Final = 256
_DIGESTS_KEPT: Final = 8
_NS: Final = 1_000_000_000


class Applier:
    """One group's applied state, and how it moves forward."""

    def __init__(self, actor: "GroupActor") -> None:
        self.actor = actor
        self.nursery: trio.Nursery | None = None
        self.applied = actor.core.applied_index
        self._commit = self.applied
        self._reading = False
        self._fetching: dict[NodeId, bool] = {}
        self._snapshot_at = self.applied
        self._snapshot_bytes = 0
        self._snapshotting = False
        self.fed_bytes = 0  #: of a snapshot, sent to followers since the last one was begun
        self.digests: dict[Index, bytes] = {}

    # -- memory

    def remember(self, entries: tuple[Entry, ...]) -> None:
        """Put new entries into the node's tail cache; what falls out of it is forgotten by its core too."""
        context = self.actor.context
        if not entries:
            return
        context.tail.truncate(self.actor.group, entries[0].index)
        for entry in entries:
            for group, upto in context.tail.put(entry):
                owner = context.groups.get(group)
                if owner is not None:
                    owner.core.forget(upto)

    # -- applying

    def commit(self, index: Index, now: int) -> None:
        """Everything up to ``index`` is committed."""
        self._commit = max(self._commit, index)
        self._advance(now)

    def _advance(self, now: int) -> None:
        core = self.actor.core
        while self.applied < self._commit and not self._reading:
            first = Index(self.applied + 1)
            entries = core.entries(first, self._commit)
            if not self.actor.installing and (
                entries is None or self.actor.context.env.probe.buggify("nodes.apply_from_disk")
            ):
                self._read(first)
                return
            if entries is None:
                return  # the journal may begin behind them: ``go_on`` comes after the install
            self._apply(entries, now)

    def _apply(self, entries: tuple[Entry, ...], now: int) -> None:
        actor = self.actor
        for entry in entries:
            if entry.index != self.applied + 1:
                raise InvariantViolation(
                    f"group {actor.group}: entry {entry.index} follows {self.applied} at apply"
                )
            self.applied = entry.index
            actor.apply(entry, now)
            self._snapshot_bytes += entry.size
            if entry.index % _DIGEST_EVERY == 0:
                self._note_digest(entry.index)
        actor.core.applied(self.applied)
        actor.serve_reads(now)
        self._maybe_snapshot()

    def _read(self, first: Index) -> None:
        self._reading = True
        if self.nursery is not None:
            self.nursery.start_soon(self._read_task, first, self._commit)

    async def _read_task(self, first: Index, last: Index) -> None:
        actor = self.actor
        entries = await actor.context.journal.read(actor.group, first, last, _READ_BYTES)
        actor.context.env.probe.mark("nodes.cold_apply")
        actor.context.count("cold_apply_reads")

        def loaded(now: int) -> None:
            self._reading = False
            if entries and entries[0].index == self.applied + 1:
                self._apply(entries, now)
            elif self.applied < first and not self.actor.installing:
                raise InvariantViolation(
                    f"group {actor.group}: committed entries from {first} on cannot be read back"
                )
            self._advance(now)

        actor.mailbox.put(loaded)

    def go_on(self, now: int) -> None:
        """The journal may be read again: an install is over."""
        self._advance(now)

    # -- replicas' digests (R14)

    def _note_digest(self, index: Index) -> None:
        self.digests[index] = self.actor.service.digest()
        while len(self.digests) > _DIGESTS_KEPT:
            del self.digests[next(iter(self.digests))]

    def compare_digest(self, peer: NodeId, index: int, digest: bytes) -> None:
        """Another replica's digest at ``index``. A difference: apply was not deterministic; stop."""
        mine = self.digests.get(Index(index))
        if mine is not None and mine != digest:
            raise InvariantViolation(
                f"group {self.actor.group}: the state at entry {index} differs from node {peer}'s "
                f"({mine.hex()}, {digest.hex()})"
            )

    # -- for others

    def fetch(self, fetch: Fetch) -> None:
        """Read entries that a follower lacks and memory no longer has."""
        if self.nursery is not None and fetch.peer not in self._fetching:
            self._fetching[fetch.peer] = True
            self.nursery.start_soon(self._fetch_task, fetch)

    async def _fetch_task(self, fetch: Fetch) -> None:
        actor = self.actor
        entries = await actor.context.journal.read(actor.group, fetch.first, fetch.last, fetch.bytes_max)
        await actor.context.pace.take(sum(entry.size for entry in entries))
        del self._fetching[fetch.peer]
        actor.context.env.probe.mark("nodes.cold_fetch")
        actor.context.count("cold_fetches")
        actor.mailbox.put(lambda _now: actor.core.fetched(fetch.peer, fetch.first, entries))

    def install(self, peer: NodeId, offer: InstallSnapshot) -> None:
        """Send a snapshot to a follower that is behind everything this log still has."""
        if self.nursery is not None:
            self.nursery.start_soon(sending.send, self.actor, peer, offer)

    def restored(self, meta: SnapshotMeta) -> None:
        """The state is now that of a snapshot from the leader."""
        self.applied = self._snapshot_at = meta.index
        self._commit = max(self._commit, meta.index)
        self._snapshot_bytes = 0
        self.digests.clear()
        self.actor.context.tail.drop(self.actor.group)  # it may hold what the snapshot's log overwrote

    def cured(self) -> None:
        """The replica counts again: its mark may go."""
        if self.nursery is not None:
            self.nursery.start_soon(self.actor.context.journal.cured, self.actor.group)

    # -- snapshots

    def _maybe_snapshot(self) -> None:
        limits = self.actor.context.limits
        entries = self.applied - self._snapshot_at
        due = entries >= limits.snapshot_entries or self._snapshot_bytes >= limits.snapshot_bytes
        if (due and not self.feeds()) or self.actor.context.env.probe.buggify("nodes.early_snapshot"):
            self.snapshot()

    def feeds(self) -> bool:
        """Would a follower lose its place by a snapshot, which takes the log away behind the one that it is
        being given? It would begin anew, and again, where what it takes is large and the group busy. Putting
        off costs no more of the disk than what was sent: that goes faster than the log grows (``Pace``); and
        it holds none of what other groups wrote meanwhile (``Compactor.step``)."""
        actor = self.actor
        limits = actor.context.limits
        if not actor.core.is_leader or self._snapshot_bytes >= limits.snapshot_bytes + self.fed_bytes:
            return False
        links = actor.context.peers
        feeds = any(
            (peer.mode == Mode.SNAPSHOT.value or peer.next <= self.applied)
            and peer.silent_ns <= limits.election_max * _NS
            and links[peer.node].connected
            for peer in actor.core.statistics().peers
        )
        if feeds:
            actor.context.env.probe.mark("nodes.snapshot_put_off")
        return feeds

    def snapshot(self) -> None:
        """Begin a snapshot of the present state, unless one is being written."""
        if self._snapshotting or self.nursery is None or self.applied == self._snapshot_at:
            return
        self._snapshotting = True
        self._snapshot_at = self.applied
        self._snapshot_bytes = self.fed_bytes = 0
        actor = self.actor
        core = actor.core
        term = core.term_at(self.applied)
        if term is None:
            raise InvariantViolation(f"group {actor.group}: the applied entry {self.applied} has no term")
        meta = SnapshotMeta(self.applied, term, core.configuration.voters, core.configuration.learners)
        self.nursery.start_soon(
            self._snapshot_task, meta, actor.service.snapshot_chunks(), actor.service.live_entries()
        )

    def wanted(self, now: int) -> None:
        """The journal's oldest segment waits for a snapshot of this group."""
        if not self.feeds():
            self.snapshot()

    async def _snapshot_task(self, meta: SnapshotMeta, chunks: Any, live: list[tuple[Index, Index]]) -> None:
        actor = self.actor
        try:
            await actor.context.journal.save_snapshot(actor.group, meta, chunks, live)
        except (Conflict, Overloaded) as error:
            # An installed snapshot replaced this state meanwhile, or the disk is full: the next reason for a
            # snapshot tries again.
            actor.context.log.warning("no snapshot", group=actor.group, reason=str(error))
            self._snapshotting = False
            return
        actor.context.count("snapshots")

        def saved(_now: int) -> None:
            self._snapshotting = False
            actor.core.compacted(meta)

        actor.mailbox.put(saved)
