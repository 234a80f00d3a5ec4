"""Builds blocks: everything queued becomes one, laid out for one write.

One rule: within a block each group's entries are contiguous and rising; what would overwrite begins the
next block.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import google_crc32c

from haqactor.entry import Entry
from haqactor.env import Buffer, Probe
from haqactor.errors import InvariantViolation
from haqactor.ids import GroupId, Index
from haqactor.journal.block import (
    DATA,
    FLAG_HEAD,
    FLAG_PACKED,
    BlockHeader,
    Packer,
    aligned,
    encode_header,
    header_size,
)
from haqactor.journal.config import JournalConfig
from haqactor.journal.files import DataFile, packed_place
from haqactor.journal.group import Group
from haqactor.journal.record import GroupState, Manifest, encode_drop, encode_hard, encode_state
from haqactor.raft.ready import HardState

_JOIN_BYTES_MAX: Final = 64 * 1024
_ZEROS: Final = bytes(512)


@dataclass(frozen=True, slots=True)
class Persist:
    """What a group wants durable. ``done`` is called by the writer after the sync, in the order of
    submission."""

    group: GroupId
    entries: tuple[Entry, ...]
    hard_state: HardState | None
    done: Callable[[], None]

    @property
    def size(self) -> int:
        """Bytes it takes in memory, about."""
        return 64 + sum([len(entry.frame) for entry in self.entries])


@dataclass(slots=True)
class Update:
    """One group's part of a ``Change``; ``manifest`` None drops the group."""

    group: GroupId
    manifest: Manifest | None
    reset: bool = False


@dataclass(slots=True)
class Change:
    """A step of the journal itself, alone in its block. ``plan`` is called when that is built (None: no
    longer wanted),
    ``applied`` when it is durable."""

    plan: Callable[[], list[Update] | None]
    applied: Callable[[bool], None]
    oldest: int | None = None


@dataclass(slots=True)
class Batch:
    """What one block will hold."""

    persists: list[Persist]
    size: int
    change: Change | None = None
    updates: list[Update] | None = None


@dataclass(slots=True)
class Layout:
    """A block ready to be written, and what it means for the index."""

    buffers: list[Buffer]
    size: int
    crc: int
    places: list[int]
    lengths: list[int]
    packed: tuple[int, int, int] | None


Queued = tuple[Persist | Change, int]
"""Something queued, and its bytes."""


def take(queue: deque[Queued], bytes_max: int) -> Batch:
    """From the head of the queue what one block may hold; at least one thing. A change stands alone."""
    first, _size = queue[0]
    if isinstance(first, Change):
        queue.popleft()
        return Batch([], 0, first, first.plan())
    persists: list[Persist] = []
    total = 0
    lasts: dict[GroupId, Index] = {}
    while queue:
        head, size = queue[0]
        if isinstance(head, Change) or (total and total + size > bytes_max):
            break
        entries = head.entries
        if entries:
            if head.group in lasts and lasts[head.group] >= entries[0].index:
                break
            lasts[head.group] = entries[-1].index
        queue.popleft()
        persists.append(head)
        total += size
    return Batch(persists, total)


def check(persist: Persist, group: Group, last: Index) -> None:
    """Refuse what would make the log unreadable. ``last``: the group's last index before it."""
    entries = persist.entries
    first = entries[0].index
    if entries[-1].index - first + 1 != len(entries):
        raise InvariantViolation(f"group {group.id}: entries {first}..{entries[-1].index} are not contiguous")
    if first > last + 1:
        raise InvariantViolation(f"group {group.id}: entry {first} after {last} leaves a gap")
    if first <= last:
        if first <= group.snapshot_index:
            raise InvariantViolation(
                f"group {group.id}: entry {first} is below snapshot {group.snapshot_index}"
            )
        if group.index.term_at(first) == entries[0].term:
            raise InvariantViolation(
                f"group {group.id}: entry {first} (term {entries[0].term}) is there already"
            )


