"""What happened in a world, in order: a rolling hash of all of it, and the events themselves where somebody
wants to look.

One rule: every event goes into the hash, recorded or not; two runs with the same digest did the same.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

Datum = int | str | bytes | None
NO_CAUSE: Final = -1


class Event(NamedTuple):
    """``cause``: the number of the event that led to this one; NO_CAUSE for none."""

    number: int
    at_ns: int
    kind: str
    host: str
    data: tuple[Datum, ...]
    cause: int


class Trace:
    """``recording``: keep the events, too, and what was sent: ``bodies`` by the number of the event."""

    __slots__ = ("_hash", "bodies", "count", "events", "now_ns", "recording")

    def __init__(self, *, recording: bool = False) -> None:
        self._hash = blake2b(digest_size=16)
        self.recording = recording
        self.events: list[Event] = []
        self.bodies: dict[int, bytes] = {}
        self.count = 0
        self.now_ns = 0  #: set by the world

    def add(self, kind: str, host: str, *data: Datum, cause: int = NO_CAUSE) -> int:
        """Put an event down at the present moment; returns its number."""
        number = self.count
        self.count = number + 1
        self._hash.update(f"{self.now_ns}|{kind}|{host}|{data!r}\n".encode())
        if self.recording:
            self.events.append(Event(number, self.now_ns, kind, host, data, cause))
        return number

    def digest(self) -> str:
        """Of everything so far; 32 hexadecimal digits."""
        return self._hash.hexdigest()
