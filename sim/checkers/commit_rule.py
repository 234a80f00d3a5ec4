"""S15: a leader commits only an entry of its own term, held durably by a majority (Raft, 5.4.2).

One rule: copies are counted on the disks, not in anybody's books; and nobody commits what no leader did. A
copy that was acknowledged and then destroyed counts: its leader cannot know yet, and the other copies of the
majority are there, since no majority is damaged (else nothing of this binds).
"""

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.watch.observed import Append, Commit, Event, Snapshot, Started, Sync


class _Log:
    """One replica's terms by index from ``base`` on, and up to where it is durable. ``recovered``: entries up
    to there are still to be shown again after a restart, and were found on the disk. ``ghost``: what it held
    before its disk was damaged."""

    __slots__ = ("base", "durable", "ghost", "last", "recovered", "terms")

    def __init__(self, base: int = 0, term: int = 0) -> None:
        self.base = base
        self.last = base
        self.durable = base
        self.recovered = 0
        self.terms = {base: term}
        self.ghost: _Log | None = None

    def append(self, index: int, term: int) -> None:
        if self.terms.get(index) != term:
            self.durable = min(self.durable, index - 1)
        for behind in range(index + 1, self.last + 1):
            self.terms.pop(behind, None)
        self.terms[index] = term
        self.last = index
        self.durable = index if index <= self.recovered else min(self.durable, index)
        if index >= self.recovered:
            self.recovered = 0

    def holds(self, index: int, term: int) -> bool:
        if index <= self.durable and (index < self.base or self.terms.get(index) == term):
            return True
        return self.ghost is not None and self.ghost.holds(index, term)


class CommitRule(Rule):
    """O(1) an event, O(voters) a commit that was counted."""

    name = "commit rule"
    invariant = "S15"
    events = (Append, Sync, Commit, Snapshot, Started)

    def __init__(self) -> None:
        super().__init__()
        self._logs: dict[tuple[str, int], _Log] = {}
        self._counted: dict[int, Commit] = {}

    def on_event(self, event: Event) -> None:
        """A log, a disk or a commit moves."""
        if isinstance(event, Append):
            self._log(event.host, event.group).append(event.index, event.term)
        elif isinstance(event, Sync):
            log = self._log(event.host, event.group)
            if log.terms.get(event.index) == event.term:
                log.durable = max(log.durable, event.index)
        elif isinstance(event, Commit):
            self._commit(event)
        elif isinstance(event, Started):
            before = self._log(event.host, event.group)
            log = self._logs[event.host, event.group] = _Log(event.snapshot_index, event.snapshot_term)
            log.recovered = event.last_index if event.settled else min(event.last_index, before.durable)
            log.ghost = before if event.damaged else before.ghost
        elif isinstance(event, Snapshot) and event.installed:
            log = self._log(event.host, event.group)
            if log.terms.get(event.index) != event.term:
                self._logs[event.host, event.group] = _Log(event.index, event.term)

    def _log(self, host: str, group: int) -> _Log:
        log = self._logs.get((host, group))
        if log is None:
            log = self._logs[host, group] = _Log()
        return log

    def _commit(self, event: Commit) -> None:
        counted = self._counted.get(event.group)
        if not event.by:
            if counted is None or event.index > counted.index:
                raise self.broken(f"{event.host} takes for committed what no leader has committed", event)
            return
        if event.term != event.by:
            text = f"the leader of term {event.by} committed by counting an entry of term {event.term}"
            raise self.broken(text, event)
        for voters in event.quorums:
            holders = [host for host in voters if self._log(host, event.group).holds(event.index, event.term)]
            if 2 * len(holders) <= len(voters):
                text = f"entry {event.index} is durable on {holders or 'nobody'} only, of {list(voters)}"
                raise self.broken(text, event)
        if counted is None or event.index > counted.index:
            self._counted[event.group] = event
