"""Logged time for the groups that this node leads: what the machine's T is made of.

One rule: T comes from the monotonic clock and the voters' wall clocks that heartbeats brought, through the
pure ``LoggedTime``."""

from typing import TYPE_CHECKING

from haqactor.machine.timekeeper import LoggedTime

if TYPE_CHECKING:
    from haqactor.nodes.context import Context

_HEARD_NS = 1_000_000_000


class GroupTime:
    """One group's T while this node leads it."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._time: LoggedTime | None = None

    def begin(self, last_ns: int, now_ns: int) -> None:
        """A term starts here; ``last_ns`` is the machine's T."""
        self._time = LoggedTime(last_ns, now_ns)

    def stamp(self, now_ns: int) -> int:
        """T for the next entry."""
        if self._time is None:
            return 0
        context = self._context
        walls = [context.env.clock.wall_ns()]
        walls.extend(wall + now_ns - at for wall, at in context.walls.values() if now_ns - at <= _HEARD_NS)
        voters = len(context.identity.members)
        return self._time.now(now_ns, walls, voters)
