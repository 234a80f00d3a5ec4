"""One queue of a group: which messages it holds, and what may become of each.

One rule: every message is in exactly one state, a function of the sets here: gone (settled), parked,
deferred, else standing (ready or leased; leases are not known here). All methods are total: what does not
apply to a message any more does nothing to it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final

from haqactor.machine.batches import Batches, Located, part
from haqactor.machine.commands import Range
from haqactor.machine.held import Held
from haqactor.machine.intervals import IntervalSet, merged
from haqactor.machine.rangemap import RangeMap

_COMPACT_FROM: Final = 65_536
_SHIFT_MAX: Final = 40


@dataclass(slots=True)
class Moves:
    """What one command did to a queue's messages."""

    ready: list[Range] = field(default_factory=list[Range])
    deferred: list[Range] = field(default_factory=list[Range])
    gone: list[Range] = field(default_factory=list[Range])


@dataclass(frozen=True, slots=True)
class Origin:
    """The history of a dead letter: where it was, why it died, after how many failures, when (T)."""

    uid: int
    seq: int
    reason: str
    attempts: int
    died_ns: int


class Queue:
    """The replicated state of one incarnation of a queue. Sequences begin at 1."""

    __slots__ = (
        "batches",
        "bytes",
        "compact_at",
        "deferrals",
        "deferred",
        "discarded",
        "failures",
        "gone",
        "group",
        "holders",
        "low",
        "mark",
        "name",
        "next_seq",
        "origins",
        "parked",
        "reserve",
        "settings",
        "suspects",
        "uid",
        "version",
    )

    def __init__(
        self,
        uid: int,
        name: str,
        version: int,
        settings: dict[str, Any],
        mark: int = 0,
        group: Held | None = None,
    ) -> None:
        self.uid = uid
        self.name = name
        self.version = version
        self.settings = settings
        self.mark = mark  #: the snapshot that already holds this queue's state; see ``snapshot.View``
        self.group = group or Held()  #: what the queues of its group hold together
        self.bytes = 0  #: stored, of the messages that are not gone
        self.low = 1  #: everything below is gone
        self.next_seq = 1
        self.reserve = 1  #: leases are only below
        self.batches = Batches()
        self.gone = IntervalSet()  #: from ``low`` on
        self.deferred = IntervalSet()
        self.parked = IntervalSet()
        self.suspects = IntervalSet()
        self.failures = RangeMap()
        self.deferrals: list[tuple[int, int, int]] = []  #: heap of (until T, first, last)
        self.holders: dict[tuple[bytes, int], bool] = {}
        self.discarded = 0  #: rejected, or moved to a dead-letter queue, so far
        self.origins: OrderedDict[int, Origin] = OrderedDict()  #: first sequence of a row -> its history
        self.compact_at = _COMPACT_FROM

    @property
    def depth(self) -> int:
        """Messages that are not gone."""
        return self.next_seq - self.low - self.gone.total

    @property
    def dead(self) -> int:
        """Messages that died here: parked now, or rejected or moved on so far."""
        return self.parked.total + self.discarded

    def append(self, count: int, row: Located, origin: Origin | None = None) -> int:
        """Store a row of ``count`` messages, whose sequences are given here. Returns the first."""
        first = self.next_seq
        self.batches.append(first, count, row)
        size = part(row.body_bytes, row.total, row.skip, count)
        self.bytes += size
        self.group.add(count, size)
        if origin is not None:
            self.origins[first] = origin
        self.next_seq = first + count
        return first

    def standing(self, low: int, high: int) -> list[Range]:
        """Those of ``low..high`` that are ready or leased."""
        found = self.gone.missing(max(low, self.low), min(high, self.next_seq - 1))
        if self.deferred.total:
            found = [piece for first, last in found for piece in self.deferred.missing(first, last)]
        if self.parked.total:
            found = [piece for first, last in found for piece in self.parked.missing(first, last)]
        return found

    def retire(self, low: int, high: int, moves: Moves) -> int:
        """Messages leave the queue. Returns how many were still in it."""
        low, high = max(low, self.low), min(high, self.next_seq - 1)
        if low > high:
            return 0
        fresh = self.gone.missing(low, high) if self.gone.total else [(low, high)]
        if not fresh:
            return 0
        moves.gone += fresh
        size = sum([self.batches.weigh(*piece) for piece in fresh])
        for marks in (self.deferred, self.parked, self.suspects):
            if marks.total:
                marks.discard(low, high)
        if self.failures.ends:
            self.failures.put(low, high, 0)
        new = self._add_gone(low, high)
        self.bytes -= size
        self.group.add(-new, -size)
        if self.batches.stored > self.compact_at:
            self.batches.compact(self.gone)
            kept = dict.fromkeys(self.batches.first)
            self.origins = OrderedDict(item for item in self.origins.items() if item[0] in kept)
            self.compact_at = max(_COMPACT_FROM, 2 * self.batches.stored)
        return new

    def _add_gone(self, low: int, high: int) -> int:
        if low > self.low:
            return self.gone.add(low, high)
        if self.gone.total:
            new = self.gone.add(low, high)
            _first, high = self.gone.pop_first()
        else:
            new = high - low + 1
        self.low = high + 1
        self.batches.prune(self.low)
        while self.origins and (oldest := next(iter(self.origins))) < self._first_row():
            del self.origins[oldest]
        return new

    def weigh(self) -> None:
        """Find ``bytes`` anew from the rows and what is gone."""
        left = self.gone.missing(self.low, self.next_seq - 1)
        self.bytes = sum([self.batches.weigh(*piece) for piece in left])

    def _first_row(self) -> int:
        batches = self.batches
        return batches.first[batches.head] if len(batches) else self.next_seq

    def fail(
        self, ranges: Iterable[Range], now_ns: int, delay_ns: int, moves: Moves
    ) -> list[tuple[int, int, int]]:
        """Charge a failure to the standing ones of ``ranges`` and let them wait ``delay_ns`` (-1: the queue's
        backoff). Returns runs (first, last, attempts) that have used up their attempts: the caller buries
        them."""
        attempts_max = self.settings["max_attempts"]
        dying: list[tuple[int, int, int]] = []
        for low, high in ranges:
            for piece in self.standing(low, high):
                for first, last, failures in self.failures.runs(*piece):
                    failed = failures + 1
                    self.failures.put(first, last, failed)
                    if attempts_max and failed >= attempts_max:
                        dying.append((first, last, failed))
                    else:
                        wait = self._backoff_ns(failed) if delay_ns < 0 else delay_ns
                        self._defer(first, last, now_ns, wait, moves)
        return dying

    def _backoff_ns(self, failures: int) -> int:
        backoff: int = self.settings["backoff_ns"] << min(failures - 1, _SHIFT_MAX)
        longest: int = self.settings["backoff_max_ns"]
        return min(backoff, longest)

    def _defer(self, low: int, high: int, now_ns: int, wait_ns: int, moves: Moves) -> None:
        if wait_ns <= 0:
            moves.ready.append((low, high))
            return
        self.deferred.add(low, high)
        heappush(self.deferrals, (now_ns + wait_ns, low, high))
        moves.deferred.append((low, high))

    def park(self, low: int, high: int, moves: Moves) -> None:
        """Keep messages, deferred for ever, where no dead-letter queue takes them."""
        self.parked.add(low, high)
        moves.deferred.append((low, high))

    def put_back(self, ranges: Iterable[Range], moves: Moves, *, cleared: bool) -> None:
        """Leases ended without a failure: the standing ones are ready again. ``cleared``: they are no
        suspects any more."""
        for low, high in ranges:
            if cleared and self.suspects:
                self.suspects.discard(low, high)
            moves.ready += self.standing(low, high)

    def failures_of(self, low: int, high: int) -> tuple[Range, ...]:
        """(sequence, failures so far) where there were some."""
        failures = self.failures
        if not failures.ends or low > failures.ends[-1]:
            return ()
        return tuple(
            (sequence, value)
            for first, last, value in failures.runs(low, high)
            if value
            for sequence in range(first, last + 1)
        )

    def suspect(self, ranges: Iterable[Range], moves: Moves) -> list[Range]:
        """Mark the standing ones, uncharged, and put them back. Returns those that had been suspects before:
        they are charged."""
        charged: list[Range] = []
        for low, high in ranges:
            for piece in self.standing(low, high):
                charged += self.suspects.within(*piece)
                for first, last in self.suspects.missing(*piece):
                    self.suspects.add(first, last)
                    moves.ready.append((first, last))
        return charged

    def wake(self, now_ns: int, budget: int) -> tuple[list[Range], int]:
        """End up to ``budget`` deferrals that are over. Returns what is ready again, and the rest of the
        budget."""
        ready: list[Range] = []
        while self.deferrals and budget > 0 and self.deferrals[0][0] <= now_ns:
            _until, low, high = heappop(self.deferrals)
            budget -= 1
            for first, last in self.deferred.within(low, high):
                self.deferred.discard(first, last)
                ready.append((first, last))
        return merged(ready), budget

    def purge(self, spare: IntervalSet, moves: Moves) -> int:
        """All but ``spare`` leaves. Returns how many."""
        before = self.depth
        for low, high in spare.missing(self.low, self.next_seq - 1):
            self.retire(low, high, moves)
        return before - self.depth
