"""What the observer tells of an install, by a replica that is made of plain values."""

from types import SimpleNamespace
from typing import Any, cast

from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft.ready import HardState, SnapshotMeta
from haqactor.sim.watch.durable import Truth
from haqactor.sim.watch.observed import Event, Snapshot, Sync
from haqactor.sim.watch.observer import Watch

META = SnapshotMeta(Index(16), Term(1), (NodeId(0),), ())


def nothing(*_given: object) -> None:
    """What an actor's neighbours do here."""


class OnDisk:
    """Durable up to an index."""

    block = 1
    settled = True

    def __init__(self, upto: int) -> None:
        self.upto = upto

    def backs(self, _group: GroupId, index: Index, _term: Term) -> bool:
        return index <= self.upto


class Log:
    """``last_index``: of its end, in term 1; its snapshot stands at 16 whoever took it."""

    def __init__(self, last_index: int) -> None:
        self.snapshot = META
        self.last_index = Index(last_index)
        self.last_term = Term(1)

    def term_at(self, index: int) -> int:
        return 1


def replica(last_index: int, *, replaces: bool) -> Any:
    """``replaces``: its core finds that it needs the snapshot that was installed."""
    log = Log(last_index)
    state = SimpleNamespace(log=log, hard=HardState(Term(1)))
    core = SimpleNamespace(
        commit=Index(0),
        last_index=log.last_index,
        _state=state,
        term=Term(1),
        is_leader=False,
        suspect=False,
        cure_state=lambda: SimpleNamespace(damaged=False),
    )
    service = SimpleNamespace(digest=lambda: b"at 16", live_entries=list, restore=nothing)

    def restored(_meta: SnapshotMeta, chunks: list[bytes], _now: int) -> None:
        if replaces:
            actor.service.restore(chunks)

    applier = SimpleNamespace(commit=nothing, remember=nothing)
    context = SimpleNamespace(journal=SimpleNamespace(groups={}))
    actor = SimpleNamespace(
        group=GroupId(1), core=core, service=service, applier=applier, context=context, restored=restored
    )
    for name in ("send", "_turn", "apply", "_written", "_role_changed"):
        setattr(actor, name, nothing)
    return actor


def told(actor: Any, *, on_disk: int) -> list[Event]:
    """By an install at 16, where the disk holds the log up to ``on_disk``."""
    events: list[Event] = []
    watch = Watch(actor, "n0", lambda: 7, events.append, cast("Truth", OnDisk(on_disk)))
    watch.begun(1, ())
    actor.restored(META, [], 7)
    return events[1:]


def synced(events: list[Event]) -> list[int]:
    return [event.index for event in events if isinstance(event, Sync)]


def test_what_follows_the_same_entry_stays_durable() -> None:
    """Its acknowledgement needs no other write: seed 13558 of profile swarm."""
    events = told(replica(18, replaces=True), on_disk=18)
    assert synced(events) == [18]
    assert [event.digest for event in events if isinstance(event, Snapshot)] == [b"at 16"]


def test_what_the_disk_lacks_is_not_durable() -> None:
    assert synced(told(replica(18, replaces=True), on_disk=16)) == [16]


def test_a_replica_that_went_past_the_snapshot_installs_nothing() -> None:
    """Though its own snapshot stands at the same place: seed 12973 of profile swarm."""
    assert told(replica(18, replaces=False), on_disk=18) == []
