"""What a node's disk truly holds of what the node says is durable.

One rule: the medium is asked, not the node: a sync that was left out, that failed unheard, or that lied,
backs nothing; and what a block says is read in its bytes.
"""

from typing import Any

from haqactor.ids import NO_NODE, GroupId, Index, Term
from haqactor.journal.block import decode_header, unpack
from haqactor.journal.journal import Journal
from haqactor.journal.record import DropRecord, decode
from haqactor.journal.writer import Layout
from haqactor.raft.ready import HardState
from haqactor.sim.disk.medium import Medium


class Truth:
    """Of one incarnation of a node, from its first actor on: it looks at every block in the instant in which
    the journal takes it for durable; later the disk may have rotted. Where the disk has been lost in between
    nobody can ask it any more, and the node ends soon. ``block``: the newest one that it found there, by its
    sequence."""

    def __init__(self, journal: Journal, medium: Medium) -> None:
        self.block = 0
        self._journal = journal
        self._medium = medium
        self._generation = medium.generation
        self._lost = False
        self._hard = {group: found.hard_state for group, found in journal.recovered.items()}
        writer: Any = journal.writer
        self._go_on = writer.written
        writer.written = self._written

    def _written(self, layout: Layout) -> None:
        writer, data = self._journal.writer, b"".join(layout.buffers)
        file = writer.file
        if file is not None and not self._lost:
            if self._gone or self._medium.holds(file.path, writer.offset, data):
                self.block = writer.sequence
                self._learn(data, file.number, writer.offset, file.size)
            else:
                self._lost = True
        self._go_on(layout)

    @property
    def _gone(self) -> bool:
        return self._medium.generation != self._generation

    def _learn(self, data: bytes, number: int, offset: int, size: int) -> None:
        """The hard states that a block tells."""
        header = decode_header(data, 0, number, offset, size)
        if not header.records_bytes:
            return
        section = data[header.header_bytes : header.header_bytes + header.section_bytes]
        if header.packed:
            section = unpack(section, header.section_raw_bytes)
        for record in decode(section[: header.records_bytes]):
            if isinstance(record, DropRecord):
                self._hard.pop(record.group, None)
            else:
                self._hard[record.group] = record.hard_state

    def backs(self, group: GroupId, index: Index, term: Term, hard: HardState | None = None) -> bool:
        """Is the log up to that entry on the medium (or what has replaced it since), and that hard state (or
        a later one: of a higher term, or with a vote where it had none)? ``index`` 0: no entry."""
        if hard is not None:
            known = self._hard.get(group, HardState())
            same = known.term == hard.term and hard.vote in (NO_NODE, known.vote)
            if not same and known.term <= hard.term:
                return False
        if index and not self._holds(group, index, term):
            return False
        return self.settled

    def _holds(self, group: GroupId, index: Index, term: Term) -> bool:
        state = self._journal.groups.get(group)
        if state is None:
            return False
        log = state.index
        if index <= state.snapshot_index or log.last_term > term:
            return True
        return log.last_index >= index and log.term_at(index) in (term, 0)

    @property
    def rotted(self) -> bool:
        """Has a bit flipped on that medium, at any time?"""
        return self._medium.rotted

    @property
    def settled(self) -> bool:
        """Is nothing of what the journal takes for written left in a cache, or lost on the way?"""
        writer = self._journal.writer
        if self._lost:
            return False
        if writer.file is None or not writer.offset or self._gone:
            return True
        return self._medium.settled(writer.file.path, 0, writer.offset)
