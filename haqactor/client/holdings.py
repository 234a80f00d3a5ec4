"""What a consumer holds: parts, the buffer of those not handed out yet, and the credit that they take.

One rule: a message leaves the holdings once, settled or lost, and its credit goes back then.
"""

from collections import deque
from typing import Final

from haqactor.client.credit import Credit
from haqactor.client.listening import Counts
from haqactor.client.part import BUFFERED, GONE, HANDED, Part, joined
from haqactor.client.settling import RELEASE
from haqactor.wire import Rows

STARTED_MAX: Final = 4096
"""Ranges of 19 bytes at most, beside what is settled."""


class Holdings:
    """``parts``: all with a message that is not gone; ``buffer``: those with one not handed out, in order."""

    __slots__ = ("buffer", "counts", "credit", "parts", "working")

    def __init__(self, credit: Credit, counts: Counts) -> None:
        self.buffer: deque[Part] = deque()
        self.parts: dict[Part, None] = {}
        self.working: dict[Part, None] = {}
        self.credit = credit
        self.counts = counts

    @property
    def held(self) -> int:
        """Messages that are not settled yet."""
        return sum(part.open for part in self.parts)

    def take(self, now_ns: int) -> tuple[Part, int] | None:
        """The next message; ones whose lease ran out or was lost in the buffer are dropped."""
        buffer = self.buffer
        while buffer:
            part = buffer[0]
            row = part.taken
            if row >= part.count:
                buffer.popleft()
                continue
            part.taken = row + 1
            if part.states[row] != BUFFERED:
                continue
            if part.deadline_ns <= now_ns:
                self.lose(part, row)
                continue
            part.states[row] = HANDED
            part.handed += 1
            self.working[part] = None
            self.counts.handed += 1
            return part, row
        return None

    def take_part(self, now_ns: int) -> tuple[Part, list[tuple[int, int]]] | None:
        """All that is left of the next part: it and its runs of rows."""
        while self.buffer:
            part = self.buffer.popleft()
            part.taken = part.count
            if part.deadline_ns <= now_ns:
                for row in range(part.count):
                    if part.states[row] == BUFFERED:
                        self.lose(part, row)
                continue
            runs = part.runs(BUFFERED)
            if not runs:
                continue
            self.working[part] = None
            for first, last in runs:
                rows = last - first + 1
                part.states[first : last + 1] = bytes([HANDED]) * rows
                part.handed += rows
                self.counts.handed += rows
            return part, runs
        return None

    def lose(self, part: Part, row: int) -> None:
        """The lease on one message is lost: give its credit back."""
        if part.states[row] == BUFFERED:
            self.counts.dropped += 1
        elif part.states[row] == HANDED:
            part.lost[row] = None
        if part.move(row, GONE):
            if self.credit.messages:
                self.credit.owe(1, part.bytes_for(1))
            self.forget_empty(part)

    def forget_buffer(self) -> None:
        """Let go of what was not handed out."""
        for part in self.buffer:
            part.taken = part.count
            for row in range(part.count):
                if part.states[row] == BUFFERED:
                    part.move(row, GONE)
                    self.counts.settled[RELEASE] += 1
            if not part.open:
                self.parts.pop(part, None)
        self.buffer.clear()

    def bytes(self) -> int:
        """Delivered bytes that were not given back yet."""
        return sum(part.blob_bytes - part.returned_bytes for part in self.parts)

    def forget_empty(self, part: Part) -> None:
        """All of its messages are gone."""
        if not part.open and part in self.parts:
            del self.parts[part]
            if self.credit.messages:
                self.credit.owe(0, part.rest_bytes())

    def claims(self) -> Rows:
        """Lease rows + [started] of all that is held; neighbours of one lease make one row."""
        return joined(row for part in self.parts for row in part.claims())

    def started(self) -> Rows:
        """Ranges that were handed out and are not settled; the oldest, where they are very many."""
        for part in [part for part in self.working if not part.handed]:
            del self.working[part]
        spans = joined(
            span
            for part in self.working
            for first, last in part.runs(HANDED)
            for span in part.spans(first, last)
        )
        return [span[2:] for span in spans[:STARTED_MAX]]
