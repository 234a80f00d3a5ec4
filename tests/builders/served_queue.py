"""A data group's service without Raft: one queue, two clients, a directory that moves on as the test says.

One rule: as ``service_actor``, whose actor it has.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio

from haqactor import batch, wire
from haqactor.config import Limits
from haqactor.ids import Index, Term
from haqactor.machine import commands
from haqactor.machine.directory import DirectoryMachine
from haqactor.nodes.missing import Missing
from haqactor.nodes.queues import QueueService
from tests.builders.service_actor import ServedSession, ServiceActor, trio_now

GROUP = 1
PRODUCER = b"producer".ljust(16)
NOW_NS = 1_700_000_000_000_000_000


class Place:
    """A leader of group 1 with the queue ``q``, and its directory."""

    def __init__(self, nursery: trio.Nursery, limits: Limits) -> None:
        self.actor = ServiceActor(GROUP, nursery=nursery, limits=limits)
        self.directory = DirectoryMachine()
        self.missing = Missing(self.directory)
        self.service = QueueService(self.actor.as_actor, self.missing)
        self.alice, self.bob = ServedSession(b"alice"), ServedSession(b"bob")
        self._directory_index = 0
        self._next = 1
        self.change(commands.register_node(0, "n0:7000", 1), commands.create_groups([[GROUP, [0]]]))
        self.change(commands.declare("q", {}))
        self.uid = self.row("q")

    def change(self, *given: commands.Command) -> None:
        """This node's copy of the directory moves on."""
        self._directory_index += 1
        header = commands.encode(NOW_NS, given)
        self.directory.apply(Index(self._directory_index), Term(1), header, 0)

    def row(self, name: str) -> int:
        row = self.directory.resolve(name)
        assert row is not None
        uid: int = row[0]
        return uid

    def turn(self) -> None:
        """A turn's end, with all that was proposed committed, until nothing is left to do."""
        for _ in range(10):
            self.service.work(trio_now())
            if not self.actor.commit(self.service):
                return

    def lead(self) -> None:
        self.service.lead(self.actor.core.term, trio_now())
        self.turn()

    def publish(self, session: ServedSession, contents: list[bytes], **changes: Any) -> int:
        blob = batch.Packer().pack([batch.Content(body) for body in contents])
        fields: dict[str, Any] = {"first": self._next, "count": len(contents), **changes}
        self._next += len(contents)
        message = wire.Publish(
            0, GROUP, self.uid, PRODUCER, 0, fields["first"], fields["count"], 0, self.service.time.now(0)
        )
        return session.ask(self.service, message._replace(**changes), blob)

    def subscribe(self, session: ServedSession, credit: int = 10, attempt: int = 1) -> int:
        return session.ask(self.service, wire.Subscribe(0, GROUP, self.uid, 1, attempt, credit, 1 << 20, []))

    def deliver(self, session: ServedSession) -> list[list[int]]:
        """The lease rows that reach a consumer."""
        self.turn()
        self.actor.core.covered = self.actor.core.round
        self.service.covered(trio_now())
        return [
            [part[0], part[1], low, high]
            for message in session.take()
            if isinstance(message, wire.Deliver)
            for part in message.parts
            for low, high in part[3]
        ]

    def settle(self, session: ServedSession, acks: list[list[int]]) -> int:
        return session.ask(self.service, wire.Settle(0, GROUP, self.uid, 1, acks, [], [], [], [], 0, 0))

    def confirm(self, ok: bool = True) -> None:
        """The ReadIndex of everything asked so far."""
        asked, self.actor.asked = tuple(self.actor.asked), []
        self.service.reads(asked, ok, trio_now())


@asynccontextmanager
async def place(*, leads: bool = True, limits: Limits | None = None) -> AsyncGenerator[Place]:
    async with trio.open_nursery() as nursery:
        here = Place(nursery, limits or Limits())
        if leads:
            here.lead()
            here.deliver(here.alice)
        yield here
        nursery.cancel_scope.cancel()
