"""S1: no confirmed message is lost.

One rule: what was confirmed has been delivered, is still held, or was purged or deleted with its queue.
Jepsen's total-queue, with losses broken down by where in their producer's work they lie: a lost prefix tells
of a restart from nothing, a hole of a skipped record, a lost suffix of a tail cut off.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Final, Place
from haqactor.sim.checkers.lineage import Lineage, Removals, place_of
from haqactor.sim.watch.history import OK, Op

_SHOWN = 5


class NoConfirmedLoss(Rule):
    """Judged at the end, O(n)."""

    name = "no confirmed message lost"
    invariant = "S1"
    calls = ("declare", *Removals.KINDS)
    ops = ("publish", "deliver", "declare", *Removals.KINDS)

    def __init__(self) -> None:
        super().__init__()
        self._confirmed: list[Op] = []
        self._delivered: dict[Place, None] = {}
        self._dead: dict[bytes | None, None] = {}  # seen in a dead-letter queue
        self._lineage = Lineage()
        self._removals = Removals()

    def on_call(self, op: Op) -> None:
        """A declaration or a removal begins."""
        if op.kind == "declare":
            self._lineage.hear(op)
        else:
            self._removals.begun(op)

    def on_op(self, op: Op) -> None:
        """Something ended."""
        if op.kind == "publish":
            if op.outcome == OK:
                self._confirmed.append(op)
        elif op.kind == "deliver":
            self._delivered[place_of(op)] = None
            if not self._lineage.is_plain(op.queue):
                self._dead[op.value] = None
        elif op.kind == "declare":
            self._lineage.hear(op)
        else:
            self._removals.ended(op)

    def finish(self, final: Final) -> None:
        """Count what is missing."""
        missing = [op for op in self._confirmed if not self._seen(op)]
        if not missing:
            return
        if final.remaining is None:
            self.unknown = f"{len(missing)} messages were not delivered, and the queues could not be read"
            return
        values = {value: None for _state, value in final.remaining.values()}
        lost = {op.i: op for op in missing if place_of(op) not in final.remaining and op.value not in values}
        if lost:
            raise self.broken(
                f"{len(lost)} of {len(self._confirmed)} confirmed messages are lost ({self._where(lost)})",
                *list(lost.values())[:_SHOWN],
            )

    def _seen(self, op: Op) -> bool:
        return (
            place_of(op) in self._delivered
            or op.value in self._dead
            or op.invoked_ns <= self._removals.until_ns(op.queue)
        )

    def _where(self, lost: dict[int, Op]) -> str:
        by_producer: dict[tuple[str, str], list[int]] = {}
        for op in sorted(self._confirmed, key=lambda op: op.i):
            by_producer.setdefault((op.client, op.queue), []).append(op.i)
        told: list[str] = []
        for (client, queue), sent in by_producer.items():
            gone = [i in lost for i in sent]
            if any(gone):
                total = sum(gone)
                prefix = len(gone) if all(gone) else gone.index(False)
                suffix = 0 if all(gone) else gone[::-1].index(False)
                parts = f"{prefix} prefix, {total - prefix - suffix} middle, {suffix} suffix"
                told.append(f"{client} to {queue}: {parts} of {len(sent)}")
        return "; ".join(told)
