"""One TCP connection. One rule: no OSError leaves this file; each becomes a StreamReset.

A plain non-blocking socket and trio's waits on it, rather than ``trio.socket``: a read that drained the
socket is followed by a wait instead of by another read in vain, and bytes can leave without a task.
"""

import socket
import struct
from contextlib import suppress
from math import ceil
from typing import Final

import trio

from haqactor.env import Buffer, StreamReset
from haqactor.runtime.real.descriptors import descriptors_max

UNSENT_BYTES: Final = 262_144
"""Bytes that wait in the kernel beyond what the network takes. The window itself is left to the kernel's
autotuning, which a fixed SO_SNDBUF or SO_RCVBUF would switch off: a bound on what waits without one on what
flies."""

READ_BYTES_MIN: Final = 4096
"""What a read asks for at first; eight times as much after each that was full, half after each to which
little came. Thousands of connections that say little would leave holes all over the heap else: the system's
allocator cuts each large buffer down to the few bytes that came."""

_LINGER_NONE: Final = struct.pack("ii", 1, 0)


def _tune(sock: socket.socket) -> None:
    sock.setblocking(False)
    # A connection that the peer has reset already may refuse these; the first read will tell.
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


class RealStream:
    """``sock``: connected, and this stream's own from now on."""

    __slots__ = ("_broken", "_drained", "_read_bytes", "_remote", "_sending", "_sock")

    def __init__(self, sock: socket.socket, remote: str) -> None:
        self._sock = sock
        self._remote = remote
        self._broken = False
        self._sending = False
        self._drained = True
        self._read_bytes = READ_BYTES_MIN
        _tune(sock)

    @property
    def remote(self) -> str:
        """The peer's address, for logs."""
        return self._remote

    def give_up_after(self, seconds: float) -> None:
        """``env.Stream``. RFC 5482, and keep-alives for a stream that sends nothing; Linux only."""
        if not hasattr(socket, "TCP_USER_TIMEOUT"):
            return
        whole = max(1, ceil(seconds))
        with suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, whole)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, whole // 3))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def is_among_last(self, reserve: int) -> bool:
        """The system gives the lowest number that is free: with one of the last there are no more below."""
        most = descriptors_max()
        return self._sock.fileno() >= most - min(reserve, most // 4)

    def send_now(self, data: Buffer) -> int:
        """What the kernel takes at once, in bytes; 0 also for a stream that is broken, or in the middle of a
        ``send_all``."""
        if self._broken or self._sending or self._sock.fileno() < 0:
            return 0
        try:
            return self._sock.send(data)
        except OSError:
            return 0

    async def send_all(self, data: Buffer) -> None:
        """Hand over all bytes; blocks while the peer does not read. Raises StreamReset. After a cancelled
        send nobody knows how much left, so that every later one raises StreamReset."""
        if self._sending:
            raise trio.BusyResourceError(f"{self._remote}: one task sends")
        if self._broken:
            raise StreamReset(f"{self._remote}: an earlier send was cut short")
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        self._sending = self._broken = True
        try:
            with memoryview(data) as whole:
                sent = 0
                while sent < whole.nbytes:
                    with whole[sent:] as rest:
                        try:
                            sent += self._sock.send(rest)
                            continue
                        except BlockingIOError:
                            pass
                    await trio.lowlevel.wait_writable(self._sock)
            self._broken = False
        except (OSError, ValueError, trio.ClosedResourceError) as error:
            raise self._reset(error) from error
        finally:
            self._sending = False
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def receive_some(self, max_bytes: int = 262_144) -> bytes:
        """The next bytes, at least one; ``b""`` when the peer closed in order. Raises StreamReset."""
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while True:
            try:
                if self._drained:
                    await trio.lowlevel.wait_readable(self._sock)
                    waited = True
                wanted = min(max_bytes, self._read_bytes)
                data = self._sock.recv(wanted)
            except BlockingIOError:
                self._drained = True
                continue
            except (OSError, ValueError, trio.ClosedResourceError) as error:
                raise self._reset(error) from error
            self._drained = 0 < len(data) < wanted
            if len(data) == self._read_bytes:
                self._read_bytes *= 8
            elif len(data) < READ_BYTES_MIN < self._read_bytes:
                self._read_bytes //= 2
            if not waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return data

    def _check_open(self) -> None:
        if self._sock.fileno() < 0:
            raise StreamReset(f"{self._remote}: this end was closed")

    def _reset(self, error: Exception) -> StreamReset:
        if isinstance(error, trio.ClosedResourceError) or self._sock.fileno() < 0:
            return StreamReset(f"{self._remote}: this end was closed")
        return StreamReset(f"{self._remote}: {error}")

    async def aclose(self) -> None:
        """Close in order; bytes handed over are still sent. What the peer sent and nobody read is thrown
        away first: closing over it would make the kernel answer with a reset, which may take our last bytes
        from the peer."""
        if self._sock.fileno() >= 0:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
                self._discard_unread()
            self._close()
        await trio.lowlevel.checkpoint()

    def _discard_unread(self) -> None:
        waste = bytearray(65_536)
        with suppress(BlockingIOError):
            for _ in range(64):  # bounded: a fast peer could go on for ever
                if not self._sock.recv_into(waste):
                    return

    def abort(self) -> None:
        """Close at once with a reset; whoever waits on it gets StreamReset."""
        if self._sock.fileno() >= 0:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            self._close()

    def _close(self) -> None:
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()
