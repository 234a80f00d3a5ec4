"""Who works in a run: the hosts of its clients, their crashes and returns, and the end of their work.

One rule: clients are hosts of their own; what one of them is drawn to do does not depend on the others being
there.
"""

from dataclasses import replace
from functools import partial

import trio

from haqactor.client.broker import Broker
from haqactor.client.options import Options
from haqactor.sim.cluster import Body, SimCluster
from haqactor.sim.drawn import Drawn
from haqactor.sim.host import Host
from haqactor.sim.workload import kinds
from haqactor.sim.workload.admin import AdminBody
from haqactor.sim.workload.clients import EXPECTED, Clients
from haqactor.sim.workload.consumers import ConsumerBody, received, uid_of_message
from haqactor.sim.workload.producers import ProducerBody
from haqactor.sim.workload.watcher import ReaderBody, WatcherBody, look
from haqactor.sim.world import NS

_CRASH_NS = 2 * NS
_DOWN_NS = NS
_LOOK_S = 0.2
_PATIENCE_NS = (NS // 2, NS)


class Staff:
    """``begin`` sends them all to work. ``working``: may anything new be published yet? ``drained``: does
    every queue stand empty, but for what is parked?"""

    def __init__(self, cluster: SimCluster, clients: Clients, drawn: Drawn) -> None:
        self.clients = clients
        self.drained = False
        self._cluster = cluster
        self._drawn = drawn
        self._publishing: list[str] = []
        self._consuming: dict[str, list[str]] = {}
        self._left: dict[str, None] = {}

    @property
    def working(self) -> bool:
        """Before that nobody can say that a queue will stay empty."""
        hosts = self._cluster.world.hosts
        return any(hosts[name].alive for name in self._publishing)

    def begin(self) -> None:
        """Everybody starts now."""
        drawn, clients, work = self._drawn, self.clients, self.clients.work
        for number in range(drawn.producers):
            name = f"p{number}"
            session = name if number % 2 == 0 else ""
            self._publisher(name, self._producer(name, session), crashes="producer_crash" in work)
            if number == 0 and "rivals" in work:
                self._publisher("p0x", self._producer("p0x", session), crashes=False)
        if any(kind in work for kind in ("admin", "alter", "purges")):
            self._publisher("admin", AdminBody(clients, "admin"), crashes=False)
        if "stranger" in work:
            self._cluster.stranger()
        self._start("watcher", WatcherBody(clients, "watcher"))
        for queue in clients.queues if "reads" in work else ():
            self._start(f"r-{queue}", ReaderBody(clients, f"r-{queue}", queue))
        for queue in kinds.consumed(work):
            for number in range(drawn.consumers):
                name = f"c{number}-{queue}"
                body = ConsumerBody(clients, name, queue)
                self._consuming.setdefault(queue, []).append(name)
                self._start(name, body)
                if "consumer_crash" in work:
                    self._will_crash(name, body)

    def _producer(self, name: str, session: str) -> ProducerBody:
        drawn = self._drawn
        return ProducerBody(self.clients, name, drawn.operations, session=session, pause_s=drawn.pause_s)

    def _publisher(self, name: str, body: Body, *, crashes: bool) -> None:
        self._publishing.append(name)
        self._start(name, body)
        if crashes:
            self._will_crash(name, body)

    def _start(self, name: str, body: Body) -> Host:
        world = self._cluster.world
        proxy = "proxy" in self.clients.work and world.random("proxy", name).random() < 0.4
        options = Options(proxy=proxy)
        if "impatient" in self.clients.work and name in self._publishing:
            patience_ns = world.random("patience", name).choice(_PATIENCE_NS)
            options = replace(options, patience_ns=patience_ns)
        return self._cluster.client(name, body, options)

    # -- crashes

    def _will_crash(self, name: str, body: Body) -> None:
        stream = self._cluster.world.random("client crashes", name)
        at_ns = round(stream.expovariate(1 / _CRASH_NS))
        down_ns = round(stream.expovariate(1 / _DOWN_NS))
        if at_ns < self._drawn.safety_ns:
            self._cluster.world.call_at(at_ns, partial(self._crash, name, body, down_ns))

    def _crash(self, name: str, body: Body, down_ns: int) -> None:
        world = self._cluster.world
        host = world.hosts[name]
        if host.alive and not self.clients.progress.stopping:
            host.crash()
            self.clients.crashed(name)
            world.call_after(down_ns, partial(self._back, name, body))

    def _back(self, name: str, body: Body) -> None:
        if name not in self._left and not (self.clients.progress.stopping and name in self._publishing):
            self._start(name, body)

    # -- the end

    def leave(self) -> None:
        """In half of the runs all consumers of a queue but one go without a word: what any of them still
        holds, or never gets though it asks, is seen by that."""
        world = self._cluster.world
        stream = world.random("consumers that leave")
        if stream.random() < 0.5:
            return
        for names in self._consuming.values():
            stays = names[stream.randrange(len(names))]
            for name in names:
                if name != stays:
                    self._left[name] = None
                    world.hosts[name].crash()
                    self.clients.crashed(name)

    def drain(self) -> None:
        """Begin to look whether everything has been consumed, and consume what nobody else does."""
        self._cluster.client("drain", self._drain)

    async def _drain(self, broker: Broker) -> None:
        work = self.clients.work
        if "admin" in work:
            await self._empty(broker, kinds.OWN)
        for queue in kinds.consumed(work):
            await self._until_empty(broker, queue)
        self.drained = True

    async def _until_empty(self, broker: Broker, queue: str) -> None:
        while True:
            found = await look(self.clients, "drain", broker, queue)
            if found is not None and found["ready"] == found["leased"] == found["delayed"] == 0:
                return
            await trio.sleep(_LOOK_S)

    async def _empty(self, broker: Broker, queue: str) -> None:
        """A queue that may not exist."""
        clients = self.clients
        while True:
            try:
                info = await broker.queue(queue).info()
                if info.ready == info.leased == info.delayed == 0:
                    return
                message = await broker.queue(queue).poll()
            except EXPECTED as error:
                if error.code == "not_found":
                    return
                message = None
            if message is None:
                await trio.sleep(_LOOK_S)
                continue
            received(clients, "drain", queue, [message])
            op = clients.call("drain", "ack", queue, seq=message.seq, uid=uid_of_message(message))
            try:
                await message.ack()
            except EXPECTED as error:
                clients.failed(op, error)
            else:
                clients.done(op)
