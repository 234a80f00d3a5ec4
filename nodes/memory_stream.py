"""Two ends of a byte stream inside one program: how an embedded broker talks to its own node.

One rule: it behaves as a socket does, bounded buffer, orderly end and reset included, so that embedded and
remote use are one path."""

from typing import Final

import trio

from haqactor.env import Buffer, StreamReset

_BUFFER_BYTES_MAX: Final = 1024 * 1024


class _Pipe:
    """One direction."""

    __slots__ = ("_changed", "broken", "ended", "parts", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.ended = False
        self.broken = False
        self._changed = trio.Event()

    def touch(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def wait(self) -> None:
        await self._changed.wait()


class MemoryStream:
    """One end; implements ``env.Stream``."""

    def __init__(self, out: _Pipe, into: _Pipe, remote: str) -> None:
        self._out = out
        self._in = into
        self._remote = remote
        self._closed = False

    @property
    def remote(self) -> str:
        """A name for logs."""
        return self._remote

    def give_up_after(self, seconds: float) -> None:
        """There is nothing between the ends that could be silent."""

    def is_among_last(self, reserve: int) -> bool:
        """It needs no descriptor."""
        return False

    def send_now(self, data: Buffer) -> int:
        """As much as there is room for."""
        pipe = self._out
        if pipe.broken or pipe.ended:
            return 0
        part = memoryview(data)[: max(0, _BUFFER_BYTES_MAX - pipe.size)]
        if len(part):
            pipe.parts.append(bytes(part))
            pipe.size += len(part)
            pipe.touch()
        return len(part)

    async def send_all(self, data: Buffer) -> None:
        """Hand over as much as there is room for, wait, and so on. Cancelled, a part of it may be out."""
        await trio.lowlevel.checkpoint()
        pipe = self._out
        left = memoryview(data)
        while True:
            while pipe.size >= _BUFFER_BYTES_MAX and not (pipe.broken or pipe.ended):
                await pipe.wait()
            if pipe.broken or pipe.ended:
                raise StreamReset("the other end of an in-memory stream is gone")
            left = left[self.send_now(left) :]
            if not len(left):
                return

    async def receive_some(self, max_bytes: int = 262_144) -> bytes:
        """What is there, up to ``max_bytes``."""
        await trio.lowlevel.checkpoint()
        pipe = self._in
        while not pipe.parts:
            if pipe.broken or self._closed:
                raise StreamReset("an in-memory stream was aborted")
            if pipe.ended:
                return b""
            await pipe.wait()
        data = b"".join(pipe.parts)
        pipe.parts.clear()
        if len(data) > max_bytes:
            pipe.parts.append(data[max_bytes:])
            data = data[:max_bytes]
        pipe.size -= len(data)
        pipe.touch()
        return data

    async def aclose(self) -> None:
        """End this direction in order; the other end may still send until it sees it."""
        self._closed = True
        self._out.ended = True
        self._out.touch()
        self._in.touch()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """End both directions at once."""
        self._closed = True
        for pipe in (self._out, self._in):
            if not (pipe is self._out and pipe.ended):
                pipe.broken = True
            pipe.touch()


def memory_stream_pair(left: str, right: str) -> tuple[MemoryStream, MemoryStream]:
    """(the left end, the right end), each named for the other's logs."""
    forth, back = _Pipe(), _Pipe()
    return MemoryStream(forth, back, right), MemoryStream(back, forth, left)
