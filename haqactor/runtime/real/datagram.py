"""One UDP port. One rule: no OSError leaves this file: what cannot be sent is lost, what was refused is
silence, and a port that was closed is a StreamReset.

A plain non-blocking socket and trio's waits on it, as for streams: what the kernel takes and gives at once
costs no second call, and a receive that is cancelled has taken nothing.
"""

import errno
import socket
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, TypeAlias

import trio

from haqactor.env import DATAGRAM_BYTES_MAX, Buffer, ConnectFailed, StreamReset
from haqactor.runtime.real.addresses import SocketName, join_address, split_address

NAMES_MAX: Final = 256
"""Addresses that are remembered; beyond them the oldest is looked up again."""
NAME_S: Final = 30.0
"""So long a name keeps the number that was found for it, or that there was none."""
PAUSE_S: Final = 0.02
"""How long receiving rests after an error that is no peer's refusal."""

_REFUSALS: Final = frozenset(
    {
        *(errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH),
        *(errno.EHOSTDOWN, errno.ENETDOWN, errno.EMSGSIZE),
    }
)
_MAPPED: Final = "::ffff:"

Find: TypeAlias = Callable[[str, int, int], Coroutine[Any, Any, SocketName | None]]
"""Looks a host and port up in a family of addresses; None: there is none."""


async def find(host: str, port: int, family: int) -> SocketName | None:
    """Ask the system's resolver. A socket for IPv6 also reaches IPv4, as mapped addresses."""
    flags = socket.AI_V4MAPPED if family == socket.AF_INET6 else 0
    try:
        found = await trio.socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, flags=flags)
    except (OSError, UnicodeError):
        return None
    return found[0][4]


def numeric(host: str, port: int, family: int) -> SocketName | None:
    """The kernel's name of a host that is a number, or that is not given (this machine); None for a name that
    has to be looked up. Raises ConnectFailed where the family has no such number."""
    if not host:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    try:
        number: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return None
    if family == socket.AF_INET:
        if isinstance(number, IPv6Address):
            raise ConnectFailed(f"{host} is IPv6, and the port is open for IPv4")
        return str(number), port
    if isinstance(number, IPv4Address):
        return f"{_MAPPED}{number}", port, 0, 0
    scope = number.scope_id
    if scope is None:
        return str(number), port, 0, 0
    try:
        index = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
    except OSError as error:
        raise ConnectFailed(f"{host}: there is no such interface") from error
    return str(number).partition("%")[0], port, 0, index


def shown(name: SocketName) -> str:
    """A sender as ``host:port``; one that is IPv4 in the guise of IPv6 as what it is."""
    host = str(name[0])
    if host.startswith(_MAPPED) and "." in host:
        return f"{host.removeprefix(_MAPPED)}:{name[1]!s}"
    return join_address(name)


class Names:
    """What names stand for, each asked for once in ``NAME_S`` seconds, also when several ask at once. A name
    that cannot be found any more keeps what it stood for."""

    __slots__ = ("_asked", "_family", "_find", "_known")

    def __init__(self, family: int, find: Find = find) -> None:
        self._family = family
        self._find = find
        self._known: dict[str, tuple[float, SocketName | None]] = {}
        self._asked: dict[str, trio.Event] = {}

    def known(self, address: str) -> tuple[SocketName | None] | None:
        """What is known of it at this moment, in a tuple; None: it has to be asked for."""
        found = self._known.get(address)
        if found is None or found[0] <= trio.current_time():
            return None
        return (found[1],)

    async def resolve(self, address: str) -> SocketName | None:
        """The kernel's name of ``host:port``; None: nobody has it."""
        while (known := self.known(address)) is None:
            asked = self._asked.get(address)
            if asked is None:
                await self._ask(address)
            else:
                await asked.wait()
        return known[0]

    async def _ask(self, address: str) -> None:
        asked = self._asked[address] = trio.Event()
        try:
            found = await self._look_up(address)
        finally:
            del self._asked[address]
            asked.set()
        before = self._known.pop(address, (0.0, None))[1]
        while len(self._known) >= NAMES_MAX:
            del self._known[next(iter(self._known))]
        self._known[address] = trio.current_time() + NAME_S, found or before

    async def _look_up(self, address: str) -> SocketName | None:
        try:
            host, port = split_address(address)
            number = numeric(host, port, self._family)
        except ConnectFailed:
            return None
        return number or await self._find(host, port, self._family)


class RealDatagrams:
    """``sock``: bound, and this port's own from now on. ``unsent``: packets that the system did not take;
    ``refusals``: errors that came instead of a packet, such as a peer's "port unreachable"."""

    __slots__ = ("_address", "_drained", "_names", "_sock", "_turn", "refusals", "unsent")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._address = join_address(sock.getsockname())
        self._names = Names(sock.family)
        self._turn = trio.Lock()
        self._drained = True
        self.unsent = 0
        self.refusals = 0

    @property
    def address(self) -> str:
        """``host:port`` with the real port."""
        return self._address

    async def send(self, data: Buffer, to: str) -> None:
        """Hand one packet over, waiting only for the resolver (a name that is not known yet) and for room in
        the kernel. Raises ValueError beyond DATAGRAM_BYTES_MAX, StreamReset once closed at this end."""
        size = memoryview(data).nbytes
        if size > DATAGRAM_BYTES_MAX:
            raise ValueError(f"{size} bytes: a datagram takes {DATAGRAM_BYTES_MAX} at most")
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        known = self._names.known(to)
        name = known[0] if known is not None else await self._names.resolve(to)
        self._check_open()
        if name is None:
            self.unsent += 1
        elif not self._sent(data, name):
            async with self._turn:  # one task may wait for a socket
                while not self._sent(data, name):
                    await self._wait(trio.lowlevel.wait_writable)
        await trio.lowlevel.cancel_shielded_checkpoint()

    def _sent(self, data: Buffer, name: SocketName) -> bool:
        """False: there is no room just now."""
        self._check_open()
        try:
            self._sock.sendto(data, name)
        except BlockingIOError:
            return False
        except (OSError, OverflowError):
            self.unsent += 1
        return True

    async def receive(self) -> tuple[bytes, str]:
        """The next packet, and who sent it. The kernel keeps what it has room for until it is asked. Raises
        StreamReset once closed at this end."""
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while True:
            if self._drained:
                await self._wait(trio.lowlevel.wait_readable)
                waited = True
            self._check_open()
            try:
                data, name = self._sock.recvfrom(65_535)
            except BlockingIOError:
                self._drained = True
            except OSError as error:
                self.refusals += 1
                self._drained = True
                if error.errno not in _REFUSALS:
                    await trio.sleep(PAUSE_S)
            else:
                self._drained = False
                if not waited:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                return data, shown(name)

    async def _wait(self, until: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> None:
        try:
            await until(self._sock)
        except (OSError, ValueError, trio.ClosedResourceError) as error:
            raise StreamReset(f"{self._address}: the port was closed") from error

    def _check_open(self) -> None:
        if self._sock.fileno() < 0:
            raise StreamReset(f"{self._address}: the port was closed")

    async def aclose(self) -> None:
        """Close the port; whoever waits gets StreamReset."""
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()
        await trio.lowlevel.checkpoint()
