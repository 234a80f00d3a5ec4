"""One group's actor with its surroundings, for tests of its turns.

One rule: the core is a real one; the disk is done when the test says so, and the service writes down all that
happens.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
from trio.testing import wait_all_tasks_blocked

from haqactor import wire
from haqactor.config import Limits
from haqactor.entry import Entry
from haqactor.env import NullProbe
from haqactor.errors import Error
from haqactor.frame import Decoder
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.assembly import raft_config
from haqactor.nodes.group import GroupActor, RaftItem
from haqactor.nodes.peerwire import parse_raft
from haqactor.nodes.service import Service
from haqactor.nodes.sessions import Disconnected, Request
from haqactor.raft.core import RaftCore
from haqactor.raft.messages import AppendReply, Message, Vote
from haqactor.raft.ready import HardState, SnapshotMeta
from haqactor.raft.state import Role
from tests.builders.memory_environment import SeededRandom
from tests.builders.node_context import node_context

GROUP = GroupId(1)
MS = 1_000_000


class Owner:
    """Who proposed an entry."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def applied(self, replies: list[Any], now_ns: int) -> None:
        self.told.append(replies)

    def failed(self, error: Exception) -> None:
        self.told.append(type(error))


class FakeService:
    """Proposes what it is asked, and writes down all that happens."""

    def __init__(self, actor: GroupActor) -> None:
        self.actor = actor
        self.events: list[Any] = []
        self.owners: list[Owner] = []
        self.proposing: list[bytes] = []
        self.state: list[bytes] = []
        self.read_next = False
        self.turns = 0
        self.due_ns = 1 << 62

    def request(self, request: Request, now_ns: int) -> None:
        self.events.append(("request", request.message.rid))

    def disconnected(self, session: Disconnected, now_ns: int) -> None:
        self.events.append("disconnected")

    def lead(self, term: Term, now_ns: int) -> None:
        self.events.append(("lead", term))

    def follow(self, now_ns: int) -> None:
        self.events.append("follow")

    def apply(self, entry: Entry, now_ns: int) -> None:
        self.events.append(("apply", entry.index, entry.kind))
        self.state.append(bytes(entry.body))
        owner = self.actor.take_proposal(entry.index)
        if owner is not None:
            owner.applied([entry.index], now_ns)

    def work(self, now_ns: int) -> None:
        self.turns += 1
        for body in self.proposing:
            owner = Owner()
            self.owners.append(owner)
            try:
                self.actor.propose(b"", body, owner, now_ns)
            except Error as error:
                owner.failed(error)
        self.proposing.clear()
        if self.read_next:
            self.read_next = False
            self.actor.read(9, now_ns)

    def reads(self, contexts: tuple[int, ...], ok: bool, now_ns: int) -> None:
        self.events.append(("reads", contexts, ok))

    def covered(self, now_ns: int) -> None:
        """Looked at by ``Delivery``'s own tests."""

    def directory_moved(self, now_ns: int) -> None:
        self.events.append("moved")

    def next_deadline_ns(self) -> int:
        return self.due_ns

    def snapshot_chunks(self) -> Any:
        return iter([b"".join(self.state)])

    def live_entries(self) -> list[tuple[Index, Index]]:
        return []

    def restore(self, chunks: list[bytes]) -> None:
        self.events.append(("restore", b"".join(chunks)))

    def digest(self) -> bytes:
        return b""

    def status(self) -> dict[str, Any]:
        return {}


class FakeLink:
    """A link that keeps what it is handed."""

    def __init__(self) -> None:
        self.connected = True
        self.sent: list[Message] = []

    def send(self, frame: bytes) -> bool:
        self.sent.append(parse_raft(Decoder(1 << 20).feed(frame)[0])[1])
        return True

    def take(self) -> list[Message]:
        sent, self.sent = self.sent, []
        return sent


class Session:
    """A client that reads its errors."""

    def __init__(self) -> None:
        self.failed: list[tuple[int, str]] = []
        self.open = True

    def fail(self, rid: int, error: Error) -> None:
        self.failed.append((rid, error.code))


class Replica:
    """An actor with its surroundings."""

    def __init__(self, size: int, limits: Limits | None = None) -> None:
        self.context, self.journal = node_context(0, size=size, limits=limits)
        self.links = {node: FakeLink() for node in range(1, size)}
        self.context.peers = cast(Any, self.links)
        core = RaftCore(
            GROUP,
            NodeId(0),
            raft_config(self.context),
            hard_state=HardState(),
            snapshot=SnapshotMeta(Index(0), Term(0), tuple(NodeId(node) for node in range(size))),
            runs=(),
            last_index=Index(0),
            boot=1,
            random=SeededRandom(3),
            probe=NullProbe(),
            now_ns=self.context.now(),
        )
        self.actor = GroupActor(self.context, GROUP, core, lambda actor: cast(Service, FakeService(actor)))
        self.context.groups[GROUP] = self.actor
        self.session = Session()

    @property
    def service(self) -> FakeService:
        return cast(FakeService, self.actor.service)

    def ask(self, rid: int, blob: bytes = b"") -> None:
        self.actor.mailbox.put(Request(cast(Any, self.session), wire.Info(rid, GROUP, 1), blob))

    async def step(self, sender: int, message: Message) -> None:
        self.actor.mailbox.put(RaftItem(NodeId(sender), message))
        await wait_all_tasks_blocked()

    async def settle(self) -> None:
        """Let the disk finish all it has, and what follows from that."""
        while self.journal.submitted:
            self.journal.settle()
            await wait_all_tasks_blocked()

    async def elect(self) -> None:
        """Win an election among three with node 1's vote; the no-op is not committed yet."""
        term = Term(self.actor.core.term + 1)
        await trio.sleep(1.05)  # longer than any election timeout
        assert self.actor.core.role is Role.PRE_CANDIDATE
        await self.step(1, Vote(term, True, True, 1))
        await self.settle()
        await self.step(1, Vote(term, True, False, 1))
        assert self.actor.core.is_leader

    async def confirm(self, index: int, **fields: Any) -> None:
        """Node 1 has everything up to ``index``; a beat of its has just told its wall clock."""
        core = self.actor.core
        self.context.walls[NodeId(1)] = (self.context.env.clock.wall_ns(), self.context.now())
        await self.step(1, AppendReply(core.term, True, Index(index), boot=1, **fields))


@asynccontextmanager
async def running(size: int = 1, limits: Limits | None = None) -> AsyncGenerator[Replica, None]:
    replica = Replica(size, limits)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(replica.context.timers.run)
        nursery.start_soon(replica.actor.run)
        await wait_all_tasks_blocked()
        yield replica
        nursery.cancel_scope.cancel()
