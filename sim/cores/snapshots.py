"""Snapshots of one replica: its own, those that it sends to others, those that it takes from a leader.

One rule: a snapshot counts once it is on the disk, and its state is read while the machine goes on.
"""

from typing import TYPE_CHECKING, Any

from haqactor.errors import Conflict, InvariantViolation
from haqactor.ids import Index, NodeId
from haqactor.raft.messages import InstallSnapshot
from haqactor.raft.ready import SnapshotMeta
from haqactor.sim.cores import state
from haqactor.sim.cores.disk import Block
from haqactor.sim.cores.messages import Shipment

if TYPE_CHECKING:
    from haqactor.sim.cores.replica import Replica


class Snapshots:
    """Of one boot of a replica. ``installing``: the disk may begin behind a snapshot before the core does."""

    def __init__(self, replica: "Replica") -> None:
        self._replica = replica
        self._at = Index(replica.applied)
        self._under_way = False
        self.installing = False

    def look(self) -> None:
        """Is one due?"""
        replica = self._replica
        if not self._under_way and replica.applied - self._at >= replica.harness.plan.snapshot_entries:
            self._begin()

    def _begin(self) -> None:
        replica = self._replica
        term = replica.core.term_at(replica.applied)
        if term is None:
            raise InvariantViolation(f"the applied entry {replica.applied} has no term")
        self._at = replica.applied
        self._under_way = True
        configuration = replica.core.configuration
        meta = SnapshotMeta(replica.applied, term, configuration.voters, configuration.learners)
        for look in replica.watch.digest:
            look(replica, replica.applied, state.digest(replica.machine))
        chunks = replica.machine.snapshot_chunks()
        replica.timeline.after(2 * replica.disk.sync_ns, self._read, (replica.boot, meta, chunks))

    def _read(self, given: tuple[int, SnapshotMeta, Any]) -> None:
        replica = self._replica
        boot, meta, chunks = given
        if boot != replica.boot or not replica.up:
            return
        try:
            read = tuple(chunks)
        except Conflict:  # a snapshot from the leader replaced this state
            self._under_way = False
            return

        def saved() -> None:
            self._under_way = False
            replica.core.compacted(meta)

        replica.disk.submit(Block(snapshot=(meta, read, False), done=saved))

    def ship(self, given: tuple[int, NodeId, InstallSnapshot]) -> None:
        """Send the newest one to a peer; ``given``: the boot that was asked, the peer, the offer."""
        replica = self._replica
        boot, peer, offer = given
        if boot != replica.boot or not replica.up:
            return
        meta = replica.disk.meta
        ok = meta.index >= offer.index and replica.harness.links.reachable(replica.node, peer)
        if ok:
            newest = InstallSnapshot(offer.term, meta.index, meta.term, meta.voters, meta.learners)
            replica.send(peer, Shipment(newest, replica.disk.chunks))
        replica.call(lambda _now: replica.core.install_sent(peer, ok))

    def take(self, source: int, shipment: Shipment, now: int) -> None:
        """One arrived."""
        replica = self._replica
        offer, chunks = shipment
        core = replica.core
        core.step(NodeId(source), offer, now)
        if self.installing or not core.accepts_snapshot(offer):
            return
        self.installing = True
        meta = SnapshotMeta(offer.index, offer.index_term, offer.voters, offer.learners)
        replica.disk.submit(
            Block(snapshot=(meta, chunks, True), done=lambda: self._restored(meta, chunks, replica.now()))
        )

    def _restored(self, meta: SnapshotMeta, chunks: tuple[bytes, ...], now: int) -> None:
        replica = self._replica
        self.installing = False
        if replica.core.snapshot_installed(meta, now):
            replica.machine.restore(chunks)
            replica.applied = self._at = meta.index
            for look in replica.watch.digest:
                look(replica, meta.index, state.digest(replica.machine))
            for look in replica.watch.installed:
                look(replica, meta.index)
