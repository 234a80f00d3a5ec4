"""How fast a node moves what somebody has missed: as fast as it goes while nothing else goes on, at a bounded
rate beside live traffic.

One rule: whoever catches up waits, and live traffic does not. Everything that is caught up with through this
node, sent or received, of all groups, goes through one budget, first come, first served.

Live traffic is what the journal writes: entries of any group within the last ``QUIET_NS``. Beside it pieces
go at ``catch_up_bytes_s``, and what is written is added to that, or a node would never be level with a
cluster that publishes faster. A piece counts for a second at most, however large it is.
"""

from collections.abc import Callable
from typing import Final, Protocol

import trio

from haqactor.env import Environment

_NS: Final = 1_000_000_000
QUIET_NS: Final = 200_000_000
"""So long after the last entry nobody is hurt by full speed."""
_BURST_NS: Final = 20_000_000
"""So much of the budget is kept for pieces that come late: on a busy loop waits are longer than asked for."""
INSTALLS_AT_ONCE: Final = 4
"""Snapshots that a node sends at once, so that each is through before long."""


class Written(Protocol):
    """The journal's counters, which only rise."""

    bytes: int
    entries: int


class Pace:
    """One node's budget. ``written``: what its journal has written by now."""

    def __init__(self, env: Environment, bytes_s: float, written: Callable[[], Written]) -> None:
        self.installs = trio.CapacityLimiter(INSTALLS_AT_ONCE)
        self._clock = env.clock
        self._probe = env.probe
        self._bytes_s = max(1, int(bytes_s))
        self._written = written
        self._turn = trio.Lock()
        self._entries = 0
        self._bytes = 0
        self._live_ns: int | None = None
        self._free_ns = 0

    async def take(self, size: int) -> None:
        """Return when ``size`` bytes may go."""
        async with self._turn:
            wait_ns = self._charge(size, self._clock.monotonic_ns())
            if wait_ns > 0:
                self._probe.mark("nodes.catch_up_paced")
                await trio.sleep(wait_ns / _NS)

    def _charge(self, size: int, now: int) -> int:
        self._listen(now)
        if self._live_ns is None or now - self._live_ns > QUIET_NS:
            self._free_ns = now
            return 0
        due = max(self._free_ns, now - _BURST_NS)
        self._free_ns = due + min(size * _NS // self._bytes_s, _NS)
        return due - now

    def _listen(self, now: int) -> None:
        """Was anything written since the last piece? How long ago is not known, so it is as if just now."""
        written = self._written()
        entries, size = written.entries, written.bytes
        if entries != self._entries:
            self._live_ns = now
            self._free_ns -= (size - self._bytes) * _NS // self._bytes_s
        self._entries, self._bytes = entries, size
