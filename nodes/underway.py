"""Publishes that were admitted and are not answered yet: what they are going to take.

One rule: what is counted here leaves when its answer comes, whatever the answer is.
"""

from typing import NamedTuple

from haqactor.nodes.line import Size, Who

NOTHING = Size(0, 0)


class Claim(NamedTuple):
    """A publish: whose it is, and its first number."""

    who: Who
    first: int


class UnderWay:
    """Of one group at its leader. ``total``: of all its queues."""

    __slots__ = ("_claims", "_queues", "total")

    def __init__(self) -> None:
        self.total = NOTHING
        self._queues: dict[int, Size] = {}
        self._claims: dict[Claim, int] = {}

    def __contains__(self, claim: Claim) -> bool:
        return claim in self._claims

    def of(self, uid: int) -> Size:
        """What is under way to a queue."""
        return self._queues.get(uid, NOTHING)

    def begin(self, claim: Claim, size: Size) -> None:
        """It was admitted."""
        self._count(claim, size, 1)

    def end(self, claim: Claim, size: Size) -> None:
        """It was answered."""
        self._count(claim, size, -1)

    def _count(self, claim: Claim, size: Size, sign: int) -> None:
        messages, size_bytes = sign * size[0], sign * size[1]
        uid = claim[0][1]
        in_all, all_bytes = self.total
        self.total = Size(in_all + messages, all_bytes + size_bytes)
        in_queue, queue_bytes = self._queues.get(uid, NOTHING)
        if in_queue + messages:
            self._queues[uid] = Size(in_queue + messages, queue_bytes + size_bytes)
        else:
            del self._queues[uid]
        times = self._claims.get(claim, 0) + sign
        if times:
            self._claims[claim] = times
        else:
            del self._claims[claim]