class BlockWriter:
    """Where the next block goes, and what it must name."""

    def __init__(self, config: JournalConfig, boot: int, groups: dict[GroupId, Group], probe: Probe) -> None:
        self._probe = probe
        self._late: dict[GroupId, HardState] = {}  # of a planted bug
        self._config = config
        self._groups = groups
        self._packer = Packer(config.compress_level)
        self.boot = boot
        self.file: DataFile | None = None
        self.epoch = boot
        self.offset = 0
        self.last_offset = 0
        self.sequence = 1
        self.previous_crc = 0
        self.oldest = 1

    def roll_to(self, file: DataFile) -> None:
        """Go on in the next segment."""
        self.file, self.offset, self.epoch = file, 0, self.boot
        file.first_sequence = self.sequence

    def states(self, updates: list[Update] | None, head: bool) -> list[bytes]:
        """State records: of changed groups, and at the head of a segment of all."""
        records: list[bytes] = []
        changed = {update.group: update for update in updates or ()}
        for group in self._groups.values():
            update = changed.get(group.id)
            if update is None and not head:
                continue
            if update is not None and update.manifest is None:
                records.append(encode_drop(group.id))
                continue
            manifest = group.manifest if update is None or update.manifest is None else update.manifest
            reset = update is not None and update.reset
            index = group.index
            state = GroupState(group.id, group.hard, index.last_index, index.last_term, manifest, reset)
            records.append(encode_state(state))
        return records

    def layout(self, batch: Batch, kind: int = DATA) -> Layout:
        """The block for this batch at the present place; the caller sees to it that it fits."""
        file = self.file
        if file is None:
            raise InvariantViolation("no segment is open")
        head = self.offset == 0
        frames: list[bytes] = []
        rows: dict[GroupId, list[int]] = {}
        hard: dict[GroupId, HardState] = {}
        records = self.states(batch.updates, head) if head or batch.updates else []
        if batch.updates:
            for update in batch.updates:
                rows[update.group] = [0, 0, 0]
        for persist in batch.persists:
            row = rows.get(persist.group)
            if row is None:
                row = rows[persist.group] = [0, 0, 0]
            entries = persist.entries
            if entries:
                if not row[0]:
                    row[1] = entries[0].index
                row[0] += len(entries)
                row[2] = entries[-1].index
                if len(entries) == 1:
                    frames.append(entries[0].frame)
                else:
                    frames += [entry.frame for entry in entries]
            if persist.hard_state is not None:
                hard[persist.group] = persist.hard_state
        records += [encode_hard(group, state) for group, state in self._due(hard).items()]
        lengths = [len(frame) for frame in frames]
        header_bytes = header_size(len(rows))
        body = self._body(file, header_bytes, b"".join(records), frames, lengths)
        section, raw, section_raw, records_bytes, places, packed = body
        crc = google_crc32c.value(section)
        raw_bytes = sum([len(frame) for frame in raw])
        if raw_bytes <= _JOIN_BYTES_MAX:
            raw = [b"".join(raw)]
        for frame in raw:
            crc = google_crc32c.extend(crc, frame)
        header = BlockHeader(
            kind=kind,
            flags=(FLAG_HEAD if head else 0) | (FLAG_PACKED if packed else 0),
            header_bytes=header_bytes,
            payload_bytes=len(section) + raw_bytes,
            payload_crc=crc,
            file_id=file.number,
            file_epoch=self.epoch,
            file_bytes=file.size,
            offset=self.offset,
            sequence=self.sequence,
            durable_upto=self.sequence - 1,
            boot=self.boot,
            oldest=self.oldest,
            previous_crc=self.previous_crc,
            records_bytes=records_bytes,
            section_bytes=len(section),
            section_raw_bytes=section_raw,
            entry_count=len(frames),
            rows=(),
            crc=0,
        )
        head_bytes, head_crc = encode_header(header, [(group, *row) for group, row in rows.items()])
        used = header_bytes + header.payload_bytes
        size = aligned(used)
        padding = _ZEROS[: size - used]
        if raw_bytes <= _JOIN_BYTES_MAX:
            buffers: list[Buffer] = [b"".join((head_bytes, section, *raw, padding))]
        else:
            buffers = [head_bytes + section, *raw, padding]
        return Layout(buffers, size, head_crc, places, lengths, packed)

    def _due(self, hard: dict[GroupId, HardState]) -> dict[GroupId, HardState]:
        """The hard states of this block, unless a bug is planted."""
        if self._probe.bug("journal.hard_state_late"):
            hard, self._late = self._late, hard
        return hard

    def _body(
        self, file: DataFile, header_bytes: int, records: bytes, frames: list[bytes], lengths: list[int]
    ) -> tuple[bytes, list[bytes], int, int, list[int], tuple[int, int, int] | None]:
        """(section, raw frames, section's raw size, records' size, places of frames, packed section)."""
        config = self._config
        section_at = self.offset + header_bytes
        small_max = config.compress_frame_bytes_max
        small = sum([length for length in lengths if length <= small_max])
        if config.compress_bytes_min <= small <= config.compress_bytes_max and not self._packer.rests():
            section = b"".join([records, *[frame for frame in frames if len(frame) <= small_max]])
            packed = self._packer.pack(section)
            if packed is not None:
                places: list[int] = []
                inside, raw_at, ordinal = len(records), section_at + len(packed), len(file.packed_at)
                for length in lengths:
                    if length <= small_max:
                        places.append(packed_place(ordinal, inside))
                        inside += length
                    else:
                        places.append(raw_at)
                        raw_at += length
                raw = [frame for frame in frames if len(frame) > small_max]
                return (
                    packed,
                    raw,
                    len(section),
                    len(records),
                    places,
                    (section_at, len(packed), len(section)),
                )
        places = list(accumulate(lengths, initial=section_at + len(records)))
        places.pop()
        return records, frames, len(records), len(records), places, None

    def written(self, layout: Layout) -> None:
        """The block is durable: go on behind it."""
        self.last_offset = self.offset
        self.offset += layout.size
        self.sequence += 1
        self.previous_crc = layout.crc

    def apply(self, batch: Batch, layout: Layout) -> None:
        """Enter a durable block's entries into the index."""
        file = self.file
        if file is None:
            raise InvariantViolation("no segment is open")
        if layout.packed is not None:
            file.add_packed(*layout.packed)
        at = 0
        for persist in batch.persists:
            group = self._groups[persist.group]
            entries = persist.entries
            if persist.hard_state is not None:
                group.hard = persist.hard_state
            if not entries:
                continue
            end = at + len(entries)
            runs: list[tuple[int, int]] = [(entries[0].index, entries[0].term)]
            if entries[-1].term != entries[0].term:
                runs = [(entry.index, entry.term) for entry in entries]
            group.index.append(file, entries[0].index, layout.places[at:end], layout.lengths[at:end], runs)
            at = end
