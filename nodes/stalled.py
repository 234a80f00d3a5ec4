"""A group's actor that stands still, though its node lives, is seen, told of, and in the end the node's end.

One rule: time is counted in the node's own beats, so a process that was stopped, or a host that slept, is not
taken for a stalled actor. Its leadership goes at once, for its row is left out (``Beats``); its state goes
with the node, never alone.

Why the node ends, and does not make the actor anew: a turn awaits nothing, so one that does not end is a bug,
and what it left half done is a guess (``haqactor.nodes.supervisor``). A process that starts again reads its
state from the disk, and whatever the old one hung in is gone with it.
"""

from haqactor.errors import InvariantViolation
from haqactor.ids import GroupId
from haqactor.nodes.context import Context
from haqactor.raft.heartbeat import STUCK_BEATS, Turns


class Stalled:
    """Told of every group once a beat. ``turns``: how long each has not moved."""

    def __init__(self, context: Context, turns: Turns) -> None:
        self._context = context
        self._turns = turns
        limits = context.limits
        self._beats_max = max(2 * STUCK_BEATS, round(limits.actor_stall / limits.heartbeat))
        self._known: dict[GroupId, int] = {}

    def look(self, group: GroupId) -> None:
        """Has it stood still for three beats? Raises InvariantViolation: for ``actor_stall`` seconds."""
        beats = self._turns.still(group)
        if self._context.env.probe.bug("nodes.stalled_actor_beats_on"):
            return
        if beats < STUCK_BEATS:
            if group in self._known:
                self._goes_on(group)
            return
        context = self._context
        if group not in self._known:
            actor = context.groups[group]
            context.env.probe.mark("nodes.actor_stalled")
            context.count("stalled_actors")
            context.log.error(
                "a group's actor is stalled; its leadership goes",
                group=group,
                waiting=len(actor.mailbox),
                leads=actor.leading,
            )
        self._known[group] = beats
        if beats >= self._beats_max:
            raise InvariantViolation(
                f"the actor of group {group} has finished no turn for {self._seconds(beats):g} s, though the "
                "node lives and work waits for it"
            )

    def _goes_on(self, group: GroupId) -> None:
        beats = self._known.pop(group)
        self._context.log.warning("a stalled actor goes on", group=group, after_s=self._seconds(beats))

    def _seconds(self, beats: int) -> float:
        return round(beats * self._context.limits.heartbeat, 3)
