"""The actor of a group without Raft: what a service proposes is kept, and committed when the test says so.

One rule: it keeps the promises of ``GroupActor`` towards a service: one owner an entry, told once.
"""

from typing import Any, cast

import trio

from haqactor import wire
from haqactor.config import Limits
from haqactor.entry import Kind, build
from haqactor.errors import Error, NotLeader
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.group import GroupActor
from haqactor.nodes.outbox import Outbox
from haqactor.nodes.sessions import Request
from haqactor.raft.membership import Configuration
from tests.builders.node_context import node_context


class FakeCore:
    """Leads as the test says; every round is covered when ``covered`` says so."""

    def __init__(self, size: int) -> None:
        self.configuration = Configuration(tuple(NodeId(node) for node in range(size)))
        self.leader = NodeId(0)
        self.term = Term(1)
        self.round = 0
        self.covered = 0

    def cover(self, now_ns: int) -> int:
        self.round += 1
        return self.round


class Wakes:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def wake(self) -> None:
        self.count += 1


class FakeApplier:
    """What has applied, and where tasks run."""

    def __init__(self, nursery: trio.Nursery | None) -> None:
        self.applied = Index(0)
        self.nursery = nursery


class ServiceActor:
    """``proposed``: (header, body, owner) not committed yet. ``overload``: refuses the next proposals."""

    def __init__(
        self, group: int, *, nursery: trio.Nursery | None = None, limits: Limits | None = None, size: int = 3
    ) -> None:
        self.group = GroupId(group)
        self.context, self.journal = node_context(0, size=size, limits=limits)
        cast(Any, self.journal).space_low = False
        self.core = FakeCore(size)
        self.mailbox = Wakes()
        self.applier = FakeApplier(nursery)
        self.proposed: list[tuple[bytes, bytes, Any]] = []
        self.overload: Error | None = None
        self.asked: list[int] = []
        self.refused: list[int] = []
        self._index = 0
        self._owners: dict[int, Any] = {}

    @property
    def as_actor(self) -> GroupActor:
        """As a service takes it."""
        return cast(GroupActor, self)

    def propose(self, header: bytes, body: bytes, owner: Any, now_ns: int) -> Index:
        if self.overload is not None:
            raise self.overload
        self.proposed.append((header, body, owner))
        return Index(self._index + len(self.proposed))

    def take_proposal(self, index: Index) -> Any:
        return self._owners.pop(index, None)

    def read(self, context: int, now_ns: int) -> None:
        self.asked.append(context)

    def refuse(self, request: Request) -> None:
        self.refused.append(request.message.rid)
        request.session.fail(request.message.rid, NotLeader("elsewhere", leader=1, term=2))

    def commit(self, service: Any) -> int:
        """Everything that was proposed applies; how many entries that were."""
        proposed, self.proposed = self.proposed, []
        for header, body, owner in proposed:
            self._owners[self._index + 1] = owner
            self.apply(service, header, body)
        return len(proposed)

    def apply(self, service: Any, header: bytes, body: bytes = b"") -> None:
        """One entry."""
        self._index += 1
        entry = build(self.group, Index(self._index), self.core.term, Kind.COMMAND, header, body)
        self.context.tail.put(entry)
        self.applier.applied = entry.index
        service.apply(entry, self.context.now())


class ServedSession:
    """A client's connection that keeps what it is told; ``answers``: by rid, all of them."""

    def __init__(self, name: bytes = b"alice") -> None:
        self.id = name.ljust(16)
        self.open = True
        self.answers: dict[int, list[Any]] = {}
        self.told: list[Any] = []
        self.errors: dict[int, Error] = {}
        self.blobs: list[bytes] = []
        self.outbox = Outbox()
        self._rid = 0

    def send(self, message: Any, *blobs: bytes) -> None:
        self.blobs += [bytes(blob) for blob in blobs]
        if isinstance(message, wire.Reply):
            self.answers.setdefault(message.rid, []).append(message.result)
        else:
            self.told.append(message)

    def fail(self, rid: int, error: Error) -> None:
        self.answers.setdefault(rid, []).append(error.code)
        self.errors[rid] = error

    def abort(self) -> None:
        self.open = False

    def ask(self, service: Any, message: Any, blob: bytes = b"") -> int:
        """Hand a request to a service under the next number; returns the number."""
        if "rid" in message._fields:
            self._rid += 1
            message = message._replace(rid=self._rid)
        service.request(Request(cast(Any, self), message, blob), trio_now())
        return self._rid

    def take(self) -> list[Any]:
        """What it was told beside answers, since the last time."""
        told, self.told = self.told, []
        return told


def trio_now() -> int:
    """The monotonic clock of the memory environment."""
    return round(trio.current_time() * 1e9)
