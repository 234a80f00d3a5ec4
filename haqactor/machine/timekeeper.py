"""Logged time T: what a leader stamps its entries with.

One rule: T never goes back, runs with the leader's monotonic clock, and is bent by at most 10 % toward the
lower median of the voters' wall clocks, so that neither one fast clock nor a step of one moves it. Only at
the start of a term may it jump, forward.
"""

from typing import Final

FRESH_NS: Final = 1_000_000_000
_SLEW: Final = 10


class LoggedTime:
    """One leader's, for one term. ``last_ns``: the machine's T once its no-op has applied. ``quorum``: how
    many voters make a majority. ``jumped_ns``: how far the start of the term jumped, for the log."""

    __slots__ = ("_at_ns", "_heard", "_quorum", "_settled", "_t_ns", "jumped_ns")

    def __init__(self, last_ns: int, quorum: int, now_ns: int) -> None:
        self._t_ns: int = last_ns
        self._quorum = quorum
        self._at_ns = now_ns
        self._heard: dict[int, tuple[int, int]] = {}
        self._settled = False
        self.jumped_ns: int = 0

    def hear(self, voter: int, wall_ns: int, now_ns: int) -> None:
        """A voter's wall clock, as heard at ``now_ns`` (the leader's own, too)."""
        self._heard[voter] = (wall_ns, now_ns)

    def set_quorum(self, quorum: int) -> None:
        """The voters changed."""
        self._quorum = quorum

    def now(self, now_ns: int) -> int:
        """T at ``now_ns`` (monotonic). Before a quorum of clocks was heard in this term it only runs."""
        elapsed = max(0, now_ns - self._at_ns)
        self._at_ns = max(self._at_ns, now_ns)
        ahead = self._t_ns + elapsed
        target = self._target_ns(now_ns)
        if target is None:
            self._t_ns = ahead
        elif not self._settled:
            self._settled = True
            self.jumped_ns = max(0, target - ahead)
            self._t_ns = max(ahead, target)
        else:
            bend = elapsed // _SLEW
            self._t_ns = ahead + max(-bend, min(bend, target - ahead))
        return self._t_ns

    def _target_ns(self, now_ns: int) -> int | None:
        """The lower median of the wall clocks heard in the last second, if they are a quorum."""
        clocks = sorted(wall + now_ns - at for wall, at in self._heard.values() if now_ns - at <= FRESH_NS)
        return clocks[(len(clocks) - 1) // 2] if len(clocks) >= self._quorum else None
