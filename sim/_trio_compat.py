"""Trio, driven from outside: one guest run per simulated host, all in one thread, in one repeatable order.

One rule: this is the only file that knows names of trio which are not public: the flag that makes trio sort
what is ready before it shuffles it, the source of that shuffle, and the slot that says which run is the
current one. ``self_test`` fails loudly where one of them is gone.
"""

import inspect
import math
import sys
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import outcome
import sniffio
import trio
from trio._core import _run, _traps

PASSES_MAX: Final = 20_000
"""Passes of one host at one instant; more is a host that never comes to rest."""

_BURIAL_PASSES_MAX: Final = 5_000
_NOTHING: Final = ()
_current: Final[Any] = _run.GLOBAL_RUN_CONTEXT
_trio: Final[Any] = _run
_library: Final[Any] = sniffio.thread_local
_SHIELDED: Final[Any] = _traps.CancelShieldedCheckpoint
_WAITS: Final[Any] = _traps.WaitTaskRescheduled
_DETACHED: Final[Any] = _traps.PermanentlyDetachCoroutineObject
PASSES_ARE_KNOWN: Final = zlib.crc32(inspect.getsource(_run.unrolled_run).encode()) in (3449126322,)
"""This trio's pass is the one that ``_pass`` is a shorter copy of (trio 0.35); another trio makes all passes
by itself, which only takes longer."""


class Restless(Exception):
    """A host goes on for ever at one instant."""


class Order(Protocol):
    """Decides in which order the tasks that are ready run: the last of the list first."""

    def shuffle(self, batch: list[Any], /) -> None:
        """Order ``batch``, which comes sorted by the tasks' ages."""
        ...


class GuestRun:
    """One trio run. ``result``: its outcome, once it ended."""

    __slots__ = ("_begun", "_finalizer", "_firstiter", "_order", "_queue", "_runner", "_state", "result")

    def __init__(self, main: Callable[[], Awaitable[object]], clock: trio.abc.Clock, order: Order) -> None:
        self._order = order
        self._state: Any = None
        self._begun = False
        self.result: outcome.Outcome[object] | None = None
        with Driving():
            _trio._r = order
            sys.set_asyncgen_hooks(None, None)
            Driving.hooked = None
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
            self._firstiter: Any
            self._finalizer: Any
            self._firstiter, self._finalizer = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(None, None)
            self._runner: Any = _current.runner
            self._runner.ki_manager.close()  # Ctrl-C is for whoever runs the world, not for one of its hosts
            self._queue: Any = self._runner.entry_queue
            self._runner.is_guest = False  # nobody has to be told that there is something to do
            del _current.runner

    def _scheduled(self, tick: Any) -> None:
        """Trio asks for its next pass. It is made here rather than by ``tick``, which would poll for events
        and wrap each step: a simulated run has no events but trio's own."""
        self._state = tick.__self__

    def _done(self, result: "outcome.Outcome[object]") -> None:
        self.result = result

    def settle(self, callback: Callable[[], object] | None = None) -> float:
        """Run until every task waits, after ``callback``, which is called as ``inside`` does. Returns the
        trio time at which the first one wants to be woken; infinity if none does, or the run has ended.
        Raises Restless."""
        if Driving.depth == 0:
            with Driving():
                return self.settle(callback)
        if self.result is not None:
            return math.inf
        runner = self._runner
        _current.runner, _trio._r = runner, self._order
        if Driving.hooked is not self:  # a run that ends would close the generators of all that began before
            sys.set_asyncgen_hooks(self._firstiter, self._finalizer)
            Driving.hooked = self
        try:
            if callback is not None:
                callback()
            return self._settle(runner)
        except StopIteration:
            self.result = runner.main_task_outcome
            Driving.hooked = None  # the end of a run takes its hooks away
            return math.inf
        finally:
            _current.__dict__.clear()

    def _settle(self, runner: Any) -> float:
        """Passes until nothing is ready. Where nobody looks on, and nothing but tasks is to be looked after,
        a pass is made here; every other one by trio itself."""
        queue, ready, deadlines = self._queue, runner.runq, runner.deadlines
        now: float = runner.clock.current_time()
        plain = PASSES_ARE_KNOWN and self._begun and not runner.instruments["_all"]
        for _ in range(PASSES_MAX):
            woken = queue.queue or queue.idempotent_queue
            if woken or not plain or runner.waiting_for_idle or not runner.tasks:
                self._pass_by_trio(runner, woken)
            else:
                if deadlines._heap and deadlines._heap[0][0] <= now:
                    deadlines.expire(now)
                if ready:
                    _pass(runner, ready, self._order)
                    if not runner.tasks:
                        continue
            if not ready and not queue.queue and not queue.idempotent_queue:
                deadline: float = deadlines.next_deadline()
                if deadline > now:
                    return deadline
        raise Restless(f"a host did not come to rest within {PASSES_MAX} passes at one instant")

    def _pass_by_trio(self, runner: Any, woken: bool) -> None:
        state = self._state
        events: Any = runner.io_manager.get_events(0) if woken else _NOTHING
        if not self._begun:
            self._begun = True
            events = state.unrolled_run_next_send.unwrap()
        state.unrolled_run_gen.send(events)

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
        self._runner = self._state = self._queue = self._firstiter = self._finalizer = None
        if runner is not None:
            for name in type(runner).__slots__:
                if name != "__weakref__" and hasattr(runner, name):
                    delattr(runner, name)


