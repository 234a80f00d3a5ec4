"""S24: every buffer, table and number of files stays within its bound.

One rule: a gauge comes with its bound.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Event, Gauge


class Bounds(Rule):
    """O(1) a reading. ``peaks``: the highest reading of each gauge, for the report."""

    name = "gauges bounded"
    invariant = "S24"
    events = (Gauge,)

    def __init__(self) -> None:
        super().__init__()
        self.peaks: dict[str, int] = {}

    def on_event(self, event: Event) -> None:
        """A reading."""
        if isinstance(event, Gauge):
            if event.value > self.peaks.get(event.name, -1):
                self.peaks[event.name] = event.value
            if event.value > event.bound:
                text = f"{event.name} of {event.host} is {event.value}, beyond its bound {event.bound}"
                raise self.broken(text, event)
