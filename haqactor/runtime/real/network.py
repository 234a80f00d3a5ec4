"""Listening and dialling over TCP, ports for UDP. One rule: no OSError leaves this file; each becomes the
NetworkError that says what happened.

``ConnectRefused`` is exact (ECONNREFUSED and nothing else), since failure detection takes it as proof of a
death.
"""

import errno
import os
import socket
from typing import Final

import trio

from haqactor.env import AddressInUse, ConnectFailed, ConnectRefused, NetworkError, StreamReset
from haqactor.runtime.real.addresses import SocketName, join_address, split_address
from haqactor.runtime.real.datagram import RealDatagrams
from haqactor.runtime.real.stream import RealStream

BACKLOG: Final = 1024
ACCEPT_PAUSE_S: Final = 0.02
"""How long accepting rests when descriptors or memory ran out."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LISTENER_GONE: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})


class RealListener:
    """One open TCP port."""

    __slots__ = ("_address", "_sock")

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._sock = sock
        self._address = join_address(sock.getsockname())

    @property
    def address(self) -> str:
        """``host:port`` with the real port."""
        return self._address

    async def accept(self) -> RealStream:
        """The next connection. Want of descriptors or memory, and connections that died in the queue, only
        delay it. Raises StreamReset once the listener was closed at this end."""
        while True:
            try:
                sock, name = await self._sock.accept()
            except trio.ClosedResourceError as error:
                raise StreamReset(f"{self._address}: the listener was closed") from error
            except OSError as error:
                if error.errno in _LISTENER_GONE:
                    raise StreamReset(f"{self._address}: the listener was closed") from error
                await trio.sleep(ACCEPT_PAUSE_S if error.errno in _EXHAUSTED else 0)
            else:
                return RealStream(_detached(sock), join_address(name))

    async def aclose(self) -> None:
        """Close the port; streams accepted from it live on."""
        self._sock.close()
        await trio.lowlevel.checkpoint()


class RealNetwork:
    """TCP and UDP over IPv4 and IPv6."""

    __slots__ = ()

    async def listen(self, address: str) -> RealListener:
        """Open a port (0: any free one). Raises AddressInUse, ConnectFailed."""
        sock, name = await _bindable(address, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await sock.bind(name)
            sock.listen(BACKLOG)
            return RealListener(sock)
        except OSError as error:
            sock.close()
            raise _unbound(address, error) from error
        except BaseException:
            sock.close()
            raise

    async def datagrams(self, address: str) -> RealDatagrams:
        """Open a port for packets (0: any free one). Raises AddressInUse, ConnectFailed."""
        sock, name = await _bindable(address, socket.SOCK_DGRAM)  # no SO_REUSEADDR: it would share the port
        try:
            await sock.bind(name)
            return RealDatagrams(_detached(sock))
        except OSError as error:
            sock.close()
            raise _unbound(address, error) from error
        except BaseException:
            sock.close()
            raise

    async def dial(self, address: str) -> RealStream:
        """Connect, trying the addresses of a name in turn. Raises ConnectRefused if all of them refused, else
        ConnectFailed."""
        host, port = split_address(address)
        try:
            found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # a name that no name may be is a UnicodeError
            raise ConnectFailed(f"cannot find {address}: {error}") from error
        failures: list[OSError] = []
        for family, kind, protocol, _, name in found:
            try:
                return await _connect(family, kind, protocol, name, address)
            except OSError as error:
                failures.append(error)
        raise _why(address, failures) from failures[-1]


async def _bindable(address: str, kind: int) -> tuple[trio.socket.SocketType, SocketName]:
    """A socket for an address of this machine, and what to bind it to. Raises ConnectFailed."""
    host, port = split_address(address)
    try:
        found = await trio.socket.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, name = found[0]
        sock = trio.socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(f"cannot listen on {address}: {error}") from error
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    except OSError as error:
        sock.close()
        raise ConnectFailed(f"cannot listen on {address}: {error}") from error
    return sock, name


def _unbound(address: str, error: OSError) -> NetworkError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(f"another process listens on {address}: stop it, or configure another port")
    return ConnectFailed(f"cannot listen on {address}: {error}")


async def _connect(family: int, kind: int, protocol: int, name: SocketName, address: str) -> RealStream:
    sock = trio.socket.socket(family, kind, protocol)
    try:
        await sock.connect(name)
        if sock.getsockname() == sock.getpeername():
            # The kernel picked the very port we dial as our own, and joined us to ourselves: nobody listens
            # there.
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    except BaseException:
        sock.close()
        raise
    return RealStream(_detached(sock), address)


def _detached(sock: trio.socket.SocketType) -> socket.socket:
    return socket.socket(fileno=sock.detach())


def _why(address: str, failures: list[OSError]) -> NetworkError:
    if all(error.errno == errno.ECONNREFUSED for error in failures):
        return ConnectRefused(f"nobody listens on {address}")
    other = next(error for error in failures if error.errno != errno.ECONNREFUSED)
    return ConnectFailed(f"cannot reach {address}: {other}")
