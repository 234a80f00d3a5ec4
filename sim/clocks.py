"""A host's clocks: they run from world time, at their own pace and from their own zero.

One rule: whole nanoseconds everywhere but at trio's border, where a deadline that has fired counts as reached
even if the float is one step short of it.
"""

import math
from typing import Final, Protocol

import trio

NS: Final = 1_000_000_000
_BILLION: Final = 1_000_000_000


class TrueTime(Protocol):
    """World time."""

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the world began."""
        ...


class HostClock(trio.abc.Clock):
    """``offset_ns``: what it shows at world time 0; ``drift_ppb``: nanoseconds a second by which it is fast.
    ``wall_offset_ns`` is what the wall clock shows beyond it; it may step."""

    def __init__(
        self, time: TrueTime, offset_ns: int = 0, drift_ppb: int = 0, wall_offset_ns: int = 0
    ) -> None:
        self._time = time
        self._drift_ppb = drift_ppb
        self._since_ns = time.now_ns
        self._base_ns = offset_ns + time.now_ns + time.now_ns * drift_ppb // _BILLION
        self._floor = -math.inf
        self._floor_ns = -(1 << 62)
        self._shown_at_ns = -1  # the two below are what it showed then
        self._shown_ns = 0
        self._shown = 0.0
        self.wall_offset_ns = wall_offset_ns

    # -- for the host

    def local_ns(self) -> int:
        """What it shows now."""
        now_ns = self._time.now_ns
        if now_ns != self._shown_at_ns:
            self._look(now_ns)
        return self._shown_ns

    def _look(self, now_ns: int) -> None:
        passed = now_ns - self._since_ns
        self._shown_ns = self._base_ns + passed + passed * self._drift_ppb // _BILLION
        self._shown = max(self._floor, self._shown_ns / NS)
        self._shown_at_ns = now_ns

    def drift(self, drift_ppb: int) -> None:
        """Run at another pace from now on."""
        self._base_ns = self.local_ns()
        self._since_ns = self._time.now_ns
        self._drift_ppb = drift_ppb
        self._shown_at_ns = -1

    def step_wall(self, by_ns: int) -> None:
        """The wall clock jumps."""
        self.wall_offset_ns += by_ns

    def true_ns(self, deadline: float) -> int:
        """The first world time at which trio's ``deadline`` is reached."""
        wanted = math.ceil(deadline * NS) - self._base_ns
        passed = -(-wanted * _BILLION // (_BILLION + self._drift_ppb))
        return self._since_ns + max(0, passed)

    def fired(self, deadline: float) -> None:
        """``deadline`` is reached, whatever the float says."""
        if deadline > self._floor:
            self._floor = deadline
            self._floor_ns = math.floor(deadline * NS)
        self._shown_at_ns = -1

    # -- for trio

    def start_clock(self) -> None:
        """It runs already."""

    def current_time(self) -> float:
        """Seconds."""
        now_ns = self._time.now_ns
        if now_ns != self._shown_at_ns:
            self._look(now_ns)
        return self._shown

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """None: the world decides when it goes on."""
        return 0.0

    # -- for the environment

    def monotonic_ns(self) -> int:
        """``env.Clock``."""
        now_ns = self._time.now_ns
        if now_ns != self._shown_at_ns:
            self._look(now_ns)
        shown_ns, floor_ns = self._shown_ns, self._floor_ns
        return floor_ns if floor_ns > shown_ns else shown_ns

    def wall_ns(self) -> int:
        """``env.Clock``."""
        return self.local_ns() + self.wall_offset_ns
