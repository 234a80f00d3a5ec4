"""The simulated Environment of one host: its clocks, its chance, work that costs virtual time, and the eyes
of the checkers.

One rule: a twin belongs to one host; what it does there takes time on that host's clock.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from haqactor.env import Disk, Environment, Network
from haqactor.sim.host import Host
from haqactor.sim.keyed import HostRandom, Stream

T = TypeVar("T")

_OFFLOAD_NS: Final = 50_000
_OFFLOAD_BYTES_PER_US: Final = 500


class SimOffload:
    """``env.Offload``: done at once, and paid for with virtual time."""

    __slots__ = ()

    def run(self, function: Callable[[], T], *, cost_bytes: int = 0) -> Awaitable[T]:
        """What the function returns, some time later."""
        return self._run(function, cost_bytes)

    async def _run(self, function: Callable[[], T], cost_bytes: int) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        result = function()
        await trio.sleep((_OFFLOAD_NS + cost_bytes * 1000 // _OFFLOAD_BYTES_PER_US) / 1e9)
        return result


class Marks:
    """How often each rare branch was taken, over all hosts of a world. ``peaceful``: from now on nobody
    behaves awkwardly any more."""

    def __init__(self) -> None:
        self.peaceful = False
        self.counts: dict[str, int] = {}

    def add(self, name: str) -> None:
        """It was taken once more."""
        self.counts[name] = self.counts.get(name, 0) + 1


BY_PLAN: Final = ("nodes.stalled_turn",)


class SimProbe:
    """``env.Probe``: marks are counted, planted bugs and awkward behaviour switched by name.

    As in FoundationDB's buggify, a site is switched on once for a run with ``share``, and then acts each time
    with the same probability; but those ``BY_PLAN`` act as long as a fault of the plan holds them (``held``).
    """

    __slots__ = ("_bugs", "_marks", "_share", "_sites", "_stream", "held")

    def __init__(self, marks: Marks, bugs: tuple[str, ...], stream: Stream, share: float = 0.0) -> None:
        self._marks = marks
        self._bugs = dict.fromkeys(bugs)
        self._stream = stream
        self._share = share
        self._sites: dict[str, bool] = {}
        self.held: dict[str, None] = {}

    def mark(self, name: str) -> None:
        """This rare branch was taken."""
        self._marks.add(name)

    def buggify(self, name: str) -> bool:
        """Behave awkwardly but correctly here?"""
        if name in BY_PLAN:
            return name in self.held
        if not self._share or self._marks.peaceful:
            return False
        active = self._sites.get(name)
        if active is None:
            active = self._sites[name] = self._stream.random() < self._share
        return active and self._stream.random() < self._share

    def bug(self, name: str) -> bool:
        """Is this planted bug switched on?"""
        return name in self._bugs


def environment(
    host: Host,
    network: Network,
    disk: Disk,
    marks: Marks,
    *,
    bugs: tuple[str, ...] = (),
    buggify: float = 0.0,
) -> Environment:
    """All of it, for the host's present incarnation."""
    world, name, number = host.world, host.name, host.incarnation
    return Environment(
        clock=host.clock,
        network=network,
        disk=disk,
        random=HostRandom(world.random("host", name, number)),
        offload=SimOffload(),
        probe=SimProbe(marks, bugs, world.random("buggify", name, number), buggify),
    )
