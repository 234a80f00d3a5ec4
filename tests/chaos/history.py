"""What clients asked and were told, with times: all that the judgement sees.

One rule: a record begins before the call that it tells of, and ends with the first thing that the caller
knows: an answer, an error, or that it stopped waiting.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal

Kind = Literal["publish", "deliver", "settle"]
Outcome = Literal["pending", "confirmed", "unknown", "refused", "cancelled"]
"""``unknown``: it may have been done. ``refused``: it was not, and will not be."""
ANONYMOUS: Final = ""


@dataclass(slots=True)
class Record:
    """One call. ``ids``: its messages, each published under one id for ever. ``producer``: a named session's
    name, and ``number`` that of the first message in it. ``places``: those in the queue that are known, by
    id. ``verb``: of a settlement. ``client``: who called; a consumer's name is new for each
    subscription."""

    i: int
    kind: Kind
    client: str
    queue: str
    ids: tuple[str, ...]
    began_s: float
    ended_s: float | None = None
    outcome: Outcome = "pending"
    producer: str = ANONYMOUS
    number: int = 0
    places: dict[str, int] = field(default_factory=dict[str, int])
    verb: str = ""
    attempt: int = 0
    code: str = ""

    def __str__(self) -> str:
        ids = self.ids[0] if len(self.ids) == 1 else f"{self.ids[0]}..{self.ids[-1]}" if self.ids else "-"
        until = "..." if self.ended_s is None else f"{self.ended_s:.3f}"
        what = f"{self.kind} {self.verb}".strip()
        places = "" if not self.places else f" at {min(self.places.values())}"
        return (
            f"#{self.i} {self.began_s:.3f}..{until} s {self.client}: {what} {self.queue} {ids}{places}: "
            f"{self.outcome} {self.code}".rstrip()
        )


class History:
    """Records in the order of their beginnings. ``now``: seconds since the run began."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.records: list[Record] = []
        self.confirmed = 0
        self._now = now
        self._backlog: dict[str, int] = {}
        self._delivered: dict[tuple[str, str], None] = {}

    def backlog(self, queue: str) -> int:
        """Confirmed and not delivered yet, about: what is delivered before it is confirmed counts, too."""
        return self._backlog.get(queue, 0)

    def begin(
        self,
        kind: Kind,
        client: str,
        queue: str,
        ids: Sequence[str],
        *,
        producer: str = ANONYMOUS,
        number: int = 0,
        verb: str = "",
    ) -> Record:
        """A call is about to be made."""
        record = Record(len(self.records), kind, client, queue, tuple(ids), self._now())
        record.producer, record.number, record.verb = producer, number, verb
        self.records.append(record)
        return record

    def end(self, record: Record, outcome: Outcome, code: str = "") -> None:
        """It is known now."""
        record.outcome, record.code, record.ended_s = outcome, code, self._now()
        if record.kind == "publish" and outcome == "confirmed":
            self.confirmed += len(record.ids)
            self._backlog[record.queue] = self.backlog(record.queue) + len(record.ids)

    def delivered(self, client: str, queue: str, message: str, seq: int, attempt: int) -> None:
        """A consumer's program holds a message."""
        record = self.begin("deliver", client, queue, [message])
        record.attempt = attempt
        record.places = {message: seq}
        self.end(record, "confirmed")
        if (queue, message) not in self._delivered:
            self._delivered[queue, message] = None
            self._backlog[queue] = self.backlog(queue) - 1

    def write(self, path: Path) -> None:
        """A JSON object for each, a line each."""
        with path.open("w", encoding="utf-8") as out:
            for record in self.records:
                out.write(json.dumps(asdict(record)) + "\n")


def read(path: Path) -> list[Record]:
    """What ``History.write`` wrote."""
    found: list[Record] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        row["ids"] = tuple(row["ids"])
        found.append(Record(**row))
    return found
