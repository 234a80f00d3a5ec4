"""A node whose disk stands still gives its leaderships to nodes whose disks do not.

One rule: all leaderships go when a write of any group has been under way for ``disk_slow``, each to the voter
that is furthest along; a few at a time, those first that were not tried for longest. What nobody can take
ends by the core itself, after three times as long (``RaftConfig.disk_stuck_ns``). A group that writes nothing
goes, too: its leader could not read what a follower needs.

A follower with such a disk does no harm: it is not counted until it has written. A leader with one still gets
majorities, but applies, and so answers, only what it has on its own disk.

It is looked at with the beats (``haqactor.nodes.beats``), which come often enough: a task of its own that
wakes for a look which almost always finds nothing was a tenth of what an idle node did.
"""

from typing import TYPE_CHECKING, Final

from haqactor.ids import NO_NODE, GroupId
from haqactor.nodes.context import Context

if TYPE_CHECKING:
    from haqactor.nodes.group import GroupActor

_LOOKS: Final = 4
"""So often it is looked within ``disk_slow``, if beats come as often."""
AT_ONCE: Final = 16
"""Leaderships given up at one look: a thousand take a quarter of a minute, and no election storm."""
_NS: Final = 1_000_000_000


class SlowDisk:
    """One node's watch over its own disk."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tried: dict[GroupId, int] = {}
        self._since_ns: int | None = None
        self._every_ns = round(context.limits.disk_slow * _NS) // _LOOKS
        self._next_ns = 0

    def look(self) -> None:
        """Give up what has to go now. To be called with every regular beat; looks ``_LOOKS`` times within
        ``disk_slow`` at most."""
        context = self._context
        now = context.now()
        if now < self._next_ns:
            return
        self._next_ns = now + self._every_ns
        actors = context.groups.values()
        waits = any(actor.core.waits_for_disk(now) for actor in actors)
        slow = [actor for actor in actors if waits and actor.core.should_give_up(now, elsewhere=True)]
        self._tell(len(slow), now)
        waiting = [actor for actor in slow if actor.core.transferee == NO_NODE]
        for actor in sorted(waiting, key=self._last_tried)[:AT_ONCE]:
            self._tried[actor.group] = now
            context.env.probe.mark("nodes.slow_disk")
            context.count("given_up_by_slow_disk")
            actor.mailbox.put_once(actor.hand_over)

    def _last_tried(self, actor: "GroupActor") -> tuple[int, int]:
        return self._tried.get(actor.group, 0), actor.group

    def _tell(self, groups: int, now: int) -> None:
        """The log hears of the beginning and of the end."""
        log = self._context.log
        if groups and self._since_ns is None:
            self._since_ns = now
            log.warning("the disk is slow: hands leaderships over", groups=groups)
        elif not groups and self._since_ns is not None:
            log.info("leads nothing any more that waits for the disk", after_s=(now - self._since_ns) / _NS)
            self._since_ns = None
            self._tried.clear()
