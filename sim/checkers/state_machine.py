"""S12: what is committed never changes, every later leader has it, and every replica makes the same of it.

One rule: the first host that knows an entry to be committed decides what it is; all others, whenever they
come to it, must agree.
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Append, Apply, Commit, Event, Leader, Started

At = tuple[int, int]  # group, index


class StateMachineSafety(Rule):
    """O(1) an event; leaders are held against the highest commit known."""

    name = "committed entries never change, applied digests are equal"
    invariant = "S12"
    events = (Append, Apply, Commit, Leader, Started)

    def __init__(self) -> None:
        super().__init__()
        self._committed: dict[At, Commit] = {}
        self._applied: dict[At, Apply] = {}
        self._known: dict[tuple[str, int], int] = {}
        self._highest: dict[int, Commit] = {}

    def on_event(self, event: Event) -> None:
        """A log, a commit or a machine moves."""
        if isinstance(event, Append):
            self._append(event)
        elif isinstance(event, Apply):
            self._apply(event)
        elif isinstance(event, Commit):
            self._commit(event)
        elif isinstance(event, Started):
            # A follower may hear of a commit before its own disk has the entry: a majority has. Once it has
            # lost its memory, it knows what its snapshot says.
            self._known[event.host, event.group] = event.snapshot_index
        elif isinstance(event, Leader):
            highest = self._highest.get(event.group)
            if highest is not None and event.term > highest.by:
                log = (event.last_term, event.last_index)
                if log < (highest.term, highest.index):
                    raise self.broken("a leader lacks a committed entry", highest, event)

    def _append(self, event: Append) -> None:
        if event.index > self._known.get((event.host, event.group), 0):
            return
        applied = self._applied.get((event.group, event.index))
        if applied is not None and (applied.term, applied.crc) != (event.term, event.crc):
            raise self.broken(f"{event.host} replaces an entry that it knew to be committed", applied, event)
        committed = self._committed.get((event.group, event.index))
        if committed is not None and committed.term != event.term:
            raise self.broken(
                f"{event.host} replaces an entry that it knew to be committed", committed, event
            )

    def _commit(self, event: Commit) -> None:
        first = self._committed.setdefault((event.group, event.index), event)
        if first.term != event.term:
            raise self.broken(f"entry {event.index} was committed twice, differently", first, event)
        applied = self._applied.get((event.group, event.index))
        if applied is not None and applied.term != event.term:
            raise self.broken(f"entry {event.index} was committed and applied differently", applied, event)
        key = (event.host, event.group)
        if event.index > self._known.get(key, 0):
            self._known[key] = event.index
        highest = self._highest.get(event.group)
        if event.by and (highest is None or event.index > highest.index):
            self._highest[event.group] = event

    def _apply(self, event: Apply) -> None:
        first = self._applied.setdefault((event.group, event.index), event)
        if (first.term, first.crc) != (event.term, event.crc):
            raise self.broken(f"two replicas applied different entries {event.index}", first, event)
        if first.digest != event.digest:
            raise self.broken(f"replicas differ after entry {event.index}", first, event)
        committed = self._committed.get((event.group, event.index))
        if committed is not None and committed.term != event.term:
            raise self.broken(f"entry {event.index} was committed and applied differently", committed, event)
