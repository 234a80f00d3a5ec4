"""An open datagram port of a simulated machine.

One rule: what has come waits here, up to the bounds of a kernel's buffer, until the program reads it; beyond
them it is lost, as it is with the incarnation that had the port open.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import trio

from haqactor.env import DATAGRAM_BYTES_MAX, Buffer, StreamReset
from haqactor.sim.host import Host
from haqactor.sim.network.waiter import Waiter

WAITING_MAX: Final = 64
"""Packets that nobody has read yet."""
WAITING_BYTES_MAX: Final = 212_992
"""Bytes of them, but for the only one: what Linux keeps by default."""

Post: TypeAlias = Callable[[bytes, int, str], None]
"""Sends a packet from a port to an address."""


class Stack(Protocol):
    """What a port knows of its machine."""

    host: Host
    is_dead: bool

    def unbind(self, port: int) -> None:
        """Nobody receives there any more."""
        ...


class SimDatagrams:
    """``shown``: the host part of the address as it was asked for."""

    __slots__ = ("_address", "_bytes", "_is_closed", "_port", "_post", "_queue", "_reader", "_stack")

    def __init__(self, stack: Stack, shown: str, port: int, post: Post) -> None:
        self._stack = stack
        self._port = port
        self._post = post
        self._address = f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"
        self._queue: deque[tuple[bytes, str]] = deque()
        self._bytes = 0
        self._is_closed = False
        self._reader = Waiter()

    @property
    def address(self) -> str:
        """``host:port`` with the real port."""
        return self._address

    async def send(self, data: Buffer, to: str) -> None:
        """``env.Datagrams``."""
        packet = bytes(data)
        if len(packet) > DATAGRAM_BYTES_MAX:
            raise ValueError(f"{len(packet)} bytes: a datagram takes {DATAGRAM_BYTES_MAX} at most")
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_over:
            await self._refuse()
        self._post(packet, self._port, to)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def receive(self) -> tuple[bytes, str]:
        """``env.Datagrams``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while not self._queue or self._is_over:
            if self._is_over:
                await self._refuse()
            await self._reader.wait(self._address)
            waited = True
        data, sender = self._queue.popleft()
        self._bytes -= len(data)
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data, sender

    @property
    def _is_over(self) -> bool:
        return self._is_closed or self._stack.is_dead

    async def _refuse(self) -> None:
        await trio.lowlevel.checkpoint()
        raise StreamReset(f"{self._address}: the port was closed")

    async def aclose(self) -> None:
        """``env.Datagrams``."""
        if not self._is_over:
            self._is_closed = True
            self._stack.unbind(self._port)
            self._queue.clear()
            self._reader.wake()
        await trio.lowlevel.checkpoint()

    # -- from the world

    def has_room(self, size: int) -> bool:
        """May a packet of that size come?"""
        waiting = len(self._queue)
        return not waiting or (waiting < WAITING_MAX and self._bytes + size <= WAITING_BYTES_MAX)

    def came(self, data: bytes, sender: str) -> None:
        """A packet has come, for which there is room."""
        self._queue.append((data, sender))
        self._bytes += len(data)
        if self._reader.waits:
            self._stack.host.enter(self._reader.wake)

    def wake_dead(self) -> None:
        """At the end of the world, inside the dead run."""
        self._reader.wake()
