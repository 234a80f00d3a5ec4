"""TCP for production. One rule: no OSError leaves this file; each becomes the NetworkError that says what
happened.

``ConnectRefused`` is exact (ECONNREFUSED and nothing else), since failure detection takes it as proof of a
death.
"""

import errno
import os
import socket
import struct
from contextlib import suppress
from typing import Final

import trio

from haqactor.env import AddressInUse, Buffer, ConnectFailed, ConnectRefused, NetworkError, StreamReset

BACKLOG: Final = 1024
UNSENT_BYTES: Final = 262_144
"""Bytes that wait in the kernel beyond what the network takes. The window itself is left to the kernel's
autotuning, which a fixed SO_SNDBUF or SO_RCVBUF would switch off: a bound on what waits without one on what
flies."""
ACCEPT_PAUSE_S: Final = 0.02
"""How long accepting rests when descriptors or memory ran out."""

SocketName = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What the kernel calls an end; the third kind only where Python was built without IPv6."""

_LINGER_NONE: Final = struct.pack("ii", 1, 0)
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


def _tune(sock: trio.socket.SocketType) -> None:
    # A connection that the peer has reset already may refuse these; the first read will tell.
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


class RealStream:
    """One TCP connection."""

    __slots__ = ("_broken", "_remote", "_sock")

    def __init__(self, sock: trio.socket.SocketType, remote: str) -> None:
        self._sock = sock
        self._remote = remote
        self._broken = False
        _tune(sock)

    @property
    def remote(self) -> str:
        """The peer's address, for logs."""
        return self._remote

    async def send_all(self, data: Buffer) -> None:
        """Hand over all bytes; blocks while the peer does not read. Raises StreamReset. After a cancelled
        send nobody knows how much left, so that every later one raises StreamReset."""
        if self._broken:
            raise StreamReset(f"{self._remote}: an earlier send was cut short")
        send = self._sock.send
        done = False
        try:
            sent = await send(data)
            with memoryview(data) as whole:
                while sent < whole.nbytes:
                    with whole[sent:] as rest:
                        sent += await send(rest)
            done = True
        except (OSError, trio.ClosedResourceError, trio.BrokenResourceError) as error:
            raise self._reset(error) from error
        finally:
            self._broken = not done

    async def receive_some(self, max_bytes: int = 262_144) -> bytes:
        """The next bytes, at least one; ``b""`` when the peer closed in order. Raises StreamReset."""
        try:
            return await self._sock.recv(max_bytes)
        except (OSError, trio.ClosedResourceError, trio.BrokenResourceError) as error:
            raise self._reset(error) from error

    def _reset(self, error: Exception) -> StreamReset:
        if isinstance(error, trio.ClosedResourceError) or self._sock.fileno() < 0:
            return StreamReset(f"{self._remote}: this end was closed")
        return StreamReset(f"{self._remote}: {error}")

    async def aclose(self) -> None:
        """Close in order; bytes handed over are still sent. What the peer sent and nobody read is thrown
        away first: closing over it would make the kernel answer with a reset, which may take our last bytes
        from the peer."""
        if self._sock.fileno() >= 0:
            with suppress(OSError, trio.ClosedResourceError):
                self._sock.shutdown(socket.SHUT_WR)
                self._discard_unread()
            self._sock.close()
        await trio.lowlevel.checkpoint()

    def _discard_unread(self) -> None:
        waste = bytearray(65_536)
        with socket.socket(fileno=os.dup(self._sock.fileno())) as raw:
            raw.setblocking(False)
            with suppress(BlockingIOError):
                for _ in range(64):  # bounded: a fast peer could go on for ever
                    if not raw.recv_into(waste):
                        return

    def abort(self) -> None:
        """Close at once with a reset; whoever waits on it gets StreamReset."""
        if self._sock.fileno() >= 0:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            self._sock.close()


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
                return RealStream(sock, join_address(name))

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
    return RealStream(sock, address)


def _why(address: str, failures: list[OSError]) -> NetworkError:
    if all(error.errno == errno.ECONNREFUSED for error in failures):
        return ConnectRefused(f"nobody listens on {address}")
    other = next(error for error in failures if error.errno != errno.ECONNREFUSED)
    return ConnectFailed(f"cannot reach {address}: {other}")
