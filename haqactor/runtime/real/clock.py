"""The production clock. One rule: order and durations come from ``monotonic_ns`` only."""

import time


class RealClock:
    """Reads this host's clocks; ``monotonic_ns`` and ``trio.current_time()`` read the same kernel clock."""

    __slots__ = ()

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; the zero is arbitrary."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC, as this host believes."""
        return time.time_ns()
