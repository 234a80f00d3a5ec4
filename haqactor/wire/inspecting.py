"""Requests about the messages of one queue, by who only looks, and by who throws them away.

One rule: none of them leases anything.
"""

from typing import NamedTuple


class Info(NamedTuple):
    """A ReadIndex. Reply {ready, leased, delayed, dead, bytes, first_seq, next_seq, consumers, group, leader,
    settings, version}."""

    rid: int
    group: int
    uid: int


class Peek(NamedTuple):
    """A ReadIndex: messages from ``first`` on, as many of ``limit`` (10,000 at most) as fit 4 MiB. Reply:
    parts as in Deliver, term and counter 0, blob: the batches; no part: there are no more."""

    rid: int
    group: int
    uid: int
    limit: int
    first: int = 0


class Purge(NamedTuple):
    """Drop what is ready or deferred. Reply: how many."""

    rid: int
    group: int
    uid: int
