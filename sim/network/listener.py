"""An open port of a simulated machine.

One rule: a connection is made by the machine and waits here, up to a bound, until the program accepts it.
"""

from collections import deque
from typing import Final, Protocol

import trio

from haqactor.env import StreamReset
from haqactor.sim.host import Host
from haqactor.sim.network.stream import SimStream
from haqactor.sim.network.waiter import Waiter

BACKLOG: Final = 1024


class Stack(Protocol):
    """What a listener knows of its machine."""

    host: Host
    is_dead: bool

    def unlisten(self, port: int) -> None:
        """Nobody listens there any more."""
        ...


class SimListener:
    """``shown``: the host part of the address as it was asked for."""

    __slots__ = ("_acceptor", "_address", "_is_closed", "_port", "_queue", "_stack")

    def __init__(self, stack: Stack, shown: str, port: int) -> None:
        self._stack = stack
        self._port = port
        self._address = f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"
        self._queue: deque[SimStream] = deque()
        self._is_closed = False
        self._acceptor = Waiter()

    @property
    def address(self) -> str:
        """``host:port`` with the real port."""
        return self._address

    async def accept(self) -> SimStream:
        """``env.Listener``. Raises StreamReset once it was closed."""
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while not self._queue or self._is_closed or self._stack.is_dead:
            if self._is_closed or self._stack.is_dead:
                await trio.lowlevel.checkpoint()
                raise StreamReset(f"{self._address}: the listener was closed")
            await self._acceptor.wait(self._address)
            waited = True
        stream = self._queue.popleft()
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return stream

    async def aclose(self) -> None:
        """Close the port; streams accepted from it live on, those that wait are reset."""
        if not self._is_closed and not self._stack.is_dead:
            self._is_closed = True
            self._stack.unlisten(self._port)
            for stream in self._queue:
                stream.abort()
            self._queue.clear()
            self._acceptor.wake()
        await trio.lowlevel.checkpoint()

    @property
    def is_full(self) -> bool:
        """No more connections may wait."""
        return len(self._queue) >= BACKLOG

    def connected(self, stream: SimStream) -> None:
        """A connection was made; called from the world."""
        self._queue.append(stream)
        if self._acceptor.waits:
            self._stack.host.enter(self._acceptor.wake)

    def wake_dead(self) -> None:
        """At the end of the world, inside the dead run."""
        self._acceptor.wake()
