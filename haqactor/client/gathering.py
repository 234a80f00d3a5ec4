"""A consumer's settlements that are not judged yet: the one that gathers what is settled, and those on their
way.

One rule: what one of them holds fits into a frame that every node takes; a full one is closed, and waits
beside those that were sent. Else there is one on its way while the next gathers, and a few where much was
gathered.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from haqactor.client.settling import GATHERED_MAX, Settlement
from haqactor.errors import Error

IN_FLIGHT_MAX: Final = 4
ROWS_MANY: Final = 1024


class Settlements:
    """``credit``: the consumer's messages; half of that is much. ``pending`` gathers; ``unanswered``: oldest
    first. ``leaving``: nothing waits for the answer to what was sent before. ``much``: more than so many are
    worth a look at ``due``."""

    __slots__ = ("leaving", "much", "pending", "unanswered")

    def __init__(self, credit: int) -> None:
        self.pending = Settlement()
        self.unanswered: deque[Settlement] = deque()
        self.leaving = False
        self.much = min(credit // 2, GATHERED_MAX - 1)

    def __bool__(self) -> bool:
        return bool(self.unanswered or self.pending.rows)

    @property
    def due(self) -> bool:
        """Is what was gathered to be sent now?"""
        pending = self.pending
        if not pending.rows or not self.unanswered or self.leaving:
            return pending.rows > 0
        return len(self.unanswered) < IN_FLIGHT_MAX and (
            pending.rows > ROWS_MANY or pending.gathered > self.much
        )

    @property
    def unsent(self) -> list[Settlement]:
        """Closed, and to be sent (again)."""
        return [settlement for settlement in self.unanswered if not settlement.sent]

    def close(self) -> Settlement:
        """The one that gathered takes no more."""
        settlement, self.pending = self.pending, Settlement()
        settlement.count_credit()
        self.unanswered.append(settlement)
        return settlement

    def close_full(self) -> bool:
        """The same, where it is full. Was it?"""
        full = self.pending.is_full
        if full:
            self.close()
        return full

    def leave(self) -> None:
        """From now on all is sent at once."""
        self.leaving = True
        self.much = 0

    def detach(self) -> None:
        """The way changed: all that is not judged goes again."""
        for settlement in self.unanswered:
            settlement.sent = False

    def expire(
        self, since: Callable[[int | None, int], int], now_ns: int, patience_ns: int, error: Error
    ) -> bool:
        """No leader, ``since`` when for whom: who waited for long enough hears ``error``. Did anybody?"""
        expired = False
        for settlement in [*self.unanswered, self.pending]:
            if not settlement.rows:
                continue
            settlement.since_ns = since(settlement.since_ns, now_ns)
            if now_ns - settlement.since_ns >= patience_ns:
                settlement.give_up_waiting(error)
                expired = True
        return expired

    def end(self, error: Error) -> None:
        """None will be judged."""
        for settlement in [*self.unanswered, self.pending]:
            settlement.outcome.fail(error)
        self.unanswered.clear()
