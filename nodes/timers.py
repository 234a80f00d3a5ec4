"""One task that wakes actors when their next deadline has come.

One rule: a deadline is a wake-up, not a decision; the actor's core looks at the clock itself. One heap-free
scan per wake-up is cheaper than a cancel scope per actor and turn; and a deadline that moves later, as almost
every turn's does, costs nothing: at each wake-up every actor is asked for the one that it has now."""

from collections.abc import Callable

import trio

from haqactor.env import Clock

NEVER_NS = 1 << 62


class Timers:
    """Deadlines by key; each key has one, the earliest set since it was woken last."""

    __slots__ = ("_clock", "_deadlines", "_latest", "_scope", "_wakers")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: dict[int, int] = {}
        self._wakers: dict[int, Callable[[], None]] = {}
        self._latest: dict[int, Callable[[int], int]] = {}
        self._scope: trio.CancelScope | None = None

    def add(self, key: int, wake: Callable[[], None], latest: Callable[[int], int] | None = None) -> None:
        """Register an actor. ``latest``: told the time, it gives the deadline that the actor has now, if that
        is later than what it had set; without it, what was set counts."""
        self._wakers[key] = wake
        if latest is not None:
            self._latest[key] = latest
        self._deadlines[key] = NEVER_NS

    def wake_by(self, key: int, deadline_ns: int) -> None:
        """Wake ``key`` at ``deadline_ns`` of the monotonic clock, or before, unless its latest deadline has
        moved on by then. It is woken once, and then has to say anew."""
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
                latest = self._latest.get(key)
                due = deadline if latest is None or deadline == NEVER_NS else max(deadline, latest(now))
                self._deadlines[key] = due if due > now else NEVER_NS
                if due <= now:
                    self._wakers[key]()
