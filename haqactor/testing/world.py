"""The world as a scenario sees it: a cluster to connect to, programs to start, and everything that can go
wrong.

One rule: what a scenario does happens at this very instant of virtual time; ``trio.sleep`` lets time pass,
and nothing else does.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from haqactor.client.broker import Broker, open_session
from haqactor.client.options import Options
from haqactor.client.queue import Queue
from haqactor.client.structured import OpenNursery
from haqactor.client.transport import NetworkTransport
from haqactor.errors import NoQuorum, OutcomeUnknown, Overloaded
from haqactor.sim.checkers.checker import Violation
from haqactor.sim.checkers.final import Final as End
from haqactor.sim.checkers.no_loss import NoConfirmedLoss
from haqactor.sim.cluster import SimNode
from haqactor.sim.keyed import Stream
from haqactor.sim.watch.history import History, Op, replay
from haqactor.sim.world import NS
from haqactor.testing.failure import PromiseBroken
from haqactor.testing.faults import NetworkFaults
from haqactor.testing.looking import leader_of
from haqactor.testing.program import Body, Program, Stage

SCENARIO: Final = "scenario"
PATIENCE_NS: Final = 60 * NS
_LOOK_S: Final = 0.05
_TRANSIENT: Final = (NoQuorum, OutcomeUnknown, Overloaded)


class World:
    """One simulated cluster. ``seed`` decides everything; ``random`` draws from it (a ``random.Random``);
    ``nodes``: their names; ``history``: what all programs asked for and were told; ``now``: seconds since the
    scenario began."""

    def __init__(self, stage: Stage, start: Callable[[Program], None]) -> None:
        cluster = stage.cluster
        self.seed = cluster.world.seed
        self.random: Stream = cluster.world.random("scenario")
        self.network = NetworkFaults(cluster)
        self.nodes = tuple(node.host.name for node in cluster.nodes)
        self._stage = stage
        self._start = start
        self._programs: dict[str, Program] = {}
        self._began_ns = 0

    def __repr__(self) -> str:
        return f"<World seed={self.seed}>"

    @property
    def now(self) -> float:
        """True time, whatever any host's clock says."""
        return (self._stage.cluster.world.now_ns - self._began_ns) / NS

    @property
    def history(self) -> History:
        """Read only."""
        return self._stage.history

    # -- programs

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Broker]:
        """A broker for the scenario itself. Unlike one from ``haqactor.connect`` it waits a minute for a
        leader before it gives up, so that a scenario needs no code for faults that it does not test."""
        life = self._programs[SCENARIO].life
        transport = NetworkTransport(life.environment.network, self._stage.cluster.addresses)
        options = Options(patience_ns=PATIENCE_NS)
        async with open_session(transport, life.environment, options, log=life.log) as broker:
            life.opened(broker, embedded=False)
            yield broker

    def start(
        self,
        program: Callable[..., Awaitable[object]],
        *arguments: object,
        name: str,
        restart_after: float | None = 1.0,
        crash_every: float | None = None,
    ) -> None:
        """Run the user's own async ``program(*arguments)`` on a machine of its own, called ``name``, until it
        ends or the scenario does. ``restart_after``: seconds until it is started again when it ended by an
        error of haqactor, as a supervisor would; None: such an error fails the scenario, as others always do.
        ``crash_every``: cut its power at moments drawn from the seed, so many seconds apart on average, and
        start it again within a second."""
        made = Program(self._stage, name, partial(program, *arguments), restart_after)
        self._add(made)
        if crash_every is not None:
            self._crash_at_random(made, self._stage.cluster.world.random("crashes", name), crash_every)

    def begin(self, body: Body) -> Program:
        """For the run: the scenario itself."""
        self._began_ns = self._stage.cluster.world.now_ns
        made = Program(self._stage, SCENARIO, body, None)
        self._add(made)
        return made

    def _add(self, made: Program) -> None:
        self._programs[made.name] = made
        self._start(made)

    def _crash_at_random(self, program: Program, stream: Stream, every_s: float) -> None:
        world = self._stage.cluster.world

        def crash() -> None:
            program.crash()
            world.call_after(round(stream.uniform(0.1, 1.0) * NS), again)

        def again() -> None:
            program.start()
            world.call_after(round(stream.expovariate(1 / every_s) * NS), crash)

        world.call_after(round(stream.expovariate(1 / every_s) * NS), crash)

    # -- what can happen to machines

    def crash(self, name: str, seconds: float | None = None) -> None:
        """Cut the power of a node or a program. It comes back after ``seconds``; None: with ``restart``, a
        node also when the scenario is over."""
        found = self._host(name)
        self._do("crash", name, found.crash)
        if seconds is not None:
            self._later(seconds, partial(_start, found))

    def restart(self, name: str) -> None:
        """Start what is down; a node that runs is asked to drain first, as SIGTERM does, a program is
        killed."""
        found = self._host(name)
        if isinstance(found, Program):
            self._do("restart", name, found.restart)
        else:
            self._do("restart", name, lambda: self._restart_node(found))

    def pause(self, name: str, seconds: float | None = None) -> None:
        """Let it stand still, as a machine that is being moved does, while its clocks go on."""
        host = self._host(name).host
        self._do("pause", name, host.pause)
        if seconds is not None:
            self._later(seconds, host.resume)

    def resume(self, name: str) -> None:
        """Everything that came meanwhile comes now."""
        self._do("resume", name, self._host(name).host.resume)

    def power_loss(self, seconds: float = 1.0) -> None:
        """Cut the power of all nodes at once; they come back after ``seconds``."""
        for name in self.nodes:
            self.crash(name, seconds)

    def crash_client(self, name: str, restart_after: float | None = None) -> None:
        """``crash`` for a program that was started here; it begins again after ``restart_after`` seconds."""
        if name not in self._programs:
            raise ValueError(f"there is no program {name!r}; there are {', '.join(self._programs)}")
        self.crash(name, restart_after)

    def _restart_node(self, node: SimNode) -> None:
        def start() -> None:
            if node.host.alive:
                self._later(_LOOK_S, start)  # it is not down yet
            else:
                node.start()

        node.stop()
        start()

    def _host(self, name: str) -> SimNode | Program:
        if name == SCENARIO:
            raise ValueError("the scenario cannot do that to itself: start a program and do it to that")
        found = self._programs.get(name)
        if found is not None:
            return found
        for node in self._stage.cluster.nodes:
            if node.host.name == name:
                return node
        known = ", ".join((*self.nodes, *self._programs))
        raise ValueError(f"there is no node or program {name!r} in this world; there are {known}")

    def _do(self, what: str, name: str, action: Callable[[], object]) -> None:
        world = self._stage.cluster.world
        world.trace.add("scenario", name, what)
        world.call_after(0, action)

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self._stage.cluster.world.call_after(round(seconds * NS), action)

    # -- questions

    async def leader(self, queue: str | Queue) -> str:
        """The name of the node that leads the queue now; waits until there is one, and the queue."""
        name = _name(queue)
        while True:
            found = leader_of(self._stage.cluster, name)
            if found is not None:
                await trio.lowlevel.checkpoint()
                return found.host.name
            await trio.sleep(_LOOK_S)

    async def wait_empty(self, queue: str | Queue) -> None:
        """Until the queue holds nothing to be delivered: nothing ready, leased or deferred. Put
        ``trio.fail_after`` around it."""
        async with self.connect() as broker:
            await self._empty(broker, _name(queue))

    async def drain(self, queue: str | Queue) -> list[bytes]:
        """Consume and acknowledge everything that is left, until the queue is empty; the bodies, as they were
        delivered. What other consumers hold is waited for. Put ``trio.fail_after`` around it."""
        bodies: list[bytes] = []
        name = _name(queue)
        async with self.connect() as broker, OpenNursery() as nursery:
            nursery.start_soon(self._take, broker, name, bodies)
            await self._empty(broker, name)
            nursery.cancel_scope.cancel()
        return bodies

    async def _take(self, broker: Broker, name: str, bodies: list[bytes]) -> None:
        async with broker.queue(name).consume() as deliveries:
            async for message in deliveries:
                async with message:
                    bodies.append(message.body)

    async def _empty(self, broker: Broker, name: str) -> None:
        while True:
            try:
                info = await broker.queue(name).info()
            except _TRANSIENT:
                pass
            else:
                if info.ready == info.leased == info.delayed == 0:
                    return
            await trio.sleep(_LOOK_S)

    def expect_no_loss(self, queue: str | Queue) -> None:
        """Every message of the queue whose publish was confirmed has been delivered to somebody, or was
        purged: for when it has been drained. Raises PromiseBroken."""
        name = _name(queue)
        checker = NoConfirmedLoss()

        def ended(op: Op) -> None:
            if op.kind in checker.ops and (op.kind != "publish" or op.queue == name):
                checker.on_op(op)

        replay(self.history.ops, lambda op: checker.on_call(op) if op.kind in checker.calls else None, ended)
        try:
            checker.finish(End(remaining={}))
        except Violation as violation:
            raise PromiseBroken([violation]) from None


def _start(found: SimNode | Program) -> None:
    if not found.host.alive:
        found.start()


def _name(queue: str | Queue) -> str:
    return queue if isinstance(queue, str) else queue.name
