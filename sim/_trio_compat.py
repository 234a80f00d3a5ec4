"""Trio, driven from outside: one guest run per simulated host, all in one thread, in one repeatable order.

One rule: this is the only file that knows names of trio which are not public: the flag that makes trio sort
what is ready before it shuffles it, the source of that shuffle, and the slot that says which run is the
current one. ``self_test`` fails loudly where one of them is gone.
"""

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import outcome
import trio
from trio._core import _run

PASSES_MAX: Final = 20_000
"""Passes of one host at one instant; more is a host that never comes to rest."""

_BURIAL_PASSES_MAX: Final = 5_000
_current: Final[Any] = _run.GLOBAL_RUN_CONTEXT
_trio: Final[Any] = _run


class Restless(Exception):
    """A host goes on for ever at one instant."""


class Order(Protocol):
    """Decides in which order the tasks that are ready run: the last of the list first."""

    def shuffle(self, batch: list[Any], /) -> None:
        """Order ``batch``, which comes sorted by the tasks' ages."""
        ...


class _NoPolling:
    """A simulated run waits for nothing outside: epoll is asked only when trio itself has something there
    (its own wake-ups at the end of a run)."""

    def __init__(self, real: Any, runner: Any) -> None:
        self.real = real
        self._queue = runner.entry_queue

    def get_events(self, timeout: float) -> Any:
        """Nothing, unless trio called itself."""
        queue = self._queue
        return self.real.get_events(0) if queue.queue or queue.idempotent_queue else ()

    def process_events(self, events: Any) -> None:
        """What ``get_events`` gave."""
        if events:
            self.real.process_events(events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class GuestRun:
    """One trio run. ``result``: its outcome, once it ended."""

    __slots__ = ("_io", "_order", "_runner", "_tick", "result")

    def __init__(self, main: Callable[[], Awaitable[object]], clock: trio.abc.Clock, order: Order) -> None:
        self._order = order
        self._tick: Callable[[], object] | None = None
        self.result: outcome.Outcome[object] | None = None
        with _slot(None, order):
            trio.lowlevel.start_guest_run(
                main,
                run_sync_soon_threadsafe=self._soon,
                run_sync_soon_not_threadsafe=self._soon,
                done_callback=self._done,
                clock=clock,
                host_uses_signal_set_wakeup_fd=True,
                restrict_keyboard_interrupt_to_checkpoints=True,
                strict_exception_groups=True,
            )
            runner = self._runner = _current.runner
            self._io = runner.io_manager
            runner.io_manager = _NoPolling(self._io, runner)

    def _soon(self, tick: Callable[[], object]) -> None:
        self._tick = tick

    def _done(self, result: "outcome.Outcome[object]") -> None:
        self.result = result

    def settle(self) -> float:
        """Run until every task waits. Returns the trio time at which the first one wants to be woken;
        infinity if none does, or the run has ended. Raises Restless."""
        runner = self._runner
        with _slot(runner, self._order):
            for _ in range(PASSES_MAX):
                tick, self._tick = self._tick, None
                if self.result is not None or tick is None:
                    return math.inf
                tick()
                if self.result is None and not runner.runq and not runner.entry_queue.queue:
                    deadline: float = runner.deadlines.next_deadline()
                    if deadline > runner.clock.current_time():
                        return deadline
        raise Restless(f"a host did not come to rest within {PASSES_MAX} passes at one instant")

    def inside(self, callback: Callable[[], object]) -> None:
        """Call something synchronous as if it ran in this run: it may set events, cancel scopes."""
        with _slot(self._runner, self._order):
            callback()

    def cancel(self) -> None:
        """Cancel the main task; ``settle`` lets it happen."""
        main = self._runner.main_task
        if self.result is None and main is not None and main.parent_nursery is not None:
            self.inside(main.parent_nursery.cancel_scope.cancel)

    def bury(self, jump: Callable[[float], None]) -> bool:
        """End the run: cancel it and drive it to its end, through every wait; ``jump`` puts its clock to a
        trio time. False if it waits for ever for something that nobody does."""
        self._runner.io_manager = self._io
        self.cancel()
        for _ in range(_BURIAL_PASSES_MAX):
            try:
                deadline = self.settle()
            except Restless:
                return False
            if self.result is not None:
                return True
            if deadline == math.inf:
                return False
            jump(deadline)
        return False


@contextmanager
def _slot(runner: Any, order: Order) -> Generator[None, None, None]:
    """``runner`` is the current run meanwhile (None: there is none), and ``order`` orders its tasks."""
    kept, flag, chance = dict(_current.__dict__), _trio._ALLOW_DETERMINISTIC_SCHEDULING, _trio._r
    _current.__dict__.clear()
    if runner is not None:
        _current.runner = runner
    _trio._ALLOW_DETERMINISTIC_SCHEDULING = True
    _trio._r = order
    try:
        yield
    finally:
        _trio._ALLOW_DETERMINISTIC_SCHEDULING, _trio._r = flag, chance
        _current.__dict__.clear()
        _current.__dict__.update(kept)


def self_test() -> None:
    """Raises RuntimeError where this trio is not one that can be driven so."""
    for name in ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r", "GLOBAL_RUN_CONTEXT"):
        if not hasattr(_run, name):
            raise RuntimeError(
                f"this version of trio ({trio.__version__}) has no {name}: it cannot be simulated"
            )
