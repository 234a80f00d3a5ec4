"""The trio shell around the core: connections are dialed, read, written, pinged and left here.

One rule: an error of one connection ends that connection only; what it carried goes on over the next one.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, Final

import trio

from haqactor.client.errors import Closed, ConnectionLost
from haqactor.client.lane import Request
from haqactor.client.link import PING_NS, Link
from haqactor.client.options import Options
from haqactor.client.protocol import Core
from haqactor.client.structured import OpenNursery
from haqactor.client.transport import Transport
from haqactor.client.waiting import result
from haqactor.env import Environment, NetworkError, Stream
from haqactor.errors import Error, NoQuorum

NS: Final = 1_000_000_000
_FATAL: Final = ("unauthorized", "protocol_error", "conflict", "invalid_argument")

_SHORT_S: Final = 0.3
"""How long a connection lives where the simulator says that it is a short one."""


class Session:
    """Keeps the connections that the core wants. ``log``: a structlog logger."""

    def __init__(self, transport: Transport, environment: Environment, options: Options, log: Any) -> None:
        self.environment = environment
        self.options = options
        self.log = log
        self.ended: Error | None = None
        random = environment.random
        seeds = list(transport.seeds)
        name = options.session or random.token(16)
        self.core = Core(name, seeds, options, random.below(len(seeds)), self.now_ns())
        self.core.probe = environment.probe
        self._transport = transport
        self._dialing: dict[tuple[str, bool], None] = {}
        self._scopes: dict[Link, trio.CancelScope] = {}
        self._poked = trio.Event()
        self._nap: trio.CancelScope | None = None
        self.core.poke = self._poke
        self.core.rouse = self._rouse

    def now_ns(self) -> int:
        """The monotonic time."""
        return self.environment.clock.monotonic_ns()

    def _poke(self) -> None:
        self._poked.set()

    def _rouse(self) -> int:
        if self._nap is not None:
            self._nap.deadline = min(self._nap.deadline, trio.current_time() + PING_NS / NS)
        return self.now_ns()

    def _jitter(self) -> float:
        return self.environment.random.uniform(0.5, 1.0)

    async def ask(self, group: int, message: Any, *, mutates: bool = False) -> Any:
        """One request's result."""
        return (await self.ask_blob(group, message, mutates=mutates))[0]

    async def ask_blob(self, group: int, message: Any, *, mutates: bool = False) -> tuple[Any, bytes]:
        """One request's result and blob. Raises the error that the cluster answers with."""
        return await self.answer(self.request(group, message, mutates=mutates))

    def request(self, group: int, message: Any, *, mutates: bool = False) -> Request:
        """Send a request; see ``answer``."""
        self.check_open()
        return self.core.request(group, message, mutates=mutates)

    async def answer(self, request: Request) -> tuple[Any, bytes]:
        """A request's result and blob, or its error raised; whoever is cancelled here withdraws it."""
        try:
            return await result(request.outcome)
        finally:
            if not request.outcome.done:
                request.cancel()

    def check_open(self) -> None:
        """Raises Closed, or the ConnectionLost that ended the session."""
        if self.ended is not None:
            raise copy(self.ended)

    async def run(self, nursery: trio.Nursery) -> None:
        """Keep the wanted connections, until cancelled."""
        core = self.core
        while True:
            now_ns = self.now_ns()
            next_ns, silent = core.tick(now_ns)
            for link in silent:
                self.log.warning("node is silent", address=link.address, node=link.node)
                if (scope := self._scopes.get(link)) is not None:  # else it is being closed anyway
                    scope.cancel()
            for address, proxy in core.wanted():
                if (address, proxy) in self._dialing or core.has_link(address, proxy):
                    continue
                if not core.routing.may_dial(address, now_ns):
                    next_ns = min(next_ns, core.routing.next_dial_ns(address))
                    continue
                self._dialing[(address, proxy)] = None
                nursery.start_soon(self._connection, address, proxy)
            self._poked = trio.Event()
            until = trio.current_time() + max(next_ns - self.now_ns(), 1_000_000) / NS
            with trio.CancelScope(deadline=until) as self._nap:
                await self._poked.wait()

    async def _connection(self, address: str, proxy: bool) -> None:
        stream: Stream | None = None
        try:
            with trio.move_on_after(self.options.dial_ns / NS):
                stream = await self._transport.dial(address)
        except NetworkError as error:
            self.log.debug("dial failed", address=address, error=str(error))
        finally:
            del self._dialing[(address, proxy)]
        if stream is None:
            self.core.dial_failed(address, self.now_ns(), self._jitter())
            self._poke()
            return
        link = self.core.connected(address, proxy, self.now_ns())
        orderly = False
        try:
            with trio.CancelScope() as scope:
                self._scopes[link] = scope
                if self.environment.probe.buggify("client.short_connection"):
                    scope.deadline = trio.current_time() + _SHORT_S
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, link, stream, scope)
                    orderly = await self._read(link, stream)
                    scope.cancel()
        finally:
            del self._scopes[link]
            if orderly or self.ended is not None:
                with trio.move_on_after(0.2, shield=True):
                    await stream.aclose()
            stream.abort()
            self.core.disconnected(link, self.now_ns(), self._jitter())

    async def _read(self, link: Link, stream: Stream) -> bool:
        try:
            while data := await stream.receive_some():
                self._take(link, data)
        except NetworkError as error:
            self.log.debug("connection lost", address=link.address, error=str(error))
            return False
        except Error as error:
            self.log.warning("connection refused", address=link.address, error=str(error), code=error.code)
            if error.code in _FATAL:
                self._turned_away(link, error)
            return False
        return True

    @trio.lowlevel.enable_ki_protection
    def _take(self, link: Link, data: bytes) -> None:
        """Not ended by Ctrl-C in the middle: all that an answer lets go on go on."""
        self.core.receive(link, data, self.now_ns())

    def _turned_away(self, link: Link, error: Error) -> None:
        """Who enters hears of the first refusal; a session that was welcomed ends once all refuse it."""
        self.core.welcomed.fail(error)
        if self.core.turned_away(link):
            self.close(ConnectionLost(f"every node that is known refuses this session now: {error}"))

    async def _write(self, link: Link, stream: Stream, scope: trio.CancelScope) -> None:
        core = self.core
        while True:
            woken = trio.Event()
            link.wake = woken.set
            data = core.output(link)
            if not data:
                await woken.wait()
                continue
            try:
                await stream.send_all(data)
            except NetworkError:
                scope.cancel()
                return

    def close(self, error: Error) -> None:
        """Nothing more is taken; whoever still waits hears ``error``."""
        if self.ended is None:
            self.ended = error
            self.core.close(error)


@asynccontextmanager
async def running(
    transport: Transport, environment: Environment, options: Options, log: Any
) -> AsyncGenerator[Session]:
    """A session that was welcomed by a node. Raises NoQuorum when none answers in time, or what a node
    refused us with."""
    session = Session(transport, environment, options, log)
    async with OpenNursery() as nursery:
        nursery.start_soon(session.run, nursery)
        try:
            if options.wait_welcome:
                with trio.move_on_after(options.patience_ns / NS) as patience:
                    await result(session.core.welcomed)
                if patience.cancelled_caught:
                    raise NoQuorum(f"none of {', '.join(transport.seeds)} answers")
            yield session
        finally:
            session.close(Closed("this broker was closed: its block was left"))
            nursery.cancel_scope.cancel()
