"""One lease over some messages of one batch, as it arrived; a byte of state for each message.

One rule: a message's state only moves on: buffered, handed out, settling, gone.
"""

from collections.abc import Iterable
from typing import Any, Final

from haqactor import batch
from haqactor.batch import Content, Extras
from haqactor.codec import are_numbers
from haqactor.errors import ProtocolError
from haqactor.wire import Rows

BUFFERED: Final = 0
HANDED: Final = 1
SETTLING: Final = 2
GONE: Final = 3


class Part:
    """``taken``: rows handed out so far; ``open``: rows not gone; ``handed``: rows in HANDED. ``lost``: rows
    whose lease was lost while they were handed out, until whoever settles them was told."""

    __slots__ = (
        "_attempts", "_base", "_bodies", "_extras", "attempt_rows", "blob", "blob_bytes", "count", "counter",
        "deadline_ns", "enqueued_ns", "first", "handed", "lost", "open", "returned_bytes", "seqs", "states",
        "taken", "term",
    )  # fmt: skip

    def __init__(self, row: list[Any], blob: bytes, deadline_ns: int) -> None:
        try:
            (
                self.term,
                self.counter,
                self._base,
                ranges,
                self.attempt_rows,
                self.enqueued_ns,
                self.blob_bytes,
            ) = row
            spans = [(first, last) for first, last in ranges]
            attempts = [number for seq, count in self.attempt_rows for number in (seq, count)]
            numbers = (self.term, self.counter, self.enqueued_ns, self.blob_bytes, *attempts)
            in_order = [number for span in spans for number in span]
            if not (are_numbers((*numbers, *in_order, self._base + 1)) and in_order == sorted(in_order)):
                raise ValueError("a number is out of range")
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a delivered part is malformed: {row!r:.80}") from error
        self.first = spans[0][0] if spans else 0
        self.count = sum(last - first + 1 for first, last in spans)
        if not 1 <= self.count <= batch.COUNT_MAX:
            raise ProtocolError(f"a delivered part holds {self.count} messages")
        self.seqs: list[int] | None = None
        if len(spans) > 1:
            self.seqs = [seq for first, last in spans for seq in range(first, last + 1)]
        self.blob = blob
        self.deadline_ns = deadline_ns
        self.states = bytearray(self.count)
        self.taken = 0
        self.open = self.count
        self.handed = 0
        self.lost: dict[int, None] = {}
        self.returned_bytes = 0
        self._bodies: list[bytes] | None = None
        self._extras: list[Extras | None] | None = None
        self._attempts: dict[int, int] | None = None

    def seq(self, row: int) -> int:
        """The queue sequence of a row."""
        return self.first + row if self.seqs is None else self.seqs[row]

    def row(self, seq: int) -> int:
        """The row of a queue sequence; -1 if it is not here."""
        if self.seqs is not None:
            return self.seqs.index(seq) if seq in self.seqs else -1
        return seq - self.first if 0 <= seq - self.first < self.count else -1

    def content(self, row: int, content_bytes_max: int) -> Content:
        """The message of a row. Raises ProtocolError."""
        return Content(self.body(row, content_bytes_max), self.extras(row))

    def body(self, row: int, content_bytes_max: int) -> bytes:
        """Its body; the batch is unpacked at the first call. Raises ProtocolError."""
        bodies = self._bodies
        if bodies is None:
            bodies = self._bodies = self._unpack(content_bytes_max)
        return bodies[row]

    def extras(self, row: int) -> Extras | None:
        """Its extras, once the batch is unpacked."""
        return None if self._extras is None else self._extras[row]

    def _unpack(self, content_bytes_max: int) -> list[bytes]:
        bodies, extras = batch.columns(self.blob, content_bytes_max)
        self.blob = b""
        if self._base >= 0:
            start = self.first - self._base
            wanted = (
                range(start, start + self.count)
                if self.seqs is None
                else [seq - self._base for seq in self.seqs]
            )
            if wanted[0] < 0 or wanted[-1] >= len(bodies):
                raise ProtocolError("a delivered part leases messages that its batch does not have")
            if self.seqs is not None or self.count != len(bodies):
                bodies = [bodies[row] for row in wanted]
                extras = None if extras is None else [extras[row] for row in wanted]
        if len(bodies) != self.count:
            raise ProtocolError(f"a delivered part leases {self.count} messages and holds {len(bodies)}")
        self._extras = extras
        return bodies

    def failures(self, seq: int) -> int:
        """How often this message failed before."""
        if not self.attempt_rows:
            return 0
        if self._attempts is None:
            self._attempts = dict(self.attempt_rows)
        return self._attempts.get(seq, 0)

    def spans(self, first: int, last: int) -> Rows:
        """The lease rows [term, counter, first, last] of rows ``first..last``."""
        if self.seqs is None:
            return [[self.term, self.counter, self.first + first, self.first + last]]
        rows: Rows = []
        for row in range(first, last + 1):
            seq = self.seqs[row]
            if rows and rows[-1][3] == seq - 1:
                rows[-1][3] = seq
            else:
                rows.append([self.term, self.counter, seq, seq])
        return rows

    def runs(self, *states: int) -> list[tuple[int, int]]:
        """Runs (first row, last row) of rows in one of the states."""
        runs: list[tuple[int, int]] = []
        start = -1
        for row, state in enumerate(self.states):
            if state in states:
                start = row if start < 0 else start
            elif start >= 0:
                runs.append((start, row - 1))
                start = -1
        if start >= 0:
            runs.append((start, self.count - 1))
        return runs

    def claims(self) -> Rows:
        """Lease rows + [started] of what is not gone."""
        states = self.states
        rows: Rows = []
        first = 0
        while first < self.count:
            state = states[first]
            last = first
            while last + 1 < self.count and states[last + 1] == state:
                last += 1
            if state != GONE:
                rows += [[*span, state == HANDED] for span in self.spans(first, last)]
            first = last + 1
        return rows

    def move(self, row: int, state: int) -> bool:
        """Put a row into a later state; False if it is there already, or further."""
        now = self.states[row]
        if now >= state:
            return False
        self.states[row] = state
        if now == HANDED:
            self.handed -= 1
        elif state == HANDED:
            self.handed += 1
        if state == GONE:
            self.open -= 1
        return True

    def bytes_for(self, rows: int) -> int:
        """Delivered bytes to give back as credit for ``rows`` messages; all of them add up to
        ``blob_bytes``."""
        share: int = min(self.blob_bytes // self.count * rows, self.blob_bytes - self.returned_bytes)
        self.returned_bytes += share
        return share

    def rest_bytes(self) -> int:
        """What was not given back yet, once the last message is gone."""
        rest: int = self.blob_bytes - self.returned_bytes
        self.returned_bytes = self.blob_bytes
        return rest


def joined(rows: Iterable[list[Any]]) -> Rows:
    """Lease rows with neighbours that differ in their messages only made into one."""
    found: Rows = []
    for row in rows:
        if found:
            before = found[-1]
            if row[2] == before[3] + 1 and row[:2] == before[:2] and row[4:] == before[4:]:
                before[3] = row[3]
                continue
        found.append(row)
    return found
