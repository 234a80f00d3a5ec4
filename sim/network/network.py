"""The simulated twin of ``env.Network``.

One rule: a machine's name is the host part of its addresses; the names of the loopback and of any address
stand for the machine itself.
"""

from contextlib import suppress
from functools import partial
from typing import Final

import trio

from haqactor.env import ConnectFailed, ConnectRefused
from haqactor.sim.host import Host
from haqactor.sim.network.datagrams import SimDatagrams
from haqactor.sim.network.fabric import Fabric
from haqactor.sim.network.listener import SimListener
from haqactor.sim.network.machine import Machine, Stack
from haqactor.sim.network.stream import OPEN, SimStream

_SELF: Final = ("localhost", "127.0.0.1", "::1")
_ANY: Final = ("", "0.0.0.0", "::")


def split_address(address: str) -> tuple[str, int]:
    """``name:port`` or ``[v6]:port``. Raises ConnectFailed."""
    name, colon, port = address.rpartition(":")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    elif ":" in name:
        colon = ""
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ConnectFailed(f"{address!r} is no address: write host:port, or [host]:port for IPv6")
    return name, int(port)


class SimNetwork:
    """What the programs of ``host`` see. ``name``: of the machine; the host's own name unless several
    machines share one run (many clients in one program)."""

    __slots__ = ("_fabric", "_host", "_machine")

    def __init__(self, fabric: Fabric, host: Host, name: str | None = None) -> None:
        self._fabric = fabric
        self._host = host
        self._machine = fabric.add(name or host.name, host)

    @property
    def name(self) -> str:
        """The host part of its addresses."""
        return self._machine.name

    async def listen(self, address: str) -> SimListener:
        """``env.Network``."""
        await trio.lowlevel.checkpoint()
        shown, port = self._own(address)
        return self._stack(address).listen(shown, port)

    async def datagrams(self, address: str) -> SimDatagrams:
        """``env.Network``."""
        await trio.lowlevel.checkpoint()
        shown, port = self._own(address)
        stack = self._stack(address)
        return stack.bind(shown, port, partial(self._post, stack))

    def _post(self, stack: Stack, data: bytes, port: int, to: str) -> None:
        with suppress(ConnectFailed):  # what is no address is nobody's
            name, to_port = split_address(to)
            target = self._target(name)
            if target is not None:
                self._fabric.post(data, stack, port, target, to_port)

    def _target(self, name: str) -> Machine | None:
        return self._fabric.machine(self.name if name in (*_SELF, *_ANY) else name)

    def _own(self, address: str) -> tuple[str, int]:
        shown, port = split_address(address)
        if shown not in (self.name, *_SELF, *_ANY):
            raise ConnectFailed(f"cannot listen on {address}: it is no address of {self.name}")
        return shown, port

    async def dial(self, address: str) -> SimStream:
        """``env.Network``."""
        await trio.lowlevel.checkpoint()
        name, port = split_address(address)
        self._stack(address)
        target = self._target(name)
        if target is None:
            raise ConnectFailed(f"cannot find {address}: nobody in this world has that name")
        stream = self._fabric.connect(self._machine, self._host, target, port)
        with trio.move_on_after(self._fabric.dial_timeout_ns / 1e9):
            await stream.opening()
        if stream.state == OPEN:
            return stream
        if stream.was_refused:
            raise ConnectRefused(f"nobody listens on {address}")
        raise ConnectFailed(f"cannot reach {address}: no answer")

    def _stack(self, address: str) -> Stack:
        if not self._host.alive:
            raise ConnectFailed(f"{address}: this machine is off")
        return self._machine.boot(self._host)
