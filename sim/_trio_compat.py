"""Trio, driven from outside: one guest run per simulated host, all in one thread, in one repeatable order.

One rule: this is the only file that knows names of trio which are not public: the flag that makes trio sort
what is ready before it shuffles it, the source of that shuffle, and the slot that says which run is the
current one. ``self_test`` fails loudly where one of them is gone.
"""

import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import outcome
import sniffio
import trio
from trio._core import _run

PASSES_MAX: Final = 20_000
"""Passes of one host at one instant; more is a host that never comes to rest."""

_BURIAL_PASSES_MAX: Final = 5_000
_NOTHING: Final = ()
_current: Final[Any] = _run.GLOBAL_RUN_CONTEXT
_trio: Final[Any] = _run
_library: Final[Any] = sniffio.thread_local


class Restless(Exception):
    """A host goes on for ever at one instant."""


class Order(Protocol):
    """Decides in which order the tasks that are ready run: the last of the list first."""

    def shuffle(self, batch: list[Any], /) -> None:
        """Order ``batch``, which comes sorted by the tasks' ages."""
        ...


class GuestRun:
    """One trio run. ``result``: its outcome, once it ended."""

    __slots__ = ("_hooks", "_order", "_queue", "_runner", "_state", "result")

    def __init__(self, main: Callable[[], Awaitable[object]], clock: trio.abc.Clock, order: Order) -> None:
        self._order = order
        self._state: Any = None
        self.result: outcome.Outcome[object] | None = None
        with Driving():
            _trio._r = order
            trio.lowlevel.start_guest_run(
                main,
                run_sync_soon_threadsafe=self._scheduled,
                run_sync_soon_not_threadsafe=self._scheduled,
                done_callback=self._done,
                clock=clock,
                host_uses_signal_set_wakeup_fd=True,
                restrict_keyboard_interrupt_to_checkpoints=True,
                strict_exception_groups=True,
            )
            self._hooks: Any = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(None, None)
            self._runner: Any = _current.runner
            self._queue: Any = self._runner.entry_queue
            del _current.runner

    def _scheduled(self, tick: Any) -> None:
        """Trio asks for its next pass. It is made here rather than by ``tick``, which would poll for events
        and wrap each step: a simulated run has no events but trio's own."""
        self._state = tick.__self__

    def _done(self, result: "outcome.Outcome[object]") -> None:
        self.result = result

    def settle(self) -> float:
        """Run until every task waits. Returns the trio time at which the first one wants to be woken;
        infinity if none does, or the run has ended. Raises Restless."""
        if self.result is not None:
            return math.inf
        with Driving():
            return self._settle()

    def _settle(self) -> float:
        runner, queue, state = self._runner, self._queue, self._state
        passes, ready = state.unrolled_run_gen, runner.runq
        events: Any = state.unrolled_run_next_send.unwrap()
        _current.runner, _trio._r = runner, self._order
        # Else a run that ends would close the async generators of all runs that began before it.
        sys.set_asyncgen_hooks(*self._hooks)
        try:
            for _ in range(PASSES_MAX):
                passes.send(events)
                woken = queue.queue or queue.idempotent_queue
                events = runner.io_manager.get_events(0) if woken else _NOTHING
                if not ready and not woken:
                    deadline: float = runner.deadlines.next_deadline()
                    if deadline > runner.clock.current_time():
                        return deadline
        except StopIteration:
            self.result = runner.main_task_outcome
            return math.inf
        finally:
            state.unrolled_run_next_send = outcome.Value(events)
            _current.__dict__.clear()
            sys.set_asyncgen_hooks(None, None)
        raise Restless(f"a host did not come to rest within {PASSES_MAX} passes at one instant")

    def inside(self, callback: Callable[[], object]) -> None:
        """Call something synchronous as if it ran in this run: it may set events, cancel scopes."""
        with Driving():
            _current.runner, _trio._r = self._runner, self._order
            try:
                callback()
            finally:
                _current.__dict__.clear()

    def cancel(self) -> None:
        """Cancel the main task; ``settle`` lets it happen."""
        main = self._runner.main_task
        if self.result is None and main is not None and main.parent_nursery is not None:
            self.inside(main.parent_nursery.cancel_scope.cancel)

    def bury(self, jump: Callable[[float], None]) -> bool:
        """End the run: cancel it and drive it to its end, through every wait; ``jump`` puts its clock to a
        trio time. False if it waits for ever for something that nobody does."""
        self.cancel()
        try:
            for _ in range(_BURIAL_PASSES_MAX):
                deadline = self.settle()
                if self.result is not None or deadline == math.inf:
                    break
                jump(deadline)
        except Restless:
            return False
        return self.result is not None

    def let_go(self) -> None:
        """Forget a run that is over. CPython keeps the last finalizer of asynchronous generators of each run
        for ever, and trio's leads to the runner, and so to the whole world of its clock."""
        runner: Any = self._runner
        self._runner = self._state = self._queue = self._hooks = None
        if runner is not None:
            for name in type(runner).__slots__:
                if name != "__weakref__" and hasattr(runner, name):
                    delattr(runner, name)


class Driving:
    """Within it no trio run is the current one, and tasks are ordered by whoever drives; afterwards all is as
    it was. May be nested, which costs next to nothing."""

    __slots__ = ("_kept",)
    _depth = 0

    def __init__(self) -> None:
        self._kept: tuple[dict[str, Any], bool, Any, Any, Any] | None = None

    def __enter__(self) -> None:
        if Driving._depth == 0:
            flag, chance = _trio._ALLOW_DETERMINISTIC_SCHEDULING, _trio._r
            hooks = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(None, None)
            self._kept = dict(_current.__dict__), flag, chance, _library.name, hooks
            _current.__dict__.clear()
            _trio._ALLOW_DETERMINISTIC_SCHEDULING = True
            _library.name = "trio"
        Driving._depth += 1

    def __exit__(self, *_exception: object) -> None:
        Driving._depth -= 1
        if self._kept is not None:
            kept, flag, chance, _library.name, hooks = self._kept
            sys.set_asyncgen_hooks(*hooks)
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
