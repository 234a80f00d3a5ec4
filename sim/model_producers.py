"""The reference model of publish deduplication: every claim of every producer, in a list.

One rule: a claim is stored once; what can no longer be told from a retry is refused.
"""

from dataclasses import dataclass, field
from typing import Final

WINDOW_CLAIMS: Final = 1024
SECOND_NS: Final = 1_000_000_000
ANONYMOUS_NS: Final = 600 * SECOND_NS
RECEIPTS_NS: Final = 86_400 * SECOND_NS
NAMED_NS: Final = 30 * 86_400 * SECOND_NS

Answer = str | list[tuple[int, bool]]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a publish claims: numbers ``first .. first + count - 1`` of a producer in a queue."""

    producer: bytes
    epoch: int
    uid: int
    first: int
    count: int
    crc: int
    below: int
    began_ns: int


@dataclass(slots=True)
class Numbers:
    """One producer in one queue. ``claims``: (first, count, crc, place), those still known."""

    last: int = 0
    claims: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])


@dataclass(slots=True)
class ModelSession:
    """``receipts``: are claims still known at all?"""

    epoch: int
    used_ns: int
    numbers: dict[int, Numbers] = field(default_factory=dict[int, Numbers])
    receipts: bool = True


class ModelProducers:
    """All sessions of a group, those used longest ago first."""

    def __init__(self) -> None:
        self.sessions_max = 100_000
        self._named: dict[bytes, ModelSession] = {}
        self._anonymous: dict[bytes, ModelSession] = {}
        self._ended: dict[bytes, int] = {}  # and when

    def last(self, producer: bytes, uid: int) -> int:
        """The highest number stored in a queue."""
        session = self._named.get(producer) or self._anonymous.get(producer)
        numbers = session.numbers.get(uid) if session is not None else None
        return numbers.last if numbers is not None else 0

    def claim(self, claimed: Claimed, place: int, now_ns: int) -> Answer | None:
        """The answer, or None: it is new, and is stored from ``place`` on."""
        sessions = self._named if claimed.epoch else self._anonymous
        session = sessions.get(claimed.producer)
        if claimed.producer in self._ended:
            return "sequence_expired"
        if session is not None and claimed.epoch < session.epoch:
            return "fenced"
        numbers = session.numbers.get(claimed.uid) if session is not None else None
        if numbers is None:
            if now_ns - claimed.began_ns > (NAMED_NS if claimed.epoch else ANONYMOUS_NS):
                return "sequence_expired"
            if session is None and self._full():
                return "overloaded"
            if claimed.first != 1:
                return "sequence_gap"
        session = self._use(sessions, claimed.producer, claimed.epoch, now_ns)
        numbers = session.numbers.setdefault(claimed.uid, Numbers())
        if not claimed.epoch:
            while numbers.claims and numbers.claims[0][0] + numbers.claims[0][1] <= claimed.below:
                del numbers.claims[0]
        if claimed.first <= numbers.last:
            return _retry(claimed, numbers)
        if claimed.first > numbers.last + 1:
            return "sequence_gap"
        numbers.claims.append((claimed.first, claimed.count, claimed.crc, place))
        del numbers.claims[:-WINDOW_CLAIMS]
        numbers.last = claimed.first + claimed.count - 1
        return None

    def begin(self, producer: bytes, epoch: int, now_ns: int) -> str | None:
        """A named producer opens; the code of what is against it."""
        session = self._named.get(producer)
        if session is not None and epoch < session.epoch:
            return "fenced"
        if session is None and self._full():
            return "overloaded"
        self._use(self._named if epoch else self._anonymous, producer, epoch, now_ns)
        return None

    def end(self, producer: bytes, now_ns: int) -> None:
        """An anonymous session closes."""
        if producer in self._anonymous and len(self._ended) < self.sessions_max:
            del self._anonymous[producer]
            self._ended[producer] = now_ns

    def forget(self, uid: int) -> None:
        """A queue is gone."""
        for sessions in (self._named, self._anonymous):
            for session in sessions.values():
                session.numbers.pop(uid, None)

    def expire(self, now_ns: int, budget: int) -> None:
        """Old sessions go, then old endings, receipts, and names; so many in all."""
        for producer, session in list(self._anonymous.items()):
            if budget > 0 and session.used_ns < now_ns - ANONYMOUS_NS:
                del self._anonymous[producer]
                budget -= 1
        for producer, ended_ns in list(self._ended.items()):
            if budget > 0 and ended_ns < now_ns - ANONYMOUS_NS:
                del self._ended[producer]
                budget -= 1
        for session in self._named.values():
            if budget > 0 and session.receipts and session.used_ns < now_ns - RECEIPTS_NS:
                session.receipts = False
                for numbers in session.numbers.values():
                    numbers.claims.clear()
                budget -= 1
        for producer, session in list(self._named.items()):
            if budget > 0 and session.used_ns < now_ns - NAMED_NS:
                del self._named[producer]
                budget -= 1

    def _full(self) -> bool:
        return len(self._named) + len(self._anonymous) >= self.sessions_max

    def _use(
        self, sessions: dict[bytes, ModelSession], producer: bytes, epoch: int, now_ns: int
    ) -> ModelSession:
        session = sessions.pop(producer, None) or ModelSession(epoch, now_ns)
        session.epoch, session.used_ns, session.receipts = epoch, now_ns, True
        sessions[producer] = session  # behind all others
        return session


def _retry(claimed: Claimed, numbers: Numbers) -> Answer:
    """The answer to a claim that begins among what is stored."""
    end = claimed.first + claimed.count
    if end - 1 > numbers.last:
        return "sequence_conflict"
    known: dict[int, tuple[int, int]] = {}  # number -> its claim, its place
    for at, (first, count, _crc, place) in enumerate(numbers.claims):
        if first < end and first + count > claimed.first:
            known.update((first + row, (at, place + row)) for row in range(count))
    if claimed.first not in known:
        return "sequence_expired"
    first, count, crc, _place = numbers.claims[known[claimed.first][0]]
    if (first, count) == (claimed.first, claimed.count) and crc != claimed.crc:
        return "sequence_conflict"
    return [(known[number][1], True) for number in range(claimed.first, end)]
