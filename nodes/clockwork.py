"""Logged time for the groups that this node leads: what the machine's T is made of.

One rule: T comes from the monotonic clock and the voters' wall clocks that heartbeats brought, through the
pure ``LoggedTime``.
"""

from typing import TYPE_CHECKING, Final

from haqactor.machine.timekeeper import FRESH_NS, LoggedTime

if TYPE_CHECKING:
    from haqactor.nodes.context import Context

_FRESH_NS: Final = 1_000_000
_LOUD_NS: Final = 3_600_000_000_000


def clocks_heard(context: "Context", now_ns: int) -> bool:
    """Whether a majority's wall clocks are known. Until then T may be behind by as long as the cluster stood
    still, or by all the time since 1970 in a new one: nobody may be given a T that jumps later."""
    heard = sum(now_ns - at_ns <= FRESH_NS for _wall_ns, at_ns in context.walls.values())
    return heard + 1 >= _majority(context)


def _majority(context: "Context") -> int:
    return len(context.identity.members) // 2 + 1


class GroupTime:
    """One group's T while this node leads it."""

    def __init__(self, context: "Context", group: int) -> None:
        self._context = context
        self._group = group
        self._time = LoggedTime(0, 1, 0)
        self._told = False
        self._stamp = 0
        self._fresh_until_ns = 0

    def begin(self, last_ns: int, now_ns: int) -> None:
        """A term starts here; ``last_ns`` is the machine's T."""
        self._time = LoggedTime(last_ns, _majority(self._context), now_ns)
        self._told = last_ns == 0
        self._fresh_until_ns = 0

    def now(self, now_ns: int) -> int:
        """T for the next entry; the same within a millisecond, so that a turn may ask often."""
        if now_ns < self._fresh_until_ns:
            return self._stamp
        context, time = self._context, self._time
        time.hear(context.node, context.env.clock.wall_ns(), now_ns)
        for node, (wall_ns, at_ns) in context.walls.items():
            time.hear(node, wall_ns, at_ns)
        stamp = self._stamp = time.now(now_ns)
        if context.env.probe.bug("nodes.time_of_own_wall"):
            stamp = self._stamp = context.env.clock.wall_ns()
        self._fresh_until_ns = now_ns + _FRESH_NS
        if time.jumped_ns > _LOUD_NS and not self._told:
            self._told = True
            context.log.warning(
                "logged time jumped forward", group=self._group, hours=time.jumped_ns / _LOUD_NS
            )
        return stamp
