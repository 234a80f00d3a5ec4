"""A batch on its way: gathered, packed once, sent until it is confirmed, with the same numbers and the same
bytes.

One rule: once a parcel has numbers its bytes and boundaries never change, so that the servers can tell a
retry from a new batch.
"""

from typing import Any, Final

from haqactor import codec
from haqactor.batch import COUNT_MAX, PACKED_BYTES_MAX, Content, Contents, Packer
from haqactor.client.link import Link
from haqactor.client.outcome import Signal, Wake
from haqactor.codec import are_numbers
from haqactor.errors import Error, ProtocolError
from haqactor.wire import Rows


def unpacked_bytes(content: Content) -> int:
    """The bytes that a message takes in its batch before compression, extras included."""
    if content.extras is None:
        return len(content.body)
    return len(content.body) + 4 + len(codec.dumps(list(content.extras)))


class Item:
    """One message of a parcel; ``offset`` is its row, given when the parcel is sealed. ``wake``: its
    publisher's."""

    __slots__ = ("content", "offset", "parcel", "wake")

    def __init__(self, content: Content, parcel: "Parcel") -> None:
        self.content = content
        self.offset = -1
        self.parcel = parcel
        self.wake: Wake | None = None


def _wake(items: list[Item]) -> None:
    for item in items:
        wake = item.wake
        if wake is not None:
            wake.set()


UNNUMBERED: Final = 0


class Parcel:
    """``first``: its first number, 0 until it is sealed. ``explicit``: the caller chose it. ``retry``: it was
    used before. ``doubt``: sendings that nobody refused: it may be stored. ``contents``: of one that has its
    own boundaries; the others have ``items``. ``pieces``: what it was divided into, and it is done itself."""

    __slots__ = (
        "blob", "contents", "count", "done", "doubt", "error", "expired", "explicit", "first", "full",
        "items", "link", "pieces", "refused_ns", "retry", "rid", "runs", "signal", "since_ns", "size",
    )  # fmt: skip

    def __init__(self, explicit: int | None = None) -> None:
        self.items: list[Item] = []
        self.contents: Contents = ()
        self.pieces: tuple[Parcel, ...] = ()
        self.size = 0
        self.count = 0
        self.full = explicit is not None
        self.first = UNNUMBERED
        self.explicit = explicit
        self.retry = False
        self.blob = b""
        self.link: Link | None = None
        self.rid = 0
        self.done = False
        self.doubt = 0
        self.error: Error | None = None
        self.runs: Rows = []
        self.signal: Signal | None = None
        self.expired = 0
        self.since_ns: int | None = None
        self.refused_ns: int | None = None

    @property
    def gathered(self) -> int:
        """How many messages it is going to have."""
        return len(self.contents) or len(self.items)

    def takes(self, size: int) -> bool:
        """Is there room for one more message of ``size`` bytes?"""
        return not self.full and len(self.items) < COUNT_MAX and self.size + size <= PACKED_BYTES_MAX

    def add(self, content: Content, size: int) -> Item:
        """Put a message in."""
        item = Item(content, self)
        self.items.append(item)
        self.size += size
        if len(self.items) == COUNT_MAX or self.size >= PACKED_BYTES_MAX:
            self.full = True
        return item

    def withdraw(self, item: Item) -> bool:
        """Take a message out again; False where it is too late."""
        if self.first or self.done:
            return False
        self.items.remove(item)
        return True

    def seal(self, first: int, packer: Packer) -> None:
        """Give it its numbers and its bytes."""
        self.first = first
        self.full = True
        self.count = self.gathered
        contents = self.contents
        if not contents:
            for offset, item in enumerate(self.items):
                item.offset = offset
            contents = [item.content for item in self.items]
        self.blob = packer.pack(contents)

    def divide(self, packer: Packer) -> tuple["Parcel", ...]:
        """Two halves with the same numbers in its place. Only of one that gathered its messages and was
        certainly not stored, so that nobody knows its old boundaries."""
        half = len(self.items) // 2
        pieces = (Parcel(), Parcel())
        for piece, items, first in zip(
            pieces, (self.items[:half], self.items[half:]), (self.first, self.first + half), strict=True
        ):
            for item in items:
                item.parcel = piece
            piece.items = items
            piece.seal(first, packer)
        self.pieces = pieces
        self._finish()
        return pieces

    def confirm(self, runs: Any) -> None:
        """It is stored: runs [queue_seq, count, duplicate]. Raises ProtocolError where they do not add up."""
        try:
            total = sum(count for seq, count, _duplicate in runs if are_numbers((seq, count)))
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a publish's reply is no list of runs: {runs!r:.80}") from error
        if total != self.count:
            raise ProtocolError(f"a publish of {self.count} messages was answered for {total}")
        self.runs = runs
        self._finish()

    def fail(self, error: Error) -> None:
        """It is not stored, and will not be."""
        self.error = error
        self._finish()

    def _finish(self) -> None:
        self.done = True
        self.blob = b""
        items, self.items = self.items, []
        self.contents = ()
        self.link = None
        _wake(items)
        if self.signal is not None:
            self.signal.set()

    def give_up_waiting(self) -> None:
        """Whoever waits now hears that the outcome is unknown; the parcel itself is driven on."""
        self.expired += 1
        self.since_ns = None
        _wake(self.items)
        if self.signal is not None:
            signal, self.signal = self.signal, None
            signal.set()

    def place(self, offset: int) -> tuple[int, bool]:
        """(queue sequence, duplicate) of a row, once confirmed."""
        for seq, count, duplicate in self.runs:
            if offset < count:
                return seq + offset, bool(duplicate)
            offset -= count
        raise ProtocolError("a publish's receipts do not cover it")
