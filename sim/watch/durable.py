"""What a node's disk truly holds of what the node says is durable.

One rule: the medium is asked, not the node: a sync that was left out, that failed unheard, or that lied,
backs nothing.
"""

from haqactor.ids import GroupId, Index, Term
from haqactor.journal.journal import Journal
from haqactor.raft.ready import HardState
from haqactor.sim.disk.medium import Medium


class Truth:
    """Of one incarnation of a node. Ask at the instant of the report: later the disk may have rotted."""

    def __init__(self, journal: Journal, medium: Medium) -> None:
        self._journal = journal
        self._medium = medium
        self._found = journal.writer.file, journal.writer.offset

    def backs(self, group: GroupId, index: Index, term: Term, hard: HardState | None = None) -> bool:
        """Is the log up to that entry on the medium (or what has replaced it since), and that hard state (or
        a later one)? ``index`` 0: no entry."""
        state = self._journal.groups.get(group)
        if state is None:
            return not index and hard is None
        if hard is not None and hard != state.hard and state.hard.term <= hard.term:
            return False
        if index and not self._holds(group, index, term):
            return False
        return self.settled

    def _holds(self, group: GroupId, index: Index, term: Term) -> bool:
        state = self._journal.groups[group]
        log = state.index
        if index <= state.snapshot_index or log.last_term > term:
            return True
        return log.last_index >= index and log.term_at(index) in (term, 0)

    @property
    def settled(self) -> bool:
        """Is nothing of what the journal takes for written left in a cache, or lost on the way?"""
        writer, medium = self._journal.writer, self._medium
        if writer.file is None or not writer.offset:
            return True
        path = writer.file.file.path
        if not medium.settled(path, 0, writer.offset):
            return False
        file, offset = self._found
        last = writer.last_offset
        if writer.file is file and last < offset:
            return True  # nothing was written since the start; what was found may have rotted since
        return medium.durable(path, last, writer.offset - last)
