"""One task that wakes actors when their next deadline has come.

One rule: a deadline is a wake-up, not a decision; the actor's core looks at the clock itself. One heap-free
scan per wake-up is cheaper than a cancel scope per actor and turn; and a deadline that moves later, as almost
every turn's does, costs nothing: the actor is woken at the former one, in vain, and says anew."""

from collections.abc import Callable

import trio

from haqactor.env import Clock

NEVER_NS = 1 << 62


class Timers:
    """Deadlines by key; each key has one, the earliest set since it was woken last."""

    __slots__ = ("_clock", "_deadlines", "_scope", "_wakers")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: dict[int, int] = {}
        self._wakers: dict[int, Callable[[], None]] = {}
        self._scope: trio.CancelScope | None = None

    def add(self, key: int, wake: Callable[[], None]) -> None:
        """Register an actor."""
        self._wakers[key] = wake
        self._deadlines[key] = NEVER_NS

    def wake_by(self, key: int, deadline_ns: int) -> None:
        """Wake ``key`` at ``deadline_ns`` of the monotonic clock, or before. It is woken once, and then has
        to say anew."""
        if deadline_ns >= self._deadlines[key]:
            return
        self._deadlines[key] = deadline_ns
        if self._scope is not None:
            at = self._trio_time(deadline_ns)
            self._scope.deadline = min(self._scope.deadline, at)

    def _trio_time(self, deadline_ns: int) -> float:
        if deadline_ns >= NEVER_NS:
            return float("inf")
        return trio.current_time() + max(0, deadline_ns - self._clock.monotonic_ns()) / 1e9

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            earliest = min(self._deadlines.values(), default=NEVER_NS)
            with trio.CancelScope() as scope:
                scope.deadline = self._trio_time(earliest)
                self._scope = scope
                await trio.sleep_forever()
            self._scope = None
            await trio.lowlevel.checkpoint()
            now = self._clock.monotonic_ns()
            for key, deadline in self._deadlines.items():
                if deadline <= now:
                    self._deadlines[key] = NEVER_NS
                    self._wakers[key]()
