"""How long a suspect has to say that it is there (Lifeguard, section IV-B).

One rule: alone with a suspicion a node waits long; each other member that suspects the same independently
shortens the wait, on a logarithm, down to what SWIM would have waited.
"""

from math import log, log10
from typing import NamedTuple

from haqactor.swim.config import SwimConfig


class Times(NamedTuple):
    """``wanted``: confirmations after which nothing is left to wait for but ``shortest_ns``. ``worst_ns``:
    the wait in whatever health, so that a node in doubt of itself still comes to an end."""

    shortest_ns: int
    longest_ns: int
    wanted: int
    worst_ns: int


def times(config: SwimConfig, members: int) -> Times:
    """For ``members`` that are alive or suspected, oneself and the suspect among them. Where too few others
    are left to confirm anything, nothing is waited for: k = suspicion_mult - 2, or 0 (S4)."""
    shortest_ns = round(config.suspicion_mult * max(1.0, log10(max(1, members))) * config.probe_interval_ns)
    wanted = config.suspicion_mult - 2
    if members - 2 < wanted or wanted < 0:
        wanted = 0
    longest_ns = shortest_ns * (config.suspicion_max_mult if wanted else 1)
    return Times(shortest_ns, longest_ns, wanted, shortest_ns * config.suspicion_max_mult)


def timeout_ns(of: Times, confirmations: int) -> int:
    """max(shortest, longest - (longest - shortest) log(c + 1) / log(k + 1))."""
    if not of.wanted:
        return of.shortest_ns
    share = log(confirmations + 1) / log(of.wanted + 1)
    return max(of.shortest_ns, round(of.longest_ns - (of.longest_ns - of.shortest_ns) * share))


class Suspicion:
    """One suspect and who accuses it. ``scale``: 1 + health of the node that waits, as it was at the
    beginning."""

    __slots__ = ("_begin_ns", "_by", "_graced", "_scale", "_times")

    def __init__(self, by: bytes, of: Times, scale: int, now_ns: int) -> None:
        self._by = [by]
        self._times = of
        self._scale = scale
        self._begin_ns = now_ns
        self._graced = False

    @property
    def by(self) -> bytes:
        """The first accuser."""
        return self._by[0]

    @property
    def deadline_ns(self) -> int:
        """When the suspect is held for dead."""
        wait_ns = timeout_ns(self._times, len(self._by) - 1) * self._scale
        return self._begin_ns + min(wait_ns, self._times.worst_ns)

    def confirm(self, by: bytes) -> bool:
        """Somebody suspects the same. Is that new, and does it count?"""
        if by in self._by or len(self._by) > self._times.wanted:
            return False
        self._by.append(by)
        return True

    def extend(self, for_ns: int, grace_ns: int) -> None:
        """This node could not have heard anything for so long. ``grace_ns`` is given once, for what waits
        unread; once, so that a node that is late again and again still comes to an end."""
        self._begin_ns += for_ns + (0 if self._graced else grace_ns)
        self._graced = True
