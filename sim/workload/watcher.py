"""A client that looks: how queues are, what they hold, and how the cluster is.

One rule: it changes nothing.
"""

import trio

from haqactor import wire
from haqactor.client.broker import Broker
from haqactor.sim.keyed import Stream
from haqactor.sim.workload import kinds
from haqactor.sim.workload.clients import EXPECTED, Clients

_LOOKS_PER_S = 2.0
_OFTEN_PER_S = 30.0


class WatcherBody:
    """Looks at queues until it is cancelled."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        clients = self._clients
        stream = clients.stream(self._name)
        await clients.declare_all(self._name, broker)
        names = kinds.consumed(clients.work)
        if "admin" in clients.work:
            names.append(kinds.OWN)
        while True:
            queue = names[stream.randrange(len(names))]
            if "peeks" in clients.work and stream.random() < 0.3:
                await _peek(broker, queue, stream)
            else:
                await look(clients, self._name, broker, queue)
            await trio.sleep(stream.expovariate(_LOOKS_PER_S))


class ReaderBody:
    """Looks at one queue all the time, until all is healed: where leaders are cut off, it asks whoever it can
    reach."""

    def __init__(self, clients: Clients, name: str, queue: str) -> None:
        self._clients = clients
        self._name = name
        self._queue = queue

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        clients = self._clients
        stream = clients.stream(self._name)
        await clients.declare_all(self._name, broker)
        while not clients.progress.stopping:
            await look(clients, self._name, broker, self._queue)
            await trio.sleep(stream.expovariate(_OFTEN_PER_S))


def _info(group: int, uid: int) -> wire.Info:
    return wire.Info(0, group, uid)


async def look(clients: Clients, name: str, broker: Broker, queue: str) -> dict[str, int] | None:
    """One look at a queue, with all that its leader told; None: no answer."""
    op = clients.call(name, "info", queue)
    try:
        told, _blob, uid = await broker.queue(queue)._ask(_info)  # ``info()`` leaves uid and version out
    except EXPECTED as error:
        clients.failed(op, error)
        return None
    fields = ("ready", "leased", "delayed", "dead", "first_seq", "next_seq", "version")
    found = {field: int(told[field]) for field in fields}
    clients.done(op, uid=uid, **found)
    return found


async def _peek(broker: Broker, queue: str, stream: Stream) -> None:
    try:
        if stream.random() < 0.5:
            await broker.queue(queue).peek(limit=1 + stream.randrange(20))
        elif stream.random() < 0.5:
            await broker.queues()
        else:
            await broker.status()
    except EXPECTED:
        return  # it is tried out, not recorded
