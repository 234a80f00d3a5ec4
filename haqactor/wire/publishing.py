"""Requests of producers.

One rule: a batch is named by its producer, queue and first number, whatever connection brings it.
"""

from typing import NamedTuple


class Begin(NamedTuple):
    """Before a producer's first publish to a queue. ``epoch`` 0: anonymous. Reply [began_ns (T), last_seq];
    for a named one its epoch is logged first, so that an older one is fenced and ``last_seq`` is final."""

    rid: int
    group: int
    uid: int
    producer: bytes
    epoch: int


class Publish(NamedTuple):
    """Blob: one batch (``haqactor.batch``) that claims the producer's numbers [first, first + count).
    ``below``: it holds all receipts below that number. Reply: runs [queue_seq, count, duplicate] in order."""

    rid: int
    group: int
    uid: int
    producer: bytes
    epoch: int
    first: int
    count: int  # type: ignore[assignment]  # shadows tuple.count, which nobody calls
    below: int
    began_ns: int


class End(NamedTuple):
    """An anonymous producer session ends in this group; its rows go. Reply True."""

    rid: int
    group: int
    producer: bytes
