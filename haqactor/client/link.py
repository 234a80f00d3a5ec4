"""One connection to a node as the core sees it: bytes in, messages out, requests by number.

One rule: an entry in ``pending`` is told exactly once what became of it: replied, failed, or lost with the
connection.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, Protocol

from haqactor import wire
from haqactor.env import Buffer
from haqactor.frame import Decoder, Frame

ROOM_BYTES: Final = 64 * 1024
"""Written at once, about: a node begins with the first of it while the rest is being packed."""
PING_NS: Final = 300_000_000
IDLE_PING_NS: Final = 10_000_000_000
PINGS_UNANSWERED_MAX: Final = 3


class LinkState(Enum):
    """``GREETING``: our Hello is on its way. ``READY``: welcomed. ``ENDED``: gone."""

    GREETING = "greeting"
    READY = "ready"
    ENDED = "ended"


class Entry(Protocol):
    """What waits for the answer to one request."""

    def replied(self, link: "Link", result: Any, blob: bytes) -> None:
        """Done."""

    def failed(self, link: "Link", answer: wire.Failed) -> None:
        """Refused, or it failed."""

    def lost(self, link: "Link") -> None:
        """The connection ended without an answer."""


def _no_wake() -> None:
    """Until a shell has set its own."""


def _no_time() -> int:
    return 0


class Link:
    """State of one connection. ``wake`` is called when there is something to write, ``rouse`` when waiting
    begins; it returns the time."""

    __slots__ = (
        "_decoder", "_next_rid", "_out", "_ping_rid", "address", "advertised", "awaited_ns", "calm",
        "last_in_ns", "last_ping_ns", "leaving", "node", "out_bytes", "pending", "pings", "proxy", "rouse",
        "state", "wake",
    )  # fmt: skip

    def __init__(
        self, address: str, proxy: bool, hello: wire.Hello, frame_bytes_max: int, now_ns: int
    ) -> None:
        self.address = address
        self.advertised = address
        self.proxy = proxy
        self.node = -1
        self.state = LinkState.GREETING
        self.leaving = False
        self.pending: dict[int, Entry] = {}
        self.wake: Callable[[], None] = _no_wake
        self.calm = False
        self.rouse: Callable[[], int] = _no_time
        self.awaited_ns = now_ns
        self.pings = 0
        self.last_in_ns = now_ns
        self.last_ping_ns = now_ns
        self.out_bytes = 0
        self._out: list[bytes] = []
        self._decoder = Decoder(frame_bytes_max)
        self._next_rid = 1
        self._ping_rid = 0
        self.send(hello)

    @property
    def has_room(self) -> bool:
        """May more be written before the transport has taken what is there?"""
        return self.out_bytes < ROOM_BYTES

    def limit_frames(self, frame_bytes_max: int) -> None:
        """The bound that the node's Welcome named."""
        self._decoder.frame_bytes_max = frame_bytes_max

    def send(self, message: wire.Message, *blobs: Buffer) -> None:
        """Write a message that wants no answer."""
        data = wire.pack(message, *blobs)
        self._out.append(data)
        self.out_bytes += len(data)
        self.wake()

    def ask(self, entry: Entry, message: Any, *blobs: Buffer) -> int:
        """Write a request; its ``rid`` is given here and returned."""
        if self.calm:
            self.calm = False
            self.awaited_ns = self.rouse()
        rid = self._next_rid
        self._next_rid = rid + 1
        self.pending[rid] = entry
        self.send(message._replace(rid=rid), *blobs)
        return rid

    def withdraw(self, entries: Iterable[Entry]) -> None:
        """These wait for no answer any more."""
        gone = list(entries)
        for rid in [rid for rid, entry in self.pending.items() if entry in gone] if gone else ():
            del self.pending[rid]

    def take(self) -> bytes:
        """The bytes to write now; empty when there are none."""
        if not self._out:
            return b""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self.out_bytes = 0
        return data

    def feed(self, data: bytes, now_ns: int) -> list[Frame]:
        """Frames that ``data`` completes. Raises ProtocolError: end the connection then."""
        self.last_in_ns = now_ns
        self.pings = 0
        return self._decoder.feed(data)

    @property
    def is_awaited(self) -> bool:
        """Is an answer due from the node?"""
        return bool(self.pending or self.pings) or self.state is LinkState.GREETING

    def due_ns(self) -> int:
        """When to ask (again) whether the node is there."""
        due = PING_NS if self.is_awaited else IDLE_PING_NS
        return max(self.last_in_ns, self.last_ping_ns, self.awaited_ns) + due

    def tick(self, now_ns: int) -> bool:
        """Ask whether the node is there, where that is due; False: it has been silent for too long (1.2
        s)."""
        if now_ns < self.due_ns():
            return True
        if self.pings >= PINGS_UNANSWERED_MAX:
            return False
        self.pings += 1
        self.last_ping_ns = now_ns
        if self.state is LinkState.READY:
            self.send(wire.Ping(0))
        return True

    def end(self) -> None:
        """The connection is gone: everybody who waits on it hears so."""
        self.state = LinkState.ENDED
        pending, self.pending = self.pending, {}
        for entry in pending.values():
            entry.lost(self)
