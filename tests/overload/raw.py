"""A connection without a client behind it, for what no client of ours does: to ask, and never to read.

One rule: after its greeting it does only what it is told to.
"""

import os
import socket
from typing import Final

import trio

from haqactor import wire
from haqactor.config import split_address
from haqactor.env import ConnectFailed, Stream
from haqactor.errors import ProtocolError
from haqactor.frame import Decoder
from haqactor.runtime.real.stream import RealStream

_FRAME_BYTES_MAX: Final = 2 * 1024 * 1024
_KERNEL_BYTES: Final = 16_384
"""What the kernel may keep for one that does not read: else megabytes, which no node's memory shows."""


class RawConnection:
    """Made by ``greeted``."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    @classmethod
    async def greeted(cls, address: str) -> "RawConnection":
        """Once the node's Welcome has come. Raises NetworkError, ProtocolError."""
        stream = await _dial(address)
        try:
            await stream.send_all(
                wire.pack(
                    wire.Hello(
                        wire.VERSION_MIN, wire.VERSION_MAX, ["none"], "overload", os.urandom(16), b"", False
                    )
                )
            )
            decoder = Decoder(_FRAME_BYTES_MAX)
            while not (frames := decoder.feed(await _some(stream))):
                pass
            first = wire.parse(frames[0])
            if not isinstance(first, wire.Welcome):
                raise ProtocolError(f"{address} answered a hello with {first!r:.80}")
        except BaseException:
            stream.abort()
            raise
        return cls(stream)

    async def subscribe(self, group: int, uid: int, messages: int, size: int) -> None:
        """With that credit. The answer is not read. Raises NetworkError."""
        await self.stream.send_all(wire.pack(wire.Subscribe(1, group, uid, 1, 1, messages, size, [])))

    async def ping(self) -> None:
        """As a client does that has nothing to say. Raises NetworkError."""
        await self.stream.send_all(wire.pack(wire.Ping(0)))

    async def read(self) -> bytes:
        """Whatever has come. Raises NetworkError, ProtocolError where the node ended it."""
        return await _some(self.stream)


async def _dial(address: str) -> Stream:
    sock = trio.socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
        await sock.connect(split_address(address, "address"))
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise ConnectFailed(f"cannot reach {address}: {error}") from error
        raise
    return RealStream(socket.socket(fileno=sock.detach()), address)


async def _some(stream: Stream) -> bytes:
    data = await stream.receive_some()
    if not data:
        raise ProtocolError(f"{stream.remote} ended the connection")
    return data
