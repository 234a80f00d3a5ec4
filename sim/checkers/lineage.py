"""Where the messages of a queue may have come from, and what may have taken them away rightly.

One rule: what is not known to have failed may have happened, at any time from its call on.
"""

from haqactor.sim.checkers.final import Place
from haqactor.sim.watch.history import FAIL, Kind, Op

FOREVER_NS = 1 << 62


def place_of(op: Op) -> Place:
    """Where the message of this record stands."""
    out = op.out
    return op.queue, out.get("uid", 0), out["seq"]


class Lineage:
    """Dead-letter queues: a queue may hold what was published to itself or to a queue that names it. Pass it
    calls and returns of ``declare``."""

    __slots__ = ("_origins", "_targets")

    def __init__(self) -> None:
        self._origins: dict[str, dict[str, None]] = {}
        self._targets: dict[str, dict[str, None]] = {}

    def hear(self, op: Op) -> None:
        """A declaration, begun or ended; it may count from its beginning."""
        target = op.out.get("dead_letter")
        if target is not None:
            self._origins.setdefault(target, {})[op.queue] = None
            self._targets.setdefault(op.queue, {})[target] = None

    def origins(self, queue: str) -> list[str]:
        """The queue itself, and all whose messages may end up there."""
        return _reached(queue, self._origins)

    def targets(self, queue: str) -> list[str]:
        """The queue itself, and all where its messages may end up."""
        return _reached(queue, self._targets)

    def is_plain(self, queue: str) -> bool:
        """Does nobody name it as a dead-letter queue?"""
        return queue not in self._origins


def _reached(queue: str, steps: dict[str, dict[str, None]]) -> list[str]:
    if queue not in steps:
        return [queue]
    found = {queue: None}
    waiting = [queue]
    while waiting:
        for other in steps.get(waiting.pop(), ()):
            if other not in found:
                found[other] = None
                waiting.append(other)
    return list(found)


class Removals:
    """Until when a queue may have been emptied by a purge or a deletion. Pass it calls and returns of
    both."""

    KINDS: tuple[Kind, ...] = ("purge", "delete")
    __slots__ = ("_ended", "_open")

    def __init__(self) -> None:
        self._open: dict[str, dict[int, None]] = {}
        self._ended: dict[str, int] = {}

    def begun(self, op: Op) -> None:
        """From now on it may happen."""
        self._open.setdefault(op.queue, {})[op.i] = None

    def ended(self, op: Op) -> None:
        """It happened, did not, or may happen still."""
        if op.outcome == "info":
            return
        self._open[op.queue].pop(op.i, None)
        if op.outcome != FAIL and op.returned_ns is not None:
            self._ended[op.queue] = max(self._ended.get(op.queue, -1), op.returned_ns)

    def until_ns(self, queue: str) -> int:
        """What was stored up to then may have gone rightly; -1: nothing."""
        return FOREVER_NS if self._open.get(queue) else self._ended.get(queue, -1)