class Driving:
    """Within it no trio run is the current one, and tasks are ordered by whoever drives; afterwards all is as
    it was. May be nested, which costs next to nothing."""

    __slots__ = ("_kept",)
    depth = 0
    hooked: "GuestRun | None" = None
    """Whose hooks for asynchronous generators are set: those of the run that was settled last."""

    def __init__(self) -> None:
        self._kept: tuple[dict[str, Any], bool, Any, Any, Any] | None = None

    def __enter__(self) -> None:
        if Driving.depth == 0:
            flag, chance = _trio._ALLOW_DETERMINISTIC_SCHEDULING, _trio._r
            hooks = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(None, None)
            self._kept = dict(_current.__dict__), flag, chance, _library.name, hooks
            _current.__dict__.clear()
            _trio._ALLOW_DETERMINISTIC_SCHEDULING = True
            _library.name = "trio"
        Driving.depth += 1

    def __exit__(self, *_exception: object) -> None:
        Driving.depth -= 1
        if self._kept is not None:
            Driving.hooked = None
            kept, flag, chance, _library.name, hooks = self._kept
            sys.set_asyncgen_hooks(*hooks)
            _trio._ALLOW_DETERMINISTIC_SCHEDULING, _trio._r = flag, chance
            _current.__dict__.clear()
            _current.__dict__.update(kept)


def _pass(runner: Any, ready: Any, order: Order) -> None:
    """One pass over the tasks that are ready: what ``unrolled_run`` does between two looks at the world, for
    a run that nobody instruments."""
    if len(ready) == 1:
        batch: list[Any] = [ready.popleft()]
    else:
        batch = list(ready)
        ready.clear()
        batch.sort(key=_age)
        order.shuffle(batch)
    current = _current
    while batch:
        task = batch.pop()
        current.task = task
        send, value = task._next_send_fn, task._next_send
        task._next_send_fn = task._next_send = None
        ended: outcome.Outcome[object] | None = None
        message: Any = None
        try:
            message = task.context.run(send, value)
        except StopIteration as stopped:
            ended = outcome.Value(stopped.value)
        except KeyboardInterrupt:
            raise  # a person wants the world to end, and happened to meet this task
        except BaseException as error:
            ended = outcome.Error(error.with_traceback(_without_first(error)))
        if ended is not None:
            runner.task_exited(task, ended)
        else:
            task._schedule_points += 1
            if message is _SHIELDED:  # as ``reschedule`` does it
                task._next_send_fn, task._next_send = task.coro.send, outcome.Value(None)
                task._abort_func = task.custom_sleep_data = None
                ready.append(task)
            elif type(message) is _WAITS:
                task._cancel_points += 1
                task._abort_func = message.abort_func
                if runner.ki_pending and task is runner.main_task:
                    task._attempt_delivery_of_pending_ki()
                if task._cancel_status.effectively_cancelled:
                    task._attempt_delivery_of_any_pending_cancel()
            elif type(message) is _DETACHED:
                runner.task_exited(task, message.final_outcome)
            else:
                told = TypeError(f"a simulated host runs trio, and {message!r} was not made for it")
                runner.reschedule(task, told)
                task._next_send_fn = task.coro.throw
        del task, send, value, message, ended
    if hasattr(current, "task"):
        del current.task


def _age(task: Any) -> int:
    counter: int = task._counter
    return counter


def _without_first(error: BaseException) -> Any:
    """A task's traceback begins behind the frames of who runs it."""
    trace = error.__traceback__
    for _ in range(1 + _trio.CONTEXT_RUN_TB_FRAMES):
        trace = trace.tb_next if trace is not None else None
    return trace


def driven() -> bool:
    """Does a world go on just now?"""
    return Driving.depth > 0


def self_test() -> None:
    """Raises RuntimeError where this trio is not one that can be driven so."""
    for name in ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r", "GLOBAL_RUN_CONTEXT"):
        if not hasattr(_run, name):
            raise RuntimeError(
                f"this version of trio ({trio.__version__}) has no {name}: it cannot be simulated"
            )
