"""Settlements on their way: gathered as ranges, sent when the one before was answered, judged message by
message.

One rule: a settlement belongs to its lease; it is sent again until a leader has judged it, and a refusal
concerns that message only.
"""

from collections.abc import Iterable
from typing import Any, Final

from haqactor.client.link import Link
from haqactor.client.outcome import Outcome
from haqactor.client.part import GONE, Part, joined
from haqactor.errors import Error, ProtocolError
from haqactor.wire import Rows

ACK, NACK, REJECT, RELEASE = 0, 1, 2, 3
VERBS: Final = ("ack", "nack", "reject", "release")
ROWS_MAX: Final = 4096
GATHERED_MAX: Final = 4096
"""Messages in one settlement: as many lease rows at most, of 37 bytes."""
TEXT_BYTES_MAX: Final = 128 * 1024
"""Of all reasons in one settlement, but for the last one. Rows, reasons and what was started stay far below
512 KiB, the smallest bound that a node may have for frames."""

Refused = dict[int, None]
"""Queue sequences whose lease was lost before the settlement came; a dict, for its order."""


class Settlement:
    """Ranges of one or more verbs; one of them becomes one Settle. ``loud``: sequences whose caller waits for
    the verdict. ``attempt``: the subscription under which it was written last, by ``link`` as ``rid``.
    ``refused``: by every sending that was judged, while a later one may still be accepted."""

    __slots__ = (
        "acks",
        "attempt",
        "bytes",
        "gathered",
        "link",
        "loud",
        "messages",
        "others",
        "outcome",
        "refused",
        "rid",
        "rows",
        "sent",
        "since_ns",
        "text_bytes",
    )

    def __init__(self) -> None:
        self.acks: list[list[Any]] = []
        self.others: list[tuple[int, Part, int, int, list[Any]]] = []
        self.outcome: Outcome[Refused] = Outcome()
        self.refused: Refused | None = None
        self.loud: dict[int, None] = {}
        self.gathered = 0
        self.messages = 0
        self.bytes = 0
        self.text_bytes = 0
        self.rows = 0
        self.rid = 0
        self.link: Link | None = None
        self.attempt = 0
        self.sent = False
        self.since_ns: int | None = None

    def ack(self, part: Part, first: int, last: int) -> None:
        """Add rows, merged with those before where they go on from there."""
        acks = self.acks
        if acks:
            previous = acks[-1]
            if previous[0] is part and previous[2] + 1 == first:
                previous[2] = last
                return
        acks.append([part, first, last])
        self.rows += 1

    def other(self, verb: int, part: Part, first: int, last: int, more: list[Any]) -> None:
        """Add rows with what travels beside them."""
        self.others.append((verb, part, first, last, more))
        self.rows += 1
        self.text_bytes += sum(len(each.encode()) for each in more if isinstance(each, str))

    @property
    def is_full(self) -> bool:
        """Is it as much as one frame should hold?"""
        return self.gathered >= GATHERED_MAX or self.text_bytes >= TEXT_BYTES_MAX

    def spans(self) -> Iterable[tuple[Part, int, int]]:
        for part, first, last in self.acks:
            yield part, first, last
        for _verb, part, first, last, _more in self.others:
            yield part, first, last

    def count_credit(self) -> None:
        """Once, when it is first written: what its messages give back."""
        for part, first, last in self.spans():
            rows = last - first + 1
            self.messages += rows
            self.bytes += part.bytes_for(rows)

    def wire_rows(self) -> tuple[Rows, Rows, Rows, Rows]:
        """(acks, nacks, rejects, releases) as Settle has them."""
        columns: tuple[Rows, Rows, Rows, Rows] = ([], [], [], [])
        columns[ACK].extend(
            joined(span for part, first, last in self.acks for span in part.spans(first, last))
        )
        for verb, part, first, last, more in self.others:
            columns[verb].extend([*span, *more] for span in part.spans(first, last))
        return columns

    def judged(self, result: Any, *, final: bool) -> Refused | None:
        """The leader's answer: ranges refused. What one sending had accepted is settled; what was refused may
        be accepted yet (a late acknowledgement) unless this is the last sending (``final``). None: it may."""
        refused: Refused = {}
        try:
            for first, last in result:
                if last - first + len(refused) > ROWS_MAX * 256:
                    raise ProtocolError("the reply to Settle refuses more than was settled")
                refused.update(dict.fromkeys(range(first, last + 1)))
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"the reply to Settle is no list of ranges: {result!r:.80}") from error
        if self.refused is not None:
            refused = {seq: None for seq in refused if seq in self.refused}
        self.refused = refused
        return refused if final or not refused else None

    def retire(self) -> list[Part]:
        """It was judged: every row is gone. Returns the parts that are empty now."""
        empty: list[Part] = []
        for part, first, last in self.spans():
            part.states[first : last + 1] = bytes([GONE]) * (last - first + 1)
            part.open -= last - first + 1
            if not part.open:
                empty.append(part)
        return empty

    def give_up_waiting(self, error: Error) -> None:
        """Whoever waits for the verdict now hears ``error``; the settlement itself is driven on."""
        outcome, self.outcome, self.since_ns = self.outcome, Outcome[Refused](), None
        outcome.fail(error)

    def quiet(self, refused: Refused) -> list[tuple[Part, int]]:
        """The refused rows that no caller waits for."""
        return [
            (part, row)
            for part, first, last in self.spans()
            for row in range(first, last + 1)
            if part.seq(row) in refused and part.seq(row) not in self.loud
        ]
