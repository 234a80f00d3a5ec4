"""An outbox: bytes on their way out of one connection, joined into large writes.

One rule: putting is synchronous; the owner of the connection bounds what it lets others put (credit,
windows), and drops the connection rather than the middle of a stream.

What an actor's turn, or a heartbeat, puts leaves with its end, as far as the socket takes it; the task that
pumps is for the rest. So peers and clients have it before this node's own disk is waited for.
"""

from collections import deque
from typing import Final

import trio

from haqactor.env import Stream

_AT_ONCE_BYTES_MAX: Final = 65_536
"""More is left to the pump, which joins it with what other turns of the same pass put."""


class Departures:
    """The outboxes that a turn of an actor has put into. One turn at a time: turns are synchronous."""

    __slots__ = ("_outboxes", "turning")

    def __init__(self) -> None:
        self._outboxes: list[Outbox] = []
        self.turning = False

    def add(self, outbox: "Outbox") -> None:
        """It gets its first frame of this turn."""
        self._outboxes.append(outbox)

    def begin(self) -> None:
        """A turn begins."""
        self.turning = True

    def end(self) -> None:
        """A turn ends."""
        self.turning = False
        if self._outboxes:
            outboxes, self._outboxes = self._outboxes, []
            for outbox in outboxes:
                outbox.depart()


class Outbox:
    """Frames waiting for the socket. One task runs ``pump``."""

    __slots__ = (
        "_closing",
        "_departing",
        "_departures",
        "_ended",
        "_idle",
        "_later",
        "_parts",
        "_space",
        "_wake",
        "later_bytes",
        "pending_bytes",
        "sent_bytes",
    )

    def __init__(self, departures: Departures | None = None) -> None:
        self._departures = departures or Departures()
        self._departing = False
        self._idle: Stream | None = None
        self._parts: list[bytes] = []
        self._later: deque[bytes] = deque()
        self._wake = trio.Event()
        self._space: trio.Event | None = None
        self._closing = False
        self._ended = False
        self.pending_bytes = 0
        self.later_bytes = 0
        self.sent_bytes = 0

    def put(self, frame: bytes) -> None:
        """Queue one frame."""
        self._parts.append(frame)
        self.pending_bytes += len(frame)
        if not self._departures.turning:
            self._wake.set()
        elif not self._departing:
            self._departing = True
            self._departures.add(self)

    def put_later(self, frame: bytes) -> None:
        """Queue one frame that all frames of ``put`` may overtake; those of ``put_later`` keep their order.
        They count in ``later_bytes``, not in ``pending_bytes``."""
        self._later.append(frame)
        self.later_bytes += len(frame)
        self._wake.set()

    def depart(self) -> None:
        """Send what the socket takes now, if nothing is on its way before it; wake the pump for the rest."""
        self._departing = False
        stream = self._idle
        if stream is not None and 0 < self.pending_bytes <= _AT_ONCE_BYTES_MAX:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            sent = stream.send_now(data)
            self._sent(sent)
            if sent == len(data):
                self._parts.clear()
                return
            self._parts = [data[sent:]]
        self._wake.set()

    def _sent(self, size: int) -> None:
        self.sent_bytes += size
        self.pending_bytes -= size
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        if self._space is not None:
            self._space.set()
            self._space = None

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
        self._idle = None
        self._wake_waiting()

    async def pump(self, stream: Stream) -> None:
        """Send until ``finish``; raises what the stream raises."""
        try:
            await self._pump(stream)
        finally:
            self.end()

    async def _pump(self, stream: Stream) -> None:
        while True:
            if not self._parts and self._later:
                frame = self._later.popleft()
                await stream.send_all(frame)
                self.sent_bytes += len(frame)
                self.later_bytes -= len(frame)
                continue
            if not self._parts:
                if self._closing:
                    return
                self._wake = trio.Event()
                self._idle = stream
                await self._wake.wait()
                self._idle = None
                continue
            parts, self._parts = self._parts, []
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()  # else all of it would be held twice while the peer does not read
            await stream.send_all(data)
            self._sent(len(data))
