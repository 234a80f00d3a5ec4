"""A client that rules over a queue of its own, from declaration to deletion and again, changes the settings
of those in use, and empties one of them.

One rule: it does one thing at a time and asks again until it knows, so that of its queue always only one
incarnation may be there.
"""

from typing import Any

import trio

from haqactor.client.broker import Broker
from haqactor.client.errors import RequestUnknown
from haqactor.errors import Conflict, NotFound
from haqactor.sim.keyed import Stream
from haqactor.sim.workload import kinds
from haqactor.sim.workload.clients import EXPECTED, TRANSIENT, Clients
from haqactor.sim.workload.consumers import received, uid_of_message
from haqactor.sim.workload.producers import publish_once
from haqactor.sim.workload.watcher import look

_PAUSE_S = 0.5
_PURGES = 0.3


class AdminBody:
    """Begins nothing new once the run is stopping."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name
        self._number = 0

    async def __call__(self, broker: Broker) -> None:
        """The client's program."""
        clients = self._clients
        stream = clients.stream(self._name)
        await clients.declare_all(self._name, broker)
        purges = clients.stream(f"{self._name} purges")
        while not clients.progress.stopping:
            if "purges" in clients.work and purges.random() < _PURGES:
                await self._purge(broker, kinds.SHARED[0])
            elif "admin" not in clients.work and "alter" not in clients.work:
                pass
            elif "admin" not in clients.work or ("alter" in clients.work and stream.random() < 0.4):
                await self._alter(broker, stream)
            else:
                await self._rule(broker, stream)
            await trio.sleep(stream.expovariate(1 / _PAUSE_S))

    # -- its own queue

    async def _rule(self, broker: Broker, stream: Stream) -> None:
        """One life of the queue, or a part of it."""
        clients, name, queue = self._clients, self._name, kinds.OWN
        settings = {"lease": stream.choice((1.0, 2.0)), "max_attempts": stream.randrange(3)}
        await clients.declare(name, broker, queue, settings)
        for _ in range(1 + stream.randrange(3)):
            self._number += 1
            body = b"%s/%s/%d" % (name.encode(), queue.encode(), self._number)
            await publish_once(clients, name, broker, queue, body)
        await look(clients, name, broker, queue)
        if stream.random() < 0.5:
            await self._take(broker, stream)
        if stream.random() < 0.4:
            await self._purge(broker, kinds.OWN)
        if stream.random() < 0.6:
            await self._delete(broker)
            await look(clients, name, broker, queue)

    async def _take(self, broker: Broker, stream: Stream) -> None:
        clients, name, queue = self._clients, self._name, kinds.OWN
        try:
            message = await broker.queue(queue).poll()
        except EXPECTED:
            return
        if message is None:
            return
        received(clients, name, queue, [message])
        if stream.random() < 0.5:
            op = clients.call(name, "ack", queue, seq=message.seq, uid=uid_of_message(message))
            try:
                await message.ack()
            except EXPECTED as error:
                clients.failed(op, error)
            else:
                clients.done(op)

    async def _purge(self, broker: Broker, queue: str) -> None:
        op = self._clients.call(self._name, "purge", queue)
        try:
            await broker.queue(queue).purge()
        except EXPECTED as error:
            self._clients.failed(op, error)
        else:
            self._clients.done(op)

    async def _delete(self, broker: Broker) -> None:
        """Until it is known to be gone."""
        op = self._clients.call(self._name, "delete", kinds.OWN)
        again: RequestUnknown | None = None
        while True:
            try:
                await (broker.delete_queue(kinds.OWN) if again is None else again.retry())
            except RequestUnknown as error:
                again = error
            except TRANSIENT as error:
                if again is None:
                    self._clients.failed(op, error)
                    return
            except NotFound as error:
                self._clients.failed(op, error)
                return
            else:
                self._clients.done(op)
                return
            await trio.sleep(0.05)

    # -- the queues of others

    async def _alter(self, broker: Broker, stream: Stream) -> None:
        """Settings that are possible, and such that are not."""
        clients, name = self._clients, self._name
        queues = list(clients.queues)
        queue = queues[stream.randrange(len(queues))]
        possible = stream.random() < 0.7
        if possible:
            settings: dict[str, Any] = {"backoff": stream.choice((0.1, 0.2, 0.4))}
        elif stream.random() < 0.5:
            settings = {"dead_letter": queue}
        else:
            settings = {"lease": 0.0}
        await clients.declare_once(name, broker, queue, settings)
        if "dead_letters" in clients.work and stream.random() < 0.3:
            op = clients.call(name, "delete", kinds.DEAD)
            try:
                await broker.delete_queue(kinds.DEAD)
            except (*EXPECTED, Conflict) as error:  # it stands in the way of another queue
                clients.failed(op, error)
            else:
                clients.done(op)
        await trio.sleep(stream.random())
