"""An environment in memory: trio's clock, streams within the program, a disk that forgets, seeded chance.

One rule: it keeps what ``haqactor.env`` promises, so that under ``autojump_clock`` a node runs on it without
waiting for anything real.
"""

from collections.abc import Awaitable, Callable
from math import inf
from random import Random as Source
from typing import TypeVar

import trio

from haqactor.config import split_address
from haqactor.env import (
    DATAGRAM_BYTES_MAX,
    AddressInUse,
    Buffer,
    ConnectFailed,
    ConnectRefused,
    Datagrams,
    Disk,
    Environment,
    Listener,
    NullProbe,
    Stream,
    StreamReset,
)
from haqactor.errors import Error
from haqactor.nodes.memory_stream import MemoryStream, memory_stream_pair
from tests.builders.memory_disk import MemoryDisk

T = TypeVar("T")
EPOCH_NS = 1_700_000_000_000_000_000


class TrioClock:
    """Time as trio has it; the wall clock stands at a fixed date when trio's is 0, plus ``skew_ns``."""

    def __init__(self, skew_ns: int = 0) -> None:
        self.skew_ns = skew_ns

    def monotonic_ns(self) -> int:
        return round(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return EPOCH_NS + self.skew_ns + self.monotonic_ns()


class SeededRandom:
    """Chance that repeats itself."""

    def __init__(self, seed: int) -> None:
        self._source = Source(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._source.uniform(low, high)

    def below(self, bound: int) -> int:
        return self._source.randrange(bound)

    def token(self, size: int) -> bytes:
        return self._source.randbytes(size)


class InlineOffload:
    """Work is done at once, on the loop."""

    def run(self, function: Callable[[], T], *, cost_bytes: int = 0) -> Awaitable[T]:
        async def work() -> T:
            await trio.lowlevel.checkpoint()
            return function()

        return work()


class MemoryListener:
    """An open port of a ``MemoryNetwork``."""

    def __init__(self, network: "MemoryNetwork", address: str) -> None:
        self._network = network
        self._address = address
        self.send, self._receive = trio.open_memory_channel[MemoryStream](inf)

    @property
    def address(self) -> str:
        return self._address

    async def accept(self) -> Stream:
        try:
            return await self._receive.receive()
        except (trio.ClosedResourceError, trio.EndOfChannel) as error:
            raise ConnectFailed(f"{self._address} is closed") from error

    async def aclose(self) -> None:
        self._network.listeners.pop(self._address, None)
        self._receive.close()
        await trio.lowlevel.checkpoint()


class MemoryDatagrams:
    """An open datagram port of a ``MemoryNetwork``; it loses nothing that is sent to an open port."""

    def __init__(self, network: "MemoryNetwork", address: str) -> None:
        self._network = network
        self._address = address
        self._is_closed = False
        self.came, self._receive = trio.open_memory_channel[tuple[bytes, str]](inf)

    @property
    def address(self) -> str:
        return self._address

    async def send(self, data: Buffer, to: str) -> None:
        if len(bytes(data)) > DATAGRAM_BYTES_MAX:
            raise ValueError(f"a datagram takes {DATAGRAM_BYTES_MAX} bytes at most")
        await trio.lowlevel.checkpoint()
        if self._is_closed:
            raise StreamReset(f"{self._address} is closed")
        opened = self._network.datagram_ports.get(to)
        if opened is not None and to not in self._network.unreachable:
            opened.came.send_nowait((bytes(data), self._address))

    async def receive(self) -> tuple[bytes, str]:
        try:
            return await self._receive.receive()
        except (trio.ClosedResourceError, trio.EndOfChannel) as error:
            raise StreamReset(f"{self._address} is closed") from error

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._network.datagram_ports.pop(self._address, None)
            self._receive.close()
        await trio.lowlevel.checkpoint()


class MemoryNetwork:
    """All hosts' ports. ``refuse``: addresses at which dialling fails as if no process were there;
    ``unreachable``: as if no host were. ``links``: both ends of every connection, by the address dialled."""

    def __init__(self) -> None:
        self.listeners: dict[str, MemoryListener] = {}
        self.datagram_ports: dict[str, MemoryDatagrams] = {}
        self.refuse: dict[str, bool] = {}
        self.unreachable: dict[str, bool] = {}
        self.links: dict[str, list[tuple[MemoryStream, MemoryStream]]] = {}
        self.dials = 0
        self._port = 40_000

    def _real(self, address: str) -> str:
        host, port = self._parts(address)
        if port == 0:
            self._port += 1
            address = f"{host}:{self._port}"
        return address

    async def datagrams(self, address: str) -> Datagrams:
        await trio.lowlevel.checkpoint()
        address = self._real(address)
        if address in self.datagram_ports:
            raise AddressInUse(f"{address} is in use")
        opened = self.datagram_ports[address] = MemoryDatagrams(self, address)
        return opened

    async def listen(self, address: str) -> Listener:
        await trio.lowlevel.checkpoint()
        address = self._real(address)
        if address in self.listeners:
            raise AddressInUse(f"{address} is in use")
        listener = self.listeners[address] = MemoryListener(self, address)
        return listener

    async def dial(self, address: str) -> Stream:
        await trio.lowlevel.checkpoint()
        self.dials += 1
        self._parts(address)
        if address in self.unreachable:
            raise ConnectFailed(f"{address} cannot be reached")
        listener = self.listeners.get(address)
        if listener is None or address in self.refuse:
            raise ConnectRefused(f"nobody listens at {address}")
        near, far = memory_stream_pair("dialler", address)
        self.links.setdefault(address, []).append((near, far))
        listener.send.send_nowait(far)
        return near

    def reset(self, address: str) -> None:
        """Break every connection that was dialled to ``address``."""
        for near, far in self.links.pop(address, []):
            near.abort()
            far.abort()

    @staticmethod
    def _parts(address: str) -> tuple[str, int]:
        try:
            return split_address(address, "address")
        except Error as error:
            raise ConnectFailed(f"{address!r} is no address") from error


def memory_environment(
    network: MemoryNetwork | None = None, disk: Disk | None = None, *, seed: int = 1, skew_ns: int = 0
) -> Environment:
    """One host's environment; hosts that share ``network`` reach each other."""
    return Environment(
        clock=TrioClock(skew_ns),
        network=network or MemoryNetwork(),
        disk=disk or MemoryDisk(),
        random=SeededRandom(seed),
        offload=InlineOffload(),
        probe=NullProbe(),
    )
