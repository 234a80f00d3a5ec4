"""Snapshots: the whole of a machine's state, without bodies, written from a frozen view while the machine
goes on.

One rule: an object that is about to change while a view holds it unwritten is encoded first (copy on write),
so that the chunks are the state at one index though they are read over many turns.

A chunk is u32 length (little endian) and a CBOR list ``[kind, ...]``; kinds are in
``machine.GroupMachine.restore``. Chunks may be cut and joined anywhere on their way. Columns travel as little
endian bytes, at most ``PIECE_BYTES`` a piece: whole numbers of any width, and whole rows of deferrals.
"""

import sys
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from haqactor import codec
from haqactor.errors import Conflict, DataDamaged, ProtocolError
from haqactor.machine.batches import COLUMNS
from haqactor.machine.held import Held
from haqactor.machine.intervals import IntervalSet
from haqactor.machine.producers import Producer, Window
from haqactor.machine.queue import Origin, Queue

PIECE_BYTES: Final = 256 * 1024 // 24 * 24
_ROWS_MAX: Final = 1000
_CHUNK_MAX: Final = 64 * 1024 * 1024
MALFORMED: Final = (ProtocolError, LookupError, TypeError, ValueError, OverflowError, AttributeError)
"""What comes of chunks that no release writes."""
_SETS: Final = ("gone", "deferred", "parked", "suspects")


def chunk(value: Any) -> bytes:
    """One chunk's bytes."""
    body = codec.dumps(value)
    return len(body).to_bytes(4, "little") + body


def read(chunks: Iterable[bytes]) -> Iterator[list[Any]]:
    """The values of chunks, however they were cut. Raises DataDamaged if they end within one."""
    buffer = bytearray()
    for piece in chunks:
        buffer += piece
        at = 0
        while len(buffer) - at >= 4:
            length = int.from_bytes(buffer[at : at + 4], "little")
            if length > _CHUNK_MAX:
                raise DataDamaged(f"a snapshot's chunk claims {length} bytes")
            if len(buffer) - at - 4 < length:
                break
            yield codec.loads(bytes(buffer[at + 4 : at + 4 + length]))
            at += 4 + length
        if at:
            del buffer[:at]
    if buffer:
        raise DataDamaged("a snapshot ends in the middle of a chunk")


class Frozen(Protocol):
    """What a view can hold: its ``mark`` is the number of the last view that has its state."""

    mark: int


class View:
    """One snapshot in the making: the objects it holds, and the states it had to save before they changed."""

    __slots__ = ("_saved", "number", "stale")

    def __init__(self, number: int) -> None:
        self.number = number
        self.stale = False
        self._saved: dict[Any, Any] = {}

    def keep(self, key: Any, item: Frozen, encode: Callable[[Any], Any]) -> None:
        """``item`` is about to change (or go)."""
        if item.mark != self.number:
            item.mark = self.number
            self._saved[key] = encode(item)

    def take(self, key: Any, item: Frozen, encode: Callable[[Any], Any]) -> Any:
        """The state of ``item`` at the view's index. Raises Conflict if a newer view was begun."""
        if self.stale:
            raise Conflict("a newer snapshot of this group was begun")
        if item.mark == self.number:
            return self._saved.pop(key)
        item.mark = self.number
        return encode(item)


