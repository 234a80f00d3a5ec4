"""One file of a simulated disk: what lies on the medium, what should lie there, and what was written since.

One rule: programs see the medium with everything unsynced on top; only ``settle`` and a crash move anything
down. The sound image goes the same way without any fault.
"""

from collections.abc import Callable
from dataclasses import dataclass

from haqactor.sim.disk.fates import SECTOR, Fate, Survival, fates, torn
from haqactor.sim.keyed import Stream

Route = Callable[["Change"], int | None]
"""Where on the medium a write arrives: its offset, another one, or None: nowhere."""


@dataclass(slots=True)
class Change:
    """An unsynced operation: ``data`` written at ``offset``, or with None the size set to ``offset``.
    ``promised``: a sync has lied about it."""

    number: int
    offset: int
    data: bytes | None
    promised: bool = False


class Inode:
    """``medium`` and ``sound`` are the durable images, with and without the faults of the disk. ``size`` is
    the size that programs see. ``bad``: sectors that cannot be read."""

    __slots__ = ("bad", "last", "medium", "pending", "size", "sound")

    def __init__(self) -> None:
        self.medium = bytearray()
        self.sound = bytearray()
        self.pending: list[Change] = []
        self.size = 0
        self.last = 0
        self.bad: dict[int, None] = {}

    # -- for programs

    def read(self, offset: int, size: int) -> bytes:
        """What a program reads, were every sector readable."""
        return self._over(self.medium, self.pending, offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Into the cache."""
        if data:
            self._add(offset, data)
            self.size = max(self.size, offset + len(data))

    def resize(self, size: int) -> None:
        """Cut, or extend with zeros, in the cache."""
        self._add(size, None)
        self.size = size

    def _add(self, offset: int, data: bytes | None) -> None:
        self.last += 1
        self.pending.append(Change(self.last, offset, data))

    # -- for the medium

    def settle(self, upto: int, route: Route | None = None) -> None:
        """What was written up to the change of that number is durable; faulty where ``route`` says so."""
        for change in self._taken(upto):
            if not change.promised:
                _apply(self.sound, change.offset, change.data)
            if change.data is not None:
                _extend(self.medium, change.offset + len(change.data))
            at = change.offset if route is None or change.data is None else route(change)
            if at is not None:
                self._land(at, change.data)

    def promise(self, upto: int) -> None:
        """Say so only."""
        for change in self.pending:
            if change.number <= upto and not change.promised:
                change.promised = True
                _apply(self.sound, change.offset, change.data)

    def crash(self, stream: Stream, survival: Survival | None = None) -> list[Fate]:
        """What was not synced is kept, dropped or torn; the fate of each change."""
        changes, self.pending = self.pending, []
        drawn = fates(stream, len(changes), survival) if changes else []
        for change, fate in zip(changes, drawn, strict=True):
            if fate is Fate.DROPPED:
                continue
            if fate is Fate.KEPT or change.data is None:
                self._outcome(change, change.offset, change.data)
                continue
            for piece in torn(stream, change.offset, change.data, surely=survival is Survival.TORN):
                self._outcome(change, piece.offset, piece.data)
            if stream.random() < 0.5:  # the length is not data: it may be there without them
                end = change.offset + len(change.data)
                _extend(self.medium, end)
                if not change.promised:
                    _extend(self.sound, end)
        self.size = len(self.medium)
        return drawn

    def _outcome(self, change: Change, offset: int, data: bytes | None) -> None:
        self._land(offset, data)
        if not change.promised:
            _apply(self.sound, offset, data)

    def _land(self, offset: int, data: bytes | None) -> None:
        _apply(self.medium, offset, data)
        if self.bad and data:
            for sector in range(offset // SECTOR, -(-(offset + len(data)) // SECTOR)):
                self.bad.pop(sector, None)

    def _taken(self, upto: int) -> list[Change]:
        pending = self.pending
        if pending and pending[-1].number <= upto:
            self.pending = []
            return pending
        self.pending = [change for change in pending if change.number > upto]
        return [change for change in pending if change.number <= upto]

    # -- for checkers and faults

    def truth(self, offset: int, size: int) -> bytes:
        """What a program should read."""
        left = [change for change in self.pending if not change.promised]
        return self._over(self.sound, left, offset, size)

    def synced(self, offset: int, size: int) -> bool:
        """Has the host been told that these bytes are durable?"""
        return offset + size <= self.size and not any(
            not change.promised and _touches(change, offset, size) for change in self.pending
        )

    def settled(self, offset: int, size: int) -> bool:
        """Is nothing of these bytes left to be written, and nothing only promised?"""
        return offset + size <= len(self.sound) and not any(
            _touches(change, offset, size) for change in self.pending
        )

    def misdirect(self, source: int, target: int) -> None:
        """The sector ``source`` lies in the place of ``target``, and zeros where it should be."""
        size = len(self.medium)
        here, there = slice(source * SECTOR, (source + 1) * SECTOR), target * SECTOR
        piece = bytes(self.medium[here])
        self.medium[here] = bytes(len(piece))
        self._land(there, piece)
        del self.medium[max(size, len(self.sound)) :]

    def shorten(self, size: int) -> None:
        """The medium ends there."""
        del self.medium[size:]
        length = len(self.medium)
        for change in self.pending:
            length = change.offset if change.data is None else max(length, change.offset + len(change.data))
        self.size = length

    def durable(self, offset: int, size: int) -> bool:
        """Are these bytes on the medium as they should be, whatever happens to the power?"""
        return (
            offset + size <= len(self.sound)
            and not any(_touches(change, offset, size) for change in self.pending)
            and self.medium[offset : offset + size] == self.sound[offset : offset + size]
            and not any(sector in self.bad for sector in _sectors(offset, size))
        )

    def holds(self, offset: int, data: bytes) -> bool:
        """Are these the bytes on the medium, and can they be read?"""
        size = len(data)
        return self.medium[offset : offset + size] == data and self.unreadable(offset, size) is None

    def damage(self) -> list[int]:
        """Sectors whose durable bytes are not what they should be, or cannot be read."""
        found = [sector for sector in _sectors(0, len(self.sound)) if sector in self.bad]
        if self.medium != self.sound:
            longest = max(len(self.medium), len(self.sound))
            for sector in _sectors(0, longest):
                part = slice(sector * SECTOR, (sector + 1) * SECTOR)
                if self.medium[part] != self.sound[part]:
                    found.append(sector)
        return sorted(dict.fromkeys(found))

    def heal(self) -> None:
        """The medium is as it should be; what is unsynced stays so."""
        self.medium[:] = self.sound
        self.bad.clear()
        self.pending = [change for change in self.pending if not change.promised]
        size = len(self.medium)
        for change in self.pending:
            size = change.offset if change.data is None else max(size, change.offset + len(change.data))
        self.size = size

    def unreadable(self, offset: int, size: int) -> int | None:
        """The first sector of a range that cannot be read."""
        if not self.bad:
            return None
        return next((sector for sector in _sectors(offset, size) if sector in self.bad), None)

    def _over(self, image: bytearray, changes: list[Change], offset: int, size: int) -> bytes:
        """A range of ``image`` with ``changes`` on top."""
        if not changes:
            return bytes(memoryview(image)[offset : offset + size])
        length = len(image)
        for change in changes:
            length = change.offset if change.data is None else max(length, change.offset + len(change.data))
        end = min(offset + size, length)
        if end <= offset:
            return b""
        piece = bytearray(image[offset:end])
        piece.extend(bytes(end - offset - len(piece)))
        for change in changes:
            if change.data is None:
                cut = max(0, change.offset - offset)
                piece[cut:] = bytes(max(0, len(piece) - cut))
                continue
            first, last = max(change.offset, offset), min(change.offset + len(change.data), end)
            if first < last:
                data = change.data[first - change.offset : last - change.offset]
                piece[first - offset : last - offset] = data
        return bytes(piece)


def _apply(image: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del image[offset:]
        _extend(image, offset)
        return
    _extend(image, offset + len(data))
    image[offset : offset + len(data)] = data


def _extend(image: bytearray, size: int) -> None:
    if len(image) < size:
        image.extend(bytes(size - len(image)))


def _sectors(offset: int, size: int) -> range:
    return range(offset // SECTOR, -(-(offset + size) // SECTOR))


def _touches(change: Change, offset: int, size: int) -> bool:
    if change.data is None:
        return change.offset < offset + size
    return change.offset < offset + size and change.offset + len(change.data) > offset
