"""What all clients of a run share: the history that they write, what they have done so far, and how answers
are told apart.

One rule: a workload never looks into the cluster; it knows what a user's program knows, and draws from its
own stream.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import trio

from haqactor.client.broker import Broker
from haqactor.client.errors import Closed, ConnectionLost
from haqactor.client.producer import Publisher
from haqactor.errors import (
    Conflict,
    Error,
    InvalidArgument,
    LeaseLost,
    NoQuorum,
    NotFound,
    OutcomeUnknown,
    Overloaded,
)
from haqactor.ids import METADATA_GROUP
from haqactor.sim.keyed import Stream
from haqactor.sim.watch.history import FAIL, INFO, OK, History, Kind, Op
from haqactor.sim.workload import kinds
from haqactor.sim.world import World

TRANSIENT: Final = (NoQuorum, OutcomeUnknown, Overloaded, ConnectionLost)

EXPECTED: Final = (*TRANSIENT, NotFound, LeaseLost, Closed)
"""Errors that a client must be able to live with; any other one is a bug of somebody."""

_NOTHING_DONE: Final = (Conflict, InvalidArgument, LeaseLost, NoQuorum, NotFound, Overloaded)
"""Errors that say that what was asked for did not happen."""

_SETTLING: Final = ("ack", "nack", "reject", "release")


@dataclass(slots=True)
class Progress:
    """What the clients of a run have done so far. ``begun``: messages that producers have tried to publish.
    ``stopping``: producers begin nothing new, and consumers acknowledge whatever they get."""

    begun: int = 0
    confirmed: int = 0
    delivered: int = 0
    settled: int = 0
    stopping: bool = False


class Clients:
    """The ground under the clients of a run. ``work``: the kinds of work that they do; ``queues``: those that
    are published to, and their settings."""

    def __init__(self, world: World, history: History, work: Iterable[str] = ()) -> None:
        self.world = world
        self.work = dict.fromkeys(work)
        self.queues = kinds.queues(self.work)
        self.progress = Progress()
        self._history = history
        self._open: dict[str, dict[int, Op]] = {}

    def stream(self, *key: str | int) -> Stream:
        """Draws of a client's own; each start of it has others."""
        host = self.world.hosts.get(str(key[0]))
        return self.world.random("workload", *key, 0 if host is None else host.incarnation)

    # -- the history

    def call(self, client: str, kind: Kind, queue: str, value: bytes | None = None, **out: Any) -> Op:
        """A client begins something."""
        op = self._history.call(client, kind, queue, value, self.world.now_ns, **out)
        self._open.setdefault(client, {})[op.i] = op
        return op

    def done(self, op: Op, **out: Any) -> None:
        """It happened."""
        del self._open[op.client][op.i]
        self._history.returned(op, self.world.now_ns, OK, **out)

    def failed(self, op: Op, error: Error) -> None:
        """It ended by an error: it did not happen, or that is not known. A publish that is refused because
        its queue is gone may have been stored before; a settlement that met no leader is driven on, and what
        is refused of it may have been done by an earlier sending, unless it is an acknowledgement."""
        nothing = isinstance(error, _NOTHING_DONE)
        if op.kind == "publish" and isinstance(error, NotFound):
            nothing = False
        elif op.kind in _SETTLING:
            nothing = op.kind == "ack" and isinstance(error, LeaseLost)
        del self._open[op.client][op.i]
        self._history.returned(op, self.world.now_ns, FAIL if nothing else INFO, error=error.code)

    def crashed(self, client: str) -> None:
        """What it had begun nobody will ever hear of."""
        for op in self._open.pop(client, {}).values():
            self._history.returned(op, self.world.now_ns, INFO, error="crashed")

    def delivered(self, client: str, queue: str, value: bytes, **out: Any) -> None:
        """A client was handed a message."""
        self.progress.delivered += 1
        self._history.delivered(client, queue, value, self.world.now_ns, consumer=client, **out)

    # -- what every client begins with

    async def declare(self, client: str, broker: Broker, queue: str, settings: dict[str, Any]) -> None:
        """Declare a queue, again until it is known to be there."""
        while True:
            if await self.declare_once(client, broker, queue, settings):
                return
            await trio.sleep(0.05)

    async def declare_once(self, client: str, broker: Broker, queue: str, settings: dict[str, Any]) -> bool:
        """One declaration; False: who knows, or certainly not."""
        target = settings.get("dead_letter")
        known = {} if target in (None, queue) else {"dead_letter": target}
        op = self.call(client, "declare", queue, **known)
        before = _copies(broker)
        try:
            made = await broker.declare(queue, **settings)
        except (*TRANSIENT, Conflict, InvalidArgument) as error:
            self.failed(op, error)
            return False
        again = _copies(broker) - before
        uid = uid_of(broker, queue)
        self.done(op, uid=uid, created=made.created, changed=bool(made.changes), again=again)
        return True

    async def declare_all(self, client: str, broker: Broker) -> None:
        """All queues that are published to."""
        for queue, settings in self.queues.items():
            await self.declare(client, broker, queue, settings)


def uid_of(broker: Broker, queue: str) -> int:
    """The incarnation of a queue that a broker talks to now; right after an answer: the one that answered, if
    its client does one thing at a time. 0: none."""
    target = broker._targets.get(queue)  # a round trip of ``resolve`` would be another observation
    return 0 if target is None else target.uid


def _copies(broker: Broker) -> int:
    """How often a request to the directory has been sent again while an earlier copy might be done yet."""
    lane = broker.session.core.lanes.get(METADATA_GROUP)
    return 0 if lane is None else lane.copies


def stream_uid(publisher: Publisher, queue: str) -> int:
    """The incarnation that a publisher's receipts for a queue came from last."""
    stream = publisher._streams.get(queue)  # receipts do not tell
    return 0 if stream is None else stream.uid
