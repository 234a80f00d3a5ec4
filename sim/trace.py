"""What happened in a world, in order: a rolling hash of all of it, and the events themselves where somebody
wants to look.

One rule: every event goes into the hash, recorded or not; two runs with the same digest did the same.
"""

import marshal
from hashlib import blake2b
from typing import Final, NamedTuple

Datum = int | str | bytes | None
NO_CAUSE: Final = -1
DATAGRAM: Final = "datagram"
"""Stands in the data of a ``send`` or ``recv`` that belongs to no stream."""
_HASHED_AT_ONCE: Final = 256
_NO_REFERENCES: Final = 2
"""The format of ``marshal`` in which equal values are equal bytes, whoever else holds them."""
_LIST_HEAD: Final = 5
"""Left out, so that the hash is the same however the events are cut."""


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

    __slots__ = ("_hash", "_unhashed", "bodies", "count", "events", "now_ns", "recording")

    def __init__(self, *, recording: bool = False) -> None:
        self._hash = blake2b(digest_size=16)
        self._unhashed: list[tuple[int, str, str, tuple[Datum, ...]]] = []
        self.recording = recording
        self.events: list[Event] = []
        self.bodies: dict[int, bytes] = {}
        self.count = 0
        self.now_ns = 0  #: set by the world

    def add(self, kind: str, host: str, *data: Datum, cause: int = NO_CAUSE) -> int:
        """Put an event down at the present moment; returns its number."""
        number = self.count
        self.count = number + 1
        self._unhashed.append((self.now_ns, kind, host, data))
        if len(self._unhashed) == _HASHED_AT_ONCE:
            self._catch_up()
        if self.recording:
            self.events.append(Event(number, self.now_ns, kind, host, data, cause))
        return number

    def _catch_up(self) -> None:
        """Hash what came since the last time: many events together cost little more than one."""
        if self._unhashed:
            self._hash.update(marshal.dumps(self._unhashed, _NO_REFERENCES)[_LIST_HEAD:])
            self._unhashed.clear()

    def digest(self) -> str:
        """Of everything so far; 32 hexadecimal digits."""
        self._catch_up()
        return self._hash.hexdigest()
