"""Listening and dialling over TCP. One rule: no OSError leaves this file; each becomes the NetworkError that
says what happened.

``ConnectRefused`` is exact (ECONNREFUSED and nothing else), since failure detection takes it as proof of a
death.
"""

import errno
import os
import socket
from typing import Final

import trio

from haqactor.env import AddressInUse, ConnectFailed, ConnectRefused, NetworkError, StreamReset
from haqactor.runtime.real.stream import RealStream

BACKLOG: Final = 1024
ACCEPT_PAUSE_S: Final = 0.02
"""How long accepting rests when descriptors or memory ran out."""

SocketName = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What the kernel calls an end; the third kind only where Python was built without IPv6."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LISTENER_GONE: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port`` as host and port. Raises ConnectFailed when it is neither."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ConnectFailed(f"{address!r} is no address: write host:port, or [host]:port for IPv6")
    return host, int(port)


def join_address(name: SocketName) -> str:
    """A socket's name as ``host:port``."""
    host, port = name[0], name[1]
    return f"[{host!s}]:{port!s}" if ":" in str(host) else f"{host!s}:{port!s}"


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
    """TCP over IPv4 and IPv6."""

    __slots__ = ()

    async def listen(self, address: str) -> RealListener:
        """Open a port (0: any free one). Raises AddressInUse, ConnectFailed."""
        host, port = split_address(address)
        try:
            found = await trio.socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, kind, protocol, _, name = found[0]
            sock = trio.socket.socket(family, kind, protocol)
        except OSError as error:
            raise ConnectFailed(f"cannot listen on {address}: {error}") from error
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            await sock.bind(name)
            sock.listen(BACKLOG)
            return RealListener(sock)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(
                    f"another process listens on {address}: stop it, or configure another port"
                ) from error
            raise ConnectFailed(f"cannot listen on {address}: {error}") from error
        except BaseException:
            sock.close()
            raise

    async def dial(self, address: str) -> RealStream:
        """Connect, trying the addresses of a name in turn. Raises ConnectRefused if all of them refused, else
        ConnectFailed."""
        host, port = split_address(address)
        try:
            found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConnectFailed(f"cannot find {address}: {error}") from error
        failures: list[OSError] = []
        for family, kind, protocol, _, name in found:
            try:
                return await _connect(family, kind, protocol, name, address)
            except OSError as error:
                failures.append(error)
        raise _why(address, failures) from failures[-1]


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
