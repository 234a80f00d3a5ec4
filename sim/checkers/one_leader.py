"""S10: a term has at most one leader (Raft's election safety).

One rule: whoever leads first in a term is its leader for ever, across restarts.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Event, Leader


class OneLeader(Rule):
    """O(1) an election."""

    name = "one leader a term"
    invariant = "S10"
    events = (Leader,)

    def __init__(self) -> None:
        super().__init__()
        self._leaders: dict[tuple[int, int], Leader] = {}

    def on_event(self, event: Event) -> None:
        """An election was won."""
        if isinstance(event, Leader):
            first = self._leaders.setdefault((event.group, event.term), event)
            if first.host != event.host:
                raise self.broken(f"term {event.term} of group {event.group} has two leaders", first, event)
