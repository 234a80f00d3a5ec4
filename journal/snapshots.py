"""Snapshots: a group's machine state in chunks, and which entries it still refers to.

One rule: state and the index it stands for are one file, named in the journal by one record (R13).

Chunks: ``u32 crc32c, u32 length, bytes``. Footer: CBOR map of the meta, the chunks' offsets and lengths,
and ``live``:
[first index, last index, term] of the entries up to the snapshot's index that the state refers to.
"""

import struct
from array import array
from collections.abc import Iterable
from typing import Any, Final

import cbor2
import google_crc32c
import trio

from haqactor import codec
from haqactor.env import Disk, DiskError, Probe
from haqactor.errors import DataDamaged, InvalidArgument, Overloaded, ProtocolError
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.journal.files import DataFile, damaged, snapshot_name
from haqactor.journal.index import Ranges, normalized
from haqactor.journal.record import SealedRef
from haqactor.journal.sealed import SNAPSHOT, SealedWriter, open_named, open_sealed
from haqactor.raft.ready import SnapshotMeta

_CHUNK: Final = struct.Struct("<II")
LiveTerms = tuple[tuple[Index, Index, Term], ...]


class Snapshot:
    """A snapshot on disk, open. ``pins``: how many senders hold it."""

    __slots__ = ("file", "group", "lengths", "live", "live_terms", "meta", "offsets", "pins", "ref")

    def __init__(
        self,
        group: GroupId,
        meta: SnapshotMeta,
        ref: SealedRef,
        file: DataFile,
        offsets: "array[int]",
        lengths: "array[int]",
        live_terms: LiveTerms,
    ) -> None:
        self.group = group
        self.meta = meta
        self.ref = ref
        self.file = file
        self.offsets = offsets
        self.lengths = lengths
        self.live_terms = live_terms
        self.live: Ranges = normalized([(first, last) for first, last, _term in live_terms])
        self.pins = 0

    async def chunk(self, number: int) -> bytes:
        """One chunk, checked. Raises DataDamaged."""
        if not 0 <= number < len(self.offsets):
            raise InvalidArgument(f"chunk {number} of a snapshot of {len(self.offsets)} chunks")
        offset, length = self.offsets[number], self.lengths[number]
        async with self.file.held() as file:
            try:
                data = await file.pread(offset, _CHUNK.size + length)
            except DiskError as error:
                raise damaged(file.path, offset, f"cannot be read: {error}", (self.group,)) from error
        body = data[_CHUNK.size :]
        if len(data) != _CHUNK.size + length or _CHUNK.unpack_from(data) != (
            google_crc32c.value(body),
            length,
        ):
            raise damaged(self.file.path, offset, "the chunk's checksum is wrong", (self.group,))
        return body


class SnapshotReader:
    """A snapshot as its receiver wants it. ``live``: entries that must go before it; pin it for as long as
    that takes."""

    __slots__ = ("_pinned", "_pins_max", "_snapshot")

    def __init__(self, snapshot: Snapshot, pins_max: int) -> None:
        self._snapshot = snapshot
        self._pins_max = pins_max
        self._pinned = False

    @property
    def meta(self) -> SnapshotMeta:
        """Index, term and configuration."""
        return self._snapshot.meta

    @property
    def live(self) -> Ranges:
        """The entries up to ``meta.index`` that the state refers to."""
        return self._snapshot.live

    @property
    def chunk_count(self) -> int:
        """How many chunks there are."""
        return len(self._snapshot.offsets)

    @property
    def size(self) -> int:
        """Bytes of all chunks."""
        return sum(self._snapshot.lengths)

    async def chunk(self, number: int) -> bytes:
        """Chunk ``number``, from 0. Raises DataDamaged."""
        return await self._snapshot.chunk(number)

    def pin(self) -> None:
        """Keep this snapshot and its live entries until ``unpin``. Raises Overloaded when too many are
        pinned."""
        if self._pinned:
            return
        if self._snapshot.pins >= self._pins_max:
            raise Overloaded(f"{self._pins_max} receivers hold this snapshot already", retry_after=1.0)
        self._snapshot.pins += 1
        self._pinned = True

    def unpin(self) -> None:
        """Let go; again does no harm."""
        if self._pinned:
            self._snapshot.pins -= 1
            self._pinned = False


class SnapshotWriter:
    """Writes one snapshot, chunk by chunk."""

    def __init__(self, sealed: SealedWriter) -> None:
        self._sealed = sealed
        self._offsets = array("Q")
        self._lengths = array("I")

    @classmethod
    async def create(
        cls, disk: Disk, directory: str, group: GroupId, number: int, epoch: int, probe: Probe
    ) -> "SnapshotWriter":
        """Begin it."""
        name = snapshot_name(group, number)
        sealed = await SealedWriter.create(disk, directory, name, SNAPSHOT, group, number, epoch)
        sealed.probe = probe
        return cls(sealed)

    async def add(self, chunk: bytes) -> None:
        """One more chunk."""
        self._offsets.append(
            await self._sealed.add([_CHUNK.pack(google_crc32c.value(chunk), len(chunk)), chunk])
        )
        self._lengths.append(len(chunk))

    async def add_all(self, chunks: Iterable[bytes]) -> None:
        """All chunks, with a checkpoint after each."""
        for chunk in chunks:
            await self.add(chunk)
            await trio.lowlevel.checkpoint()

    async def finish(self, meta: SnapshotMeta, live: LiveTerms) -> SealedRef:
        """Durable under its name."""
        footer = {
            "index": meta.index,
            "term": meta.term,
            "voters": list(meta.voters),
            "learners": list(meta.learners),
            "live": [list(each) for each in live],
            "offsets": self._offsets.tobytes(),
            "lengths": self._lengths.tobytes(),
        }
        return await self._sealed.finish(cbor2.dumps(footer, canonical=True))

    async def abandon(self) -> None:
        """Give up."""
        await self._sealed.abandon()


def _decode_footer(footer: bytes) -> "tuple[SnapshotMeta, LiveTerms, array[int], array[int]]":
    """What ``SnapshotWriter.finish`` wrote. Raises ProtocolError, KeyError, TypeError, ValueError."""
    fields: dict[str, Any] = codec.loads(footer)
    voters = tuple(NodeId(node) for node in fields["voters"])
    learners = tuple(NodeId(node) for node in fields["learners"])
    meta = SnapshotMeta(Index(fields["index"]), Term(fields["term"]), voters, learners)
    live = tuple((Index(first), Index(last), Term(term)) for first, last, term in fields["live"])
    numbers = (meta.index, meta.term, *voters, *learners, *(number for row in live for number in row))
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers):
        raise ValueError("a number is out of range")
    offsets, lengths = array("Q"), array("I")
    offsets.frombytes(fields["offsets"])
    lengths.frombytes(fields["lengths"])
    if len(offsets) != len(lengths):
        raise ValueError("its columns disagree")
    return meta, live, offsets, lengths


async def open_snapshot(disk: Disk, directory: str, group: GroupId, ref: SealedRef) -> Snapshot:
    """A snapshot that the journal names. Raises DataDamaged."""
    file = await open_named(disk, directory, snapshot_name(group, ref.number), group)
    _ref, footer, footer_at = await open_sealed(file, SNAPSHOT, group, ref)
    try:
        meta, live, offsets, lengths = _decode_footer(footer)
    except (ProtocolError, KeyError, TypeError, ValueError) as error:
        raise DataDamaged(
            f"{file.path} at offset {footer_at}: the footer cannot be read ({error})"
        ) from error
    return Snapshot(group, meta, ref, DataFile(file, ref.number, ref.size), offsets, lengths, live)
