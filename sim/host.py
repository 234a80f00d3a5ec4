"""A host: one trio run at a time, its clocks, and what can happen to a machine.

One rule: a host that crashes just stops; none of its ``finally`` runs while the world goes on. Its run is
kept and driven to its end, cut off from everything, when the world is closed.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from haqactor.sim._trio_compat import GuestRun
from haqactor.sim.clocks import HostClock

if TYPE_CHECKING:
    from haqactor.sim.world import Timer, World


class Host:
    """``incarnation``: counts its starts. ``alive``: a program runs. ``error``: what its last program ended
    with. ``on_crash``: told when this incarnation ends, before the next can begin; ``on_end``: told inside
    the host before a dead run is driven to its end, so that nobody there waits for ever."""

    def __init__(self, world: "World", name: str, clock: HostClock) -> None:
        self.world = world
        self.name = name
        self.clock = clock
        self.incarnation = 0
        self.alive = False
        self.paused = False
        self.error: BaseException | None = None
        self.on_crash: list[Callable[[], None]] = []
        self.on_end: list[Callable[[], None]] = []
        self._run: GuestRun | None = None
        self._graves: list[tuple[GuestRun, HostClock, list[Callable[[], None]]]] = []
        self._timer: Timer | None = None
        self._deadline = math.inf
        self._waiting: list[Callable[[], object]] = []
        self._inside = False
        self._resting: dict[trio.lowlevel.Task, None] = {}

    def start(self, main: Callable[[], Awaitable[object]]) -> None:
        """Switch it on: ``main`` is its program. It begins at this instant."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        self.incarnation += 1
        self.error = None
        self.world.trace.add("start", self.name, self.incarnation)
        self.alive, self.paused = True, False
        resting = self._resting = dict[trio.lowlevel.Task, None]()
        self.on_crash, self.on_end = [], [lambda: _wake(resting)]
        order = self.world.order(self.name, self.incarnation)
        self._run = GuestRun(main, self.clock, order)
        incarnation = self.incarnation
        self.world.call_after(0, lambda: self._settle_if(incarnation))

    def enter(self, callback: Callable[[], object]) -> None:
        """Call something inside the host, and let it go on from there. Nothing for a dead one; a paused one
        does it when it goes on."""
        if not self.alive:
            return
        if self.paused:
            self._waiting.append(callback)
            return
        run = self._run
        if run is None or self._inside:
            raise RuntimeError(f"{self.name} is entered from within a host")
        self._settle(callback)

    async def rest(self, for_ns: int) -> None:
        """Let the task that asks wait for so long, by the world's time; nothing cuts it short. For twins: a
        shielded sleep that costs a fraction of one."""
        if not self.alive:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        task, resting = trio.lowlevel.current_task(), self._resting
        resting[task] = None

        def rested() -> None:
            if resting is self._resting:
                self.enter(wake)

        def wake() -> None:
            del resting[task]
            trio.lowlevel.reschedule(task)

        self.world.call_after(for_ns, rested)
        await trio.lowlevel.wait_task_rescheduled(_stays)

    # -- what can happen to it

    def crash(self) -> None:
        """The power is cut."""
        if not self.alive:
            return
        self.world.trace.add("crash", self.name)
        self._end()

    def pause(self) -> None:
        """It stands still, as a machine that is being moved; its clocks go on."""
        if self.alive and not self.paused:
            self.world.trace.add("pause", self.name)
            self.paused = True

    def resume(self) -> None:
        """Everything that came meanwhile comes now."""
        if not self.alive or not self.paused:
            return
        self.world.trace.add("resume", self.name)
        self.paused = False
        waiting, self._waiting = self._waiting, []
        run = self._run
        if run is not None:
            for callback in waiting:
                run.inside(callback)
            self.clock.fired(min(self._deadline, self.clock.current_time()))
            self._settle()

    def cancel(self) -> None:
        """Ask its program to end, as Ctrl-C does."""
        if self._run is not None and self.alive:
            self._run.cancel()
            incarnation = self.incarnation
            self.world.call_after(0, lambda: self._settle_if(incarnation))

    def close(self) -> None:
        """The end of the world: every run is driven to its end."""
        if self.alive:
            self._end()
        for run, clock, on_end in self._graves:
            for tell in on_end:
                run.inside(tell)
            if run.bury(clock.fired):
                run.let_go()
        self._graves.clear()

    # -- running

    def _settle_if(self, incarnation: int) -> None:
        if self.alive and incarnation == self.incarnation and not self.paused:
            self._settle()

    def _settle(self, callback: Callable[[], object] | None = None) -> None:
        run = self._run
        if run is None:
            return
        self._inside = True
        try:
            deadline = run.settle(callback)
        finally:
            self._inside = False
        if run.result is not None:
            self._finished(run)
        elif deadline != self._deadline or self._timer is None:
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = deadline
        if deadline != math.inf:
            self._timer = self.world.call_at(self.clock.true_ns(deadline), self._due)

    def rearm(self) -> None:
        """Its clock's pace has changed."""
        if self.alive:
            self._arm(self._deadline)

    def _due(self) -> None:
        self._timer = None
        if self.alive and not self.paused:
            self.clock.fired(self._deadline)
            self._settle()

    def _finished(self, run: GuestRun) -> None:
        self.alive = False
        self._disarm()
        for tell in self.on_crash:
            tell()
        error: BaseException | None = None
        if run.result is not None:
            try:
                run.result.unwrap()
            except trio.Cancelled:
                pass
            except BaseException as raised:  # whatever a program may end with is its verdict, not the world's
                error = raised
        self.error = error
        run.let_go()
        self._run = None
        self.world.ended(self, error)

    def _end(self) -> None:
        self.alive = self.paused = False
        self._disarm()
        self._waiting.clear()
        for tell in self.on_crash:
            tell()
        if self._run is not None:
            self._graves.append((self._run, self.clock, self.on_end))
            self._run = None

    def _disarm(self) -> None:
        self._deadline = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _stays(_raise_cancel: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


def _wake(resting: dict[trio.lowlevel.Task, None]) -> None:
    """Time is over for a dead run."""
    for task in resting:
        trio.lowlevel.reschedule(task)
    resting.clear()
