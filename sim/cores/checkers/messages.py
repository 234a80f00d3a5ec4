"""What producers and readers were promised: S1, S4, S18.

One rule: a receipt is held against the log that everybody applies, and against what is there in the end.
"""

from typing import TYPE_CHECKING, Any

from haqactor.entry import Entry
from haqactor.errors import Fenced
from haqactor.machine.commands import Op, is_list
from haqactor.machine.effects import Applied, Published, Purged
from haqactor.machine.effects import Settled as SettledEffect
from haqactor.sim.cores.serving import WORK
from haqactor.sim.cores.watch import Checker, Violation

if TYPE_CHECKING:
    from haqactor.sim.cores.harness import Harness
    from haqactor.sim.cores.replica import Replica

Number = tuple[bytes, int]


class Dedup(Checker):
    """S4: a number of a producer is stored once, and a retry of it gets the same place."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.places: dict[Number, int] = {}
        harness.on_first_applied.append(self._first)

    def _first(self, entry: Entry, given: list[list[Any]], applied: Applied) -> None:
        for command, reply in zip(given, applied.replies, strict=True):
            if command[0] != Op.PUBLISH or not is_list(reply):
                continue
            producer, number = command[2], command[4]
            for place, count, duplicate in reply:
                for at in range(place, place + count):
                    known = self.places.setdefault((producer, number), at)
                    if known != at:
                        verb = "is said to be" if duplicate else "is stored again"
                        raise Violation("S4", f"number {number} of {producer!r} {verb} at {at}, not {known}")
                    number += 1

    def confirmed(self, producer: bytes, first: int, count: int, runs: list[list[int]]) -> None:
        number = first
        for place, length, *_ in runs:
            for at in range(place, place + length):
                if self.places.get((producer, number)) != at:
                    raise Violation(
                        "S1", f"number {number} of {producer!r} is confirmed at {at}: not stored there"
                    )
                number += 1
        if number != first + count:
            raise Violation("S1", f"{count} numbers from {first} are confirmed with {number - first} places")

    def refused(self, producer: bytes, first: int, error: Exception) -> None:
        if not isinstance(error, Fenced):
            raise Violation("S4", f"a retry of number {first} of {producer!r} is refused: {error}")


class Confirmed(Checker):
    """S1: what was confirmed is in the queue, or was settled or purged."""

    def __init__(self, harness: "Harness") -> None:
        super().__init__(harness)
        self.sequences: dict[int, bool] = {}
        self.gone: dict[int, bool] = {}
        self.stored = 0
        harness.on_first_applied.append(self._first)

    def _first(self, entry: Entry, given: list[list[Any]], applied: Applied) -> None:
        for effect in applied.effects:
            if isinstance(effect, Published) and effect.uid == WORK:
                self.stored = effect.first + effect.count - 1
            elif isinstance(effect, SettledEffect | Purged) and effect.uid == WORK:
                for low, high in effect.gone:
                    for sequence in range(low, high + 1):
                        self.gone[sequence] = True

    def confirmed(self, producer: bytes, first: int, count: int, runs: list[list[int]]) -> None:
        for place, length, *_ in runs:
            for sequence in range(place, place + length):
                self.sequences[sequence] = True

    def finished(self) -> None:
        for replica in self.harness.replicas:
            if not replica.up or replica.applied < len(self.harness.canon):
                continue
            queue = replica.machine.queues.get(WORK)
            if queue is None:
                if self.sequences:
                    raise Violation("S1", f"node {replica.node} has no queue")
                continue
            there = {
                sequence: True
                for row in replica.machine.peek(WORK, 1 << 30)
                for sequence in range(row.first, row.last + 1)
            }
            lost = [seq for seq in self.sequences if seq not in there and seq not in self.gone]
            if lost:
                raise Violation("S1", f"confirmed messages {lost[:5]} are not on node {replica.node}")


class Reads(Checker):
    """S18: a linearizable read misses nothing that was committed before it was asked for."""

    def read(self, replica: "Replica", index: int, known: int) -> None:
        if index < known:
            raise Violation(
                "S18", f"node {replica.node} reads at {index}, but {known} was committed before it was asked"
            )
