"""What a leader knows of one follower, and how much it may send it.

One rule: optimistic only while the follower agrees (REPLICATE: a window of bytes in flight); one message at
a time while the place is being found (PROBE); nothing but the snapshot while one is under way (SNAPSHOT).
"""

from collections import deque
from enum import Enum

from haqactor.ids import Index, NodeId


class Mode(Enum):
    """How a follower is being fed."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    """One follower. ``match``: durable there in its present boot; ``next``: the next index to send."""

    __slots__ = (
        "_flight",
        "active_ns",
        "boot",
        "cleared",
        "covered",
        "fetching",
        "flight_bytes",
        "match",
        "mode",
        "next",
        "node",
        "probed",
        "replied",
        "round_sent",
        "shipped",
        "snapshot_index",
        "suspect",
    )  # fmt: skip

    def __init__(self, node: NodeId, next_index: Index, now_ns: int, boot: int, suspect: bool) -> None:
        self.node = node
        self.mode = Mode.PROBE
        self.match = Index(0)
        self.next = next_index
        self.active_ns = now_ns
        self.covered = 0  # highest round that it answered in this term
        self.round_sent = 0
        self.boot = boot
        self.suspect = suspect  # its answers count in no quorum
        self.cleared = False  # it acknowledged as no suspect, in this term and boot
        self.probed = False  # PROBE: a question is out
        self.fetching = False  # entries for it are being read from disk
        self.replied = False  # an answer came since the last beat's answer
        self.snapshot_index = Index(0)
        self.shipped = 0  # SNAPSHOT: beats to wait for its word, once all of it was sent
        self.flight_bytes = 0
        self._flight: deque[tuple[Index, int]] = deque()

    def sent(self, last: Index, size: int) -> None:
        """Entries up to ``last``, ``size`` bytes, are on their way."""
        if self.mode is Mode.REPLICATE:
            self.next = Index(last + 1)
            self._flight.append((last, size))
            self.flight_bytes += size
        else:
            self.probed = True

    def acknowledged(self, index: Index) -> bool:
        """The follower holds everything up to ``index``. True where that is news."""
        flight = self._flight
        while flight and flight[0][0] <= index:
            self.flight_bytes -= flight.popleft()[1]
        if index <= self.match:
            return False
        self.match = index
        if self.next <= index:
            self.next = Index(index + 1)
        return True

    def replicate(self) -> None:
        """The place is found: send ahead from behind ``match``."""
        self._enter(Mode.REPLICATE)
        self.next = Index(self.match + 1)

    def probe(self, next_index: Index) -> None:
        """Look for the place, from ``next_index`` down."""
        self._enter(Mode.PROBE)
        self.next = Index(max(next_index, self.match + 1))

    def snapshot(self, index: Index) -> None:
        """Its place is compacted here: a snapshot at ``index`` has to be installed."""
        self._enter(Mode.SNAPSHOT)
        self.snapshot_index = index
        self.shipped = 0

    def restarted(self, boot: int, suspect: bool, next_index: Index) -> None:
        """It runs under a new boot. A suspect may have lost what it had acknowledged: its match starts
        again."""
        self.boot = boot
        self.suspect = suspect
        self.cleared = False
        if suspect:
            self.match = Index(0)
            self.covered = 0
        self.probe(next_index)

    def _enter(self, mode: Mode) -> None:
        self.mode = mode
        self.probed = False
        self.fetching = False
        self._flight.clear()
        self.flight_bytes = 0
