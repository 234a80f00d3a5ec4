"""A bare connection to a node's port, for saying what no proper client says."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio

from haqactor import wire
from haqactor.frame import Decoder, Frame

PATIENCE_S = 10.0
SESSION = b"s" * 16


def hello(**changes: Any) -> wire.Hello:
    """A proper Hello, but for what is changed."""
    proper = wire.Hello(wire.VERSION_MIN, wire.VERSION_MAX, ["none"], "a test", SESSION, b"", False)
    return proper._replace(**changes)


class Raw:
    """One connection. Every wait is bounded by ``PATIENCE_S``."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._decoder = Decoder(64 * 1024 * 1024)
        self._frames: list[Frame] = []

    async def send(self, data: bytes) -> None:
        """Hand over the bytes, unless the node ended the connection already."""
        try:
            with trio.fail_after(PATIENCE_S):
                await self.stream.send_all(data)
        except trio.BrokenResourceError:
            return

    async def frame(self) -> Frame | None:
        """The next frame; None once the connection has ended."""
        with trio.fail_after(PATIENCE_S):
            while not self._frames:
                try:
                    data = await self.stream.receive_some(65_536)
                except trio.BrokenResourceError:
                    return None
                if not data:
                    return None
                self._frames = self._decoder.feed(data)
        return self._frames.pop(0)

    async def until_end(self) -> list[Frame]:
        """All frames until the node ends the connection."""
        frames: list[Frame] = []
        while (frame := await self.frame()) is not None:
            frames.append(frame)
        return frames

    async def reply(self, rid: int) -> wire.Reply | wire.Failed:
        """The answer to a request."""
        while (frame := await self.frame()) is not None:
            message = wire.parse(frame)
            if isinstance(message, wire.Reply | wire.Failed) and message.rid == rid:
                return message
        raise AssertionError("the connection ended before the answer")


@asynccontextmanager
async def raw(address: str) -> AsyncGenerator[Raw]:
    """Connect to ``host:port``."""
    host, _, port = address.rpartition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        yield Raw(stream)


@asynccontextmanager
async def greeted(address: str) -> AsyncGenerator[Raw]:
    """Connect, and get the Welcome."""
    async with raw(address) as connection:
        await connection.send(wire.pack(hello()))
        frame = await connection.frame()
        assert frame is not None
        assert isinstance(wire.parse(frame), wire.Welcome)
        yield connection