def _little(column: "array[int]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _column(code: str, data: bytes) -> "array[int]":
    column: array[int] = array(code)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _pieces(uid: int, name: str, column: "array[int]") -> Sequence[bytes]:
    if not column:  # as most are
        return ()
    code, data = column.typecode, _little(column)
    if len(data) <= PIECE_BYTES:
        return (chunk(["column", uid, name, code, data]),)
    return [
        chunk(["column", uid, name, code, data[at : at + PIECE_BYTES]])
        for at in range(0, len(data), PIECE_BYTES)
    ]


def encode_queue(queue: Queue) -> list[bytes]:
    """All chunks of a queue."""
    found = [
        chunk(
            [
                "queue",
                queue.uid,
                queue.name,
                queue.version,
                queue.settings,
                queue.low,
                queue.next_seq,
                queue.reserve,
                [list(holder) for holder in queue.holders],
                queue.discarded,
            ]
        )
    ]
    batches = queue.batches
    if len(batches):
        for name, _code in COLUMNS:
            found += _pieces(queue.uid, name, getattr(batches, name)[batches.head :])
    for name in _SETS:
        marks: IntervalSet = getattr(queue, name)
        if marks.total:
            found += _pieces(queue.uid, f"{name}.starts", marks.starts)
            found += _pieces(queue.uid, f"{name}.ends", marks.ends)
    failures = queue.failures
    if len(failures):
        found += _pieces(queue.uid, "failures.starts", failures.starts)
        found += _pieces(queue.uid, "failures.ends", failures.ends)
        found += _pieces(queue.uid, "failures.values", failures.values)
    flat = array("Q", [number for row in sorted(queue.deferrals) for number in row])
    found += _pieces(queue.uid, "deferrals", flat)
    origins = [[first, o.uid, o.seq, o.reason, o.attempts, o.died_ns] for first, o in queue.origins.items()]
    for at in range(0, len(origins), _ROWS_MAX):
        found.append(chunk(["origins", queue.uid, origins[at : at + _ROWS_MAX]]))
    return found


def restore_column(queue: Queue, name: str, code: str, data: bytes) -> None:
    """Put a piece of a column back where it was."""
    piece = _column(code, data)
    if name == "deferrals":
        queue.deferrals += [(piece[at], piece[at + 1], piece[at + 2]) for at in range(0, len(piece), 3)]
        return
    owner, dot, part = name.partition(".")
    target: array[int] = getattr(getattr(queue, owner), part) if dot else getattr(queue.batches, name)
    target.extend(piece)


def restore_totals(queue: Queue, group: Held) -> None:
    """Once all columns of a queue are back; ``group``: what it is a part of. Raises DataDamaged where they do
    not fit together."""
    lengths = [len(getattr(queue.batches, name)) for name, _code in COLUMNS]
    failures = queue.failures
    for name in _SETS:
        marks: IntervalSet = getattr(queue, name)
        if len(marks.starts) != len(marks.ends):
            raise DataDamaged(f"a snapshot's ranges of queue {queue.uid} ({name}) have ends of their own")
        marks.total = sum(marks.ends) - sum(marks.starts) + len(marks)
    if lengths.count(lengths[0]) != len(lengths) or not (
        len(failures.starts) == len(failures.ends) == len(failures.values)
    ):
        raise DataDamaged(f"a snapshot's columns of queue {queue.uid} are of different lengths")
    if 0 in queue.batches.total:
        raise DataDamaged(f"a snapshot has a batch of queue {queue.uid} without messages")
    queue.batches.stored = sum(queue.batches.count)
    queue.weigh()
    queue.group = group
    group.enter(queue)


def check(row: Sequence[Any], *kinds: type[Any]) -> None:
    """Are the fields of a row of these types, and the numbers such as fit into a column? Raises ValueError,
    TypeError."""
    for value, kind in zip(row, kinds, strict=True):
        if type(value) is not kind or (kind is int and not 0 <= value < 1 << 64):
            raise ValueError(f"{value!r:.60} where {kind.__name__} belongs")


def restore_queue(row: list[Any]) -> Queue:
    """The inverse of a queue's first chunk."""
    check(row, str, int, str, int, dict, int, int, int, list, int)
    _kind, uid, name, version, settings, low, next_seq, reserve, holders, discarded = row
    for holder in holders:
        check(holder, bytes, int)
    queue = Queue(uid, name, version, settings)
    queue.low, queue.next_seq, queue.reserve, queue.discarded = low, next_seq, reserve, discarded
    queue.holders = {(row[0], row[1]): True for row in holders}
    return queue


def restore_origins(queue: Queue, rows: list[list[Any]]) -> None:
    """The inverse of a chunk of origins."""
    for row in rows:
        check(row, int, int, int, str, int, int)
        first, uid, seq, reason, attempts, died_ns = row
        queue.origins[first] = Origin(uid, seq, reason, attempts, died_ns)


def encode_producer(producer: Producer) -> list[Any]:
    """One row of a chunk of producers, but for whether its rows still count."""
    windows = [[uid, window.last, _little(window.rows)] for uid, window in producer.windows.items()]
    return [producer.producer, producer.epoch, producer.used_ns, producer.ended, windows]


def restore_producer(row: list[Any]) -> Producer:
    """The inverse of ``encode_producer``."""
    check(row[:5], bytes, int, int, bool, list)
    producer = Producer(row[0], row[1], row[2])
    producer.ended = row[3]
    for window in row[4]:
        check(window, int, int, bytes)
        uid, last, rows = window
        producer.windows[uid] = Window(last, _column("Q", rows))
    return producer


def producer_chunks(rows: Iterable[list[Any]]) -> Generator[bytes]:
    """Rows joined to chunks of a bounded size."""
    held: list[list[Any]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += 64 + sum(len(window[2]) for window in row[4])
        if size >= PIECE_BYTES:
            yield chunk(["producers", held])
            held, size = [], 0
    if held:
        yield chunk(["producers", held])
