"""Replay of blocks into groups: what the log of each group is, as its records say it.

One rule: each group's entries follow each other without a gap and never twice (J13), or this is damage.
"""

from haqactor.entry import HEAD_BYTES, Kind
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, Term
from haqactor.journal.block import Frame
from haqactor.journal.files import DataFile, packed_place
from haqactor.journal.index import GroupIndex
from haqactor.journal.record import DropRecord, GroupState, HardRecord, Manifest, decode
from haqactor.journal.scan import Block
from haqactor.raft.ready import HardState


class GroupReplay:
    """One group while its blocks are replayed. ``ceiling``: cold entries above it were overwritten since."""

    __slots__ = ("ceiling", "configs", "hard", "hot", "manifest")

    def __init__(self) -> None:
        self.hard = HardState()
        self.manifest = Manifest()
        self.hot = GroupIndex()
        self.ceiling = Index(0)
        self.configs: dict[Index, tuple[Term, bytes]] = {}

    def restate(self, state: GroupState, known: bool) -> None:
        """A state record: the first one is where this replay begins, a later one must agree with it."""
        if not known:
            self.hot.last_index, self.hot.last_term = state.last_index, state.last_term
            self.ceiling = state.last_index
        elif (self.hot.last_index, self.hot.last_term) != (state.last_index, state.last_term):
            raise DataDamaged(
                f"group {state.group} ends at {self.hot.last_index} (term {self.hot.last_term}), "
                f"its state record says {state.last_index} (term {state.last_term})"
            )
        self.hard, self.manifest = state.hard_state, state.manifest
        meta = state.manifest.snapshot
        if state.reset and meta is not None:
            self.hot.truncate(0)
            self.hot.last_index, self.hot.last_term = meta.index, meta.term
            self.ceiling = meta.index

    def add(self, file: DataFile, frames: list[Frame], ordinal: int, block: Block) -> None:
        """The entries of one block, in index order."""
        first, last = frames[0].log_index, frames[-1].log_index
        group, hot = frames[0].group, self.hot
        if last - first + 1 != len(frames) or first > hot.last_index + 1:
            raise DataDamaged(f"group {group}: entries {first}..{last} do not follow {hot.last_index}")
        if first <= hot.last_index:
            self._overwrite(group, first, frames[0].term)
        places = [
            packed_place(ordinal, frame.position) if frame.packed else frame.position for frame in frames
        ]
        runs = [(frame.log_index, frame.term) for frame in frames]
        hot.append(file, first, places, [frame.length for frame in frames], runs)
        for frame in frames:
            if frame.kind == Kind.CONFIG and frame.packed:
                self.configs[frame.log_index] = (
                    frame.term,
                    entry_header(block.payload.section, frame.position),
                )
            elif frame.kind == Kind.CONFIG:
                at = frame.position - block.header.section_offset
                self.configs[frame.log_index] = frame.term, entry_header(block.raw, at)

    def _overwrite(self, group: GroupId, first: Index, term: Term) -> None:
        """An entry at or below the end: only a leader of a higher term may do that."""
        known = bool(self.hot.pieces) and self.hot.pieces[0].first <= first
        old = self.hot.term_at(first) if known else None
        if old is not None and (term == old or (term < old and self.hard.term <= old)):
            raise DataDamaged(
                f"group {group}: entry {first} (term {term}) stands where term {old} was already"
            )
        self.ceiling = min(self.ceiling, Index(first - 1))


def entry_header(data: bytes, at: int) -> bytes:
    """The CBOR header of the entry frame at ``data[at:]``."""
    length = int.from_bytes(data[at + 32 : at + 36], "little")
    return data[at + HEAD_BYTES : at + HEAD_BYTES + length]


class Replay:
    """All groups. ``groups`` loses those that were dropped."""

    def __init__(self) -> None:
        self.groups: dict[GroupId, GroupReplay] = {}

    def block(self, file: DataFile, block: Block) -> None:
        """One more block. Raises DataDamaged without place; the caller knows it."""
        header, payload = block.header, block.payload
        ordinal = 0
        if header.packed:
            ordinal = file.add_packed(header.section_offset, header.section_bytes, header.section_raw_bytes)
        for record in decode(payload.records):
            if isinstance(record, DropRecord):
                self.groups.pop(record.group, None)
                continue
            known = record.group in self.groups
            group = self.groups.setdefault(record.group, GroupReplay())
            if isinstance(record, HardRecord):
                group.hard = record.hard_state
            else:
                group.restate(record, known)
        start = 0
        for row in header.rows:
            if row.entries:
                group = self.groups.setdefault(row.group, GroupReplay())
                group.add(file, payload.frames[start : start + row.entries], ordinal, block)
                start += row.entries
