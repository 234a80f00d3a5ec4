"""The faults of a disk as small data: each is switched on for the files below a prefix, draws from a stream
of its own, and counts how often it fired.

One rule: switching one fault on or off leaves every draw of the others as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from haqactor.sim.keyed import Stream

Streams = Callable[..., Stream]
"""Gives the stream of a key."""


class Kind(StrEnum):
    """What a disk can do to its owner. Each fires at an operation on a path that it is switched on for.

    READ_ERROR: a sector of what is read cannot be read any more, until it is written again (EIO).
    BIT_ROT: a bit of what is read has flipped on the medium.
    LOST_WRITE: a write that was synced never reached the medium, and nobody said so.
    MISDIRECTED_WRITE: it reached another place in the file instead.
    SYNC_ERROR: a sync fails, what was dirty is kept, torn or dropped, and the next sync succeeds (fsyncgate).
    SYNC_LIE: a sync succeeds, and nothing of it is on the medium.
    SLOW: operations take longer, by a log-normal factor, and now and then stand still for seconds.
    FULL: no file grows, and no space is free.
    SHORT_FILE: the end of a file is gone; only brought about by hand.
    LOST_FILE: a file is gone when it is opened or looked for.
    LOST_DISK: everything is gone; the host's next incarnation finds an empty disk. Fires once at most.
    """

    READ_ERROR = "read_error"
    BIT_ROT = "bit_rot"
    LOST_WRITE = "lost_write"
    MISDIRECTED_WRITE = "misdirected_write"
    SYNC_ERROR = "sync_error"
    SYNC_LIE = "sync_lie"
    SLOW = "slow"
    FULL = "full"
    SHORT_FILE = "short_file"
    LOST_FILE = "lost_file"
    LOST_DISK = "lost_disk"


STALL_CHANCE: Final = 0.02
STALL_NS_MAX: Final = 10_000_000_000
_SLOW_SIGMA: Final = 1.0


@dataclass(slots=True)
class Fault:
    """``chance``: of firing at each operation that it fits. ``times``: how often it fires at most; None: no
    bound. ``strength``: the median factor of SLOW, ``stall_ns``: its longest standstill, ``stall_chance``: of
    one at each operation. ``fired`` counts."""

    kind: Kind
    prefix: str
    chance: float
    times: int | None
    strength: float
    stream: Stream
    stall_ns: int = STALL_NS_MAX
    stall_chance: float = STALL_CHANCE
    fired: int = 0

    def fires(self, path: str) -> bool:
        """Does it, at this operation?"""
        if not path.startswith(self.prefix) or (self.times is not None and self.fired >= self.times):
            return False
        if self.chance < 1.0 and self.stream.random() >= self.chance:
            return False
        self.fired += 1
        return True

    def slowed(self, base_ns: int) -> int:
        """How long an operation takes under SLOW."""
        stream = self.stream
        factor = max(1.0, self.strength * stream.lognormvariate(0.0, _SLOW_SIGMA))
        stall = stream.randrange(self.stall_ns) if stream.random() < self.stall_chance else 0
        return int(base_ns * factor) + stall


class Faults:
    """The faults of one disk. ``counts``: how often each kind fired, also those that are switched off by now.
    ``on_fire`` is told the kind and the path."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._active: dict[Kind, list[Fault]] = {}
        self._switched: dict[tuple[Kind, str], int] = {}
        self.counts: dict[Kind, int] = dict.fromkeys(Kind, 0)
        self.on_fire: Callable[[Kind, str], None] | None = None

    def switch_on(
        self,
        kind: Kind,
        prefix: str = "/",
        *,
        chance: float = 1.0,
        times: int | None = None,
        strength: float = 10.0,
        stall_ns: int = STALL_NS_MAX,
        stall_chance: float = STALL_CHANCE,
    ) -> Fault:
        """From now on, for every path that begins with ``prefix``; in place of the same kind and prefix."""
        self.switch_off(kind, prefix)
        prefix = _absolute(prefix)
        again = self._switched[kind, prefix] = self._switched.get((kind, prefix), 0) + 1
        if kind is Kind.LOST_DISK:
            times = 1
        stream = self._streams("fault", kind.value, prefix, again)
        fault = Fault(kind, prefix, chance, times, strength, stream, stall_ns, stall_chance)
        self._active.setdefault(kind, []).append(fault)
        return fault

    def switch_off(self, kind: Kind | None = None, prefix: str | None = None) -> None:
        """None: every kind, every prefix."""
        for each in list(self._active) if kind is None else [kind]:
            faults = self._active.pop(each, [])
            left = [fault for fault in faults if prefix is not None and fault.prefix != _absolute(prefix)]
            if left:
                self._active[each] = left

    def active(self) -> list[Fault]:
        """Those that are switched on."""
        return [fault for faults in self._active.values() for fault in faults]

    def firing(self, kind: Kind, path: str) -> Fault | None:
        """The fault of that kind that fires at an operation on ``path``, if one does; counted."""
        if not self._active:
            return None
        for fault in self._active.get(kind, ()):
            if fault.fires(path):
                self.count(kind, path)
                return fault
        return None

    def fires(self, kind: Kind, path: str) -> bool:
        """Does one?"""
        return self.firing(kind, path) is not None

    def count(self, kind: Kind, path: str) -> None:
        """One was brought about."""
        self.counts[kind] += 1
        if self.on_fire is not None:
            self.on_fire(kind, path)


def _absolute(prefix: str) -> str:
    return "/" + prefix.lstrip("/")
