"""A world: integer time, one heap of what is to happen, and the hosts that live in it.

One rule: everything happens in the order of (time, order of asking); nothing outside the seed decides
anything.
"""

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Final

from haqactor.sim._trio_compat import Driving, Order
from haqactor.sim.clocks import HostClock
from haqactor.sim.host import Host
from haqactor.sim.keyed import OldestFirst, SeededOrder, Stream, keyed
from haqactor.sim.trace import Trace

NS: Final = 1_000_000_000
EVENTS_AT_ONE_INSTANT_MAX: Final = 100_000


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage meanwhile: the moments of a collection depend on what else the process has done."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class Storm(Exception):
    """Time stands still: events go on and on at one instant."""


class Timer:
    """Something that will happen. ``callback`` is None once it was cancelled, or has happened."""

    __slots__ = ("at_ns", "callback")

    def __init__(self, at_ns: int, callback: Callable[[], object]) -> None:
        self.at_ns = at_ns
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """It will not happen."""
        self.callback = None


class World:
    """``seed`` decides all of it; ``now_ns`` is true time, nanoseconds from 0, and nobody's to set.
    ``oldest_first``: tasks run in the order of their ages, not in a drawn one. Use as a context manager:
    leaving it ends every host."""

    def __init__(self, seed: int, *, recording: bool = False, oldest_first: bool = False) -> None:
        self.seed = seed
        self._oldest_first = oldest_first
        self.trace = Trace(recording=recording)
        self.hosts: dict[str, Host] = {}
        self.on_failure: Callable[[Host, BaseException], None] | None = None
        self.now_ns = 0
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._instant = 0

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def random(self, *key: str | int) -> Stream:
        """The stream of draws of ``key``."""
        return keyed(self.seed, *key)

    # -- time

    def call_at(self, at_ns: int, callback: Callable[[], object]) -> Timer:
        """Let something happen; what is asked for one instant happens in the order of asking. The past is
        now."""
        at_ns = max(at_ns, self.now_ns)
        timer = Timer(at_ns, callback)
        self._sequence += 1
        heappush(self._heap, (at_ns, self._sequence, timer))
        return timer

    def call_after(self, delay_ns: int, callback: Callable[[], object]) -> Timer:
        """Let something happen later."""
        return self.call_at(self.now_ns + delay_ns, callback)

    def run(self, until_ns: int) -> None:
        """Let everything happen up to and with ``until_ns``. Raises Storm."""
        self.run_while(None, until_ns)
        self._set_now(max(self.now_ns, until_ns))

    def run_while(self, condition: Callable[[], bool] | None, limit_ns: int) -> bool:
        """Go on until ``condition`` is false (None: it never is), nothing is left, or ``limit_ns`` is
        reached. Returns whether the condition ended it."""
        with uncollected():
            return self._go_on(condition, limit_ns)

    def _go_on(self, condition: Callable[[], bool] | None, limit_ns: int) -> bool:
        heap = self._heap
        with Driving():
            while condition is None or condition():
                if not heap or heap[0][0] > limit_ns:
                    return False
                at_ns, _sequence, timer = heappop(heap)
                callback = timer.callback
                if callback is not None:
                    timer.callback = None
                    self._set_now(at_ns)
                    callback()
        return True

    def _set_now(self, at_ns: int) -> None:
        if at_ns == self.now_ns:
            self._instant += 1
            if self._instant > EVENTS_AT_ONE_INSTANT_MAX:
                raise Storm(f"{self._instant} events at {at_ns / NS:.9f} s: something goes round in circles")
        else:
            self._instant = 0
            self.now_ns = self.trace.now_ns = at_ns

    # -- hosts

    def host(self, name: str, *, offset_ns: int = 0, drift_ppb: int = 0, wall_offset_ns: int = 0) -> Host:
        """A new host, switched off; see ``HostClock`` for its clocks."""
        if name in self.hosts:
            raise ValueError(f"there is a host {name!r} already")
        clock = HostClock(self, offset_ns, drift_ppb, wall_offset_ns)
        host = self.hosts[name] = Host(self, name, clock)
        return host

    def order(self, name: str, incarnation: int) -> Order:
        """The schedule of one incarnation of a host."""
        return OldestFirst() if self._oldest_first else SeededOrder(self.random("order", name, incarnation))

    def ended(self, host: Host, error: BaseException | None) -> None:
        """A host's program ended by itself."""
        self.trace.add("ended", host.name, None if error is None else type(error).__name__)
        if error is not None and self.on_failure is not None:
            self.on_failure(host, error)

    def run_program(self, name: str, main: Callable[[], Awaitable[object]], limit_ns: int) -> Host:
        """Run a program on a host of its own until it has ended; its error is raised here."""
        host = self.hosts.get(name) or self.host(name)
        host.start(main)
        self.run_while(lambda: host.alive, limit_ns)
        if host.error is not None:
            raise host.error
        return host

    def close(self) -> None:
        """End every host's program, crashed ones too: what they do now reaches nobody."""
        self._heap.clear()
        for host in self.hosts.values():
            host.close()
