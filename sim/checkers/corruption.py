"""S21: what is served is what was written.

One rule: a leader's first appending of an entry says what its bytes are; whoever hands it out later hands out
those, or nothing.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.observed import Append, Event, Served


class NoSilentCorruption(Rule):
    """O(1) an event."""

    name = "served as written"
    invariant = "S21"
    events = (Append, Served)

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[int, int, int], Append] = {}

    def on_event(self, event: Event) -> None:
        """An entry is written or leaves."""
        if isinstance(event, Append):
            self._written.setdefault((event.group, event.index, event.term), event)
        elif isinstance(event, Served):
            written = self._written.get((event.group, event.index, event.term))
            if written is None:
                raise self.broken(f"{event.host} serves an entry that nobody wrote", event)
            if written.crc != event.crc:
                raise self.broken(f"{event.host} serves other bytes than were written", written, event)
