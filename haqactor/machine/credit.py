"""A consumer as the leader knows it: its credit, what it said it started, when it was lost.

One rule: credit is volatile. It lives with one subscription and is set anew by the next; nothing here is
replicated.
"""

from typing import Final

from haqactor.machine.intervals import IntervalSet
from haqactor.machine.leases import Key, Lease, LeaseId

NEVER: Final = 1 << 62


class Consumer:
    """``credit_*``: what may be sent now; ``whole_*``: all its credit, leased messages included. ``leases``
    by serial number."""

    __slots__ = (
        "credit_bytes",
        "credit_messages",
        "key",
        "leases",
        "lost_ns",
        "one_by_one",
        "polls",
        "reported",
        "started",
        "uid",
        "whole_bytes",
        "whole_messages",
    )

    def __init__(self, key: Key, uid: int) -> None:
        self.key = key
        self.uid = uid
        self.credit_messages = 0
        self.credit_bytes = 0
        self.whole_messages = 0
        self.whole_bytes = 0
        self.leases: dict[int, Lease] = {}
        self.started = IntervalSet()  #: sequences whose handling began, as last reported
        self.reported: LeaseId = (-1, -1)  #: the highest lease that its reports cover
        self.one_by_one = False  #: it asks for each message, and settling gives it no credit back
        self.polls = 0  #: requests for one message that wait for an answer
        self.lost_ns = NEVER  #: when its leases go back, unless its session returns

    def subscribe(self, messages: int, size: int, claimed_messages: int, claimed_bytes: int) -> None:
        """A new subscription: ``messages`` and ``size`` (bytes) may be sent beside what it claims.
        Neither: it asks for messages one by one, so what it holds gives it nothing to wait for."""
        self.credit_messages, self.credit_bytes = messages, size
        self.one_by_one = not (messages or size)
        self.whole_messages = self.whole_bytes = 0
        if not self.one_by_one:
            self.whole_messages, self.whole_bytes = messages + claimed_messages, size + claimed_bytes
        self.lost_ns = NEVER

    def give(self, messages: int, size: int) -> None:
        """More credit."""
        self.credit_messages += messages
        self.credit_bytes += size
        if self.one_by_one:
            return
        self.whole_messages = max(self.whole_messages, self.credit_messages)
        self.whole_bytes = max(self.whole_bytes, self.credit_bytes)

    @property
    def connected(self) -> bool:
        """Can anything be sent to it?"""
        return self.lost_ns == NEVER

    def fits(self, messages: int, size: int) -> int:
        """How many of a chunk of ``messages`` (``size`` bytes in all) it takes now: all, a slice, or 0: it
        waits.

        It is given a slice only if its whole credit is smaller than the chunk, or if it holds nothing that
        might give credit back; a message larger than its credit comes alone."""
        if self.credit_messages >= messages and self.credit_bytes >= size:
            return messages
        if self.credit_messages <= 0:
            return 0
        if self.leases and self.whole_messages >= messages and self.whole_bytes >= size:
            return 0
        each = -(-size // messages)
        count = min(messages, self.credit_messages, max(0, self.credit_bytes) // each)
        return count or (0 if self.leases and not self.one_by_one else 1)
