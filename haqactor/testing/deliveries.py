"""A consumer's subscription that writes down what is handed to the program, and how it is settled.

One rule: it passes everything on as it came.
"""

from typing import Any

from haqactor.batch import UNPACKED_BYTES_MAX
from haqactor.client.consumer import Consumer
from haqactor.client.consuming import Subscription
from haqactor.client.part import Part
from haqactor.client.settling import VERBS, Settlement
from haqactor.errors import Error, ProtocolError
from haqactor.sim.watch.history import FAIL, INFO, OK, Op
from haqactor.testing.notes import Notes

Row = tuple[Part, int]


class RecordedSubscription(Subscription):
    """``session``: which of the program's connections it belongs to."""

    __slots__ = ("_notes", "_session", "_settling")

    def __init__(self, notes: Notes, session: int, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._notes = notes
        self._session = session
        self._settling: dict[Row, Op | None] = {}

    @property
    def _queue(self) -> str:
        consumer = self.listener
        return consumer.queue if isinstance(consumer, Consumer) else ""

    def take(self, now_ns: int) -> Row | None:
        """One is handed out."""
        taken = super().take(now_ns)
        if taken is not None:
            self._handed(*taken)
        return taken

    def take_part(self, now_ns: int) -> tuple[Part, list[tuple[int, int]]] | None:
        """Many are."""
        taken = super().take_part(now_ns)
        if taken is not None:
            part, runs = taken
            for first, last in runs:
                for row in range(first, last + 1):
                    self._handed(part, row)
        return taken

    def _handed(self, part: Part, row: int) -> None:
        consumer = self.listener
        if not isinstance(consumer, Consumer):
            return
        try:
            content = part.content(row, UNPACKED_BYTES_MAX)
        except ProtocolError:
            return  # the program does not get it either
        seq = part.seq(row)
        self._notes.delivered(
            consumer.queue,
            content.body,
            seq=seq,
            attempt=part.failures(seq) + 1,
            consumer=f"{self._notes.client} {self._session}/{self.consumer}",
            term=part.term,
            counter=part.counter,
        )

    def settle(self, verb: int, part: Part, first: int, last: int, more: list[Any], loud: bool) -> Settlement:
        """A settlement of some rows begins."""
        kind: Any = VERBS[verb]
        for row in range(first, last + 1):
            self._settling[part, row] = self._notes.call(kind, self._queue, seq=part.seq(row))
        return super().settle(verb, part, first, last, more, loud)

    def ack(self, part: Part, row: int) -> None:
        """The same for the one case that is hot."""
        self._settling[part, row] = self._notes.call("ack", self._queue, seq=part.seq(row))
        super().ack(part, row)

    def judged(self, settlement: Settlement, result: Any, *, final: bool) -> None:
        """A leader's verdict."""
        waits = settlement in self.unanswered
        super().judged(settlement, result, final=final)
        if not waits or settlement in self.unanswered:
            return
        refused = settlement.outcome.get()
        for part, first, last in settlement.spans():
            for row in range(first, last + 1):
                op = self._settling.pop((part, row), None)
                self._notes.returned(op, FAIL if part.seq(row) in refused else OK)

    def end(self, error: Error) -> None:
        """What was not judged by now will not be."""
        super().end(error)
        for op in self._settling.values():
            self._notes.returned(op, INFO, error=error.code)
        self._settling.clear()
