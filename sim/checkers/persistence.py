"""S13: votes and terms never go back, whatever happens to the process.

One rule: what a host has told binds it. Only a replica that says that it may have forgotten something (a
suspect) is released from that; it counts in no quorum until it is cured.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Event, Leader, Started, Told, Vote


class Persistence(Rule):
    """O(1) an event."""

    name = "votes and terms never go back"
    invariant = "S13"
    events = (Started, Vote, Told, Leader)

    def __init__(self) -> None:
        super().__init__()
        self._terms: dict[tuple[str, int], Vote | Told | Leader] = {}
        self._votes: dict[tuple[str, int], Vote] = {}

    def on_event(self, event: Event) -> None:
        """A host speaks, or starts."""
        if isinstance(event, Started):
            self._started(event)
        elif isinstance(event, Vote | Told | Leader):
            key = (event.host, event.group)
            told = self._terms.get(key)
            if told is not None and event.term < told.term:
                raise self.broken(
                    f"{event.host} went back from term {told.term} to {event.term}", told, event
                )
            if told is None or event.term > told.term:
                self._terms[key] = event
            if isinstance(event, Vote):
                vote = self._votes.get(key)
                if vote is not None and vote.term == event.term and vote.candidate != event.candidate:
                    raise self.broken(f"{event.host} voted twice in term {event.term}", vote, event)
                self._votes[key] = event

    def _started(self, event: Started) -> None:
        key = (event.host, event.group)
        if event.suspect:
            self._terms.pop(key, None)
            self._votes.pop(key, None)
            return
        told = self._terms.get(key)
        if told is not None and event.term < told.term:
            raise self.broken(f"{event.host} has forgotten term {told.term}", told, event)
        vote = self._votes.get(key)
        if vote is not None and vote.term == event.term and event.voted_for != vote.candidate:
            raise self.broken(f"{event.host} has forgotten its vote in term {event.term}", vote, event)
