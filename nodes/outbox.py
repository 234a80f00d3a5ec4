"""An outbox: bytes on their way out of one connection, joined into large writes.

One rule: putting is synchronous; the owner of the connection bounds what it lets others put (credit,
windows), and drops the connection rather than the middle of a stream."""

import trio

from haqactor.env import Stream


class Outbox:
    """Frames waiting for the socket. One task runs ``pump``."""

    __slots__ = ("_closing", "_ended", "_parts", "_space", "_wake", "pending_bytes", "sent_bytes")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._wake = trio.Event()
        self._space: trio.Event | None = None
        self._closing = False
        self._ended = False
        self.pending_bytes = 0
        self.sent_bytes = 0

    def put(self, frame: bytes) -> None:
        """Queue one frame."""
        self._parts.append(frame)
        self.pending_bytes += len(frame)
        self._wake.set()

    def finish(self) -> None:
        """Let ``pump`` end once everything queued is out."""
        self._closing = True
        self._wake.set()

    async def wait_below(self, bytes_max: int) -> None:
        """Return once less than ``bytes_max`` is pending, or nobody sends any more."""
        while self.pending_bytes >= bytes_max and not self._ended:
            if self._space is None:
                self._space = trio.Event()
            await self._space.wait()

    async def wait_ended(self) -> None:
        """Return once nobody sends any more."""
        while not self._ended:
            await self.wait_below(0)

    def end(self) -> None:
        """Nobody will send any more: whoever waits for room goes on, and finds the connection gone."""
        self._ended = True
        if self._space is not None:
            self._space.set()
            self._space = None

    async def pump(self, stream: Stream) -> None:
        """Send until ``finish``; raises what the stream raises."""
        try:
            await self._pump(stream)
        finally:
            self.end()

    async def _pump(self, stream: Stream) -> None:
        while True:
            if not self._parts:
                if self._closing:
                    return
                self._wake = trio.Event()
                await self._wake.wait()
                continue
            parts, self._parts = self._parts, []
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            await stream.send_all(data)
            self.sent_bytes += len(data)
            self.pending_bytes -= len(data)
            if self._space is not None:
                self._space.set()
                self._space = None
