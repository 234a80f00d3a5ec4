"""What can be read from a group's queues, without changing them.

One rule: a view walks columns and intervals, never single messages.
"""

from array import array
from collections.abc import Iterable
from typing import Any

from haqactor.machine.batches import Located
from haqactor.machine.commands import Range
from haqactor.machine.queue import Queue


def info(queue: Queue) -> dict[str, Any]:
    """Most of ``wire.Info``; ``ready`` counts leased messages too, since only the dispatcher knows those."""
    return {
        "ready": queue.depth - queue.deferred.total - queue.parked.total,
        "delayed": queue.deferred.total,
        "dead": queue.dead,
        "bytes": queue.bytes,
        "first_seq": queue.low,
        "next_seq": queue.next_seq,
        "settings": queue.settings,
        "version": queue.version,
    }


def peek(queue: Queue, limit: int, first: int = 0) -> list[Located]:
    """Where the first ``limit`` messages that are not settled are stored, leased or deferred, too; from
    ``first`` on."""
    found: list[Located] = []
    at = max(queue.low, first)
    while limit > 0:
        at = queue.gone.next_missing(at)
        stop = queue.gone.next_present(at)
        high = min(at + limit, queue.next_seq, stop[0] if stop else queue.next_seq) - 1
        if high < at:
            break
        found += queue.batches.locate(at, high)
        limit -= high - at + 1
        at = high + 1
    return found


def live_entries(queues: Iterable[Queue]) -> list[Range]:
    """Sorted ranges of the indexes of all entries whose bodies may still be needed."""
    entries = array("Q")
    for queue in queues:
        entries.extend(queue.batches.live_entries(queue.gone))
    found: list[Range] = []
    low = high = -1
    for entry in sorted(entries):
        if low >= 0 and entry <= high + 1:
            high = entry
            continue
        if low >= 0:
            found.append((low, high))
        low = high = entry
    if low >= 0:
        found.append((low, high))
    return found


def fingerprint(queue: Queue) -> bytes:
    """Bytes that are equal for queues in the same state; proportional to their intervals."""
    gone, deferred, parked, suspects = queue.gone, queue.deferred, queue.parked, queue.suspects
    failures = queue.failures
    columns = (
        gone.starts, gone.ends, deferred.starts, deferred.ends, parked.starts, parked.ends,
        suspects.starts, suspects.ends, failures.starts, failures.ends, failures.values,
    )  # fmt: skip
    marks = (queue.uid, queue.version, queue.low, queue.next_seq, queue.reserve, queue.discarded)
    sizes = (len(queue.holders), len(queue.deferrals), *map(len, columns))
    return b"".join((array("Q", (*marks, *sizes)), *columns))
