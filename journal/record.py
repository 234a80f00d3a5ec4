"""Small records that stand in blocks beside the entries: hard states, group states (manifests) and drops.

One rule: a group's state record is complete; the last one wins and needs no older one, so that old
segments can go.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.raft.ready import HardState, SnapshotMeta

HARD: Final = 1
STATE: Final = 2
DROP: Final = 3
_FLAG_SNAPSHOT: Final = 1
_FLAG_RESET: Final = 2

_HEAD: Final = struct.Struct("<BBHII")
_HARD: Final = struct.Struct("<BBHIIQq")
_STATE: Final = struct.Struct("<QqQQ")
_SNAPSHOT: Final = struct.Struct("<QQHH")
_SEALED: Final = struct.Struct("<QQI")
_NODE: Final = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class SealedRef:
    """A sealed file as the journal names it: its number, size in bytes and the checksum of its trailer."""

    number: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The sealed files of a group: its snapshot and its cold segments, oldest first."""

    snapshot: SnapshotMeta | None = None
    snapshot_file: SealedRef | None = None
    cold: tuple[SealedRef, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupState:
    """All of a group that is not entries. ``last_index``/``last_term``: the log's end before this block's
    entries.
    ``reset``: what the log held above the snapshot is void."""

    group: GroupId
    hard_state: HardState
    last_index: Index
    last_term: Term
    manifest: Manifest
    reset: bool = False


@dataclass(frozen=True, slots=True)
class HardRecord:
    """A group's newer hard state."""

    group: GroupId
    hard_state: HardState


@dataclass(frozen=True, slots=True)
class DropRecord:
    """The group was deleted; nothing of it counts any more."""

    group: GroupId


Record = GroupState | HardRecord | DropRecord


def encode_hard(group: GroupId, state: HardState) -> bytes:
    """A hard state, 28 bytes."""
    return _HARD.pack(HARD, 0, 0, _HARD.size, group, state.term, state.vote)


def encode_drop(group: GroupId) -> bytes:
    """A drop, 12 bytes."""
    return _HEAD.pack(DROP, 0, 0, _HEAD.size, group)


def encode_state(state: GroupState) -> bytes:
    """A group's complete state."""
    hard, manifest = state.hard_state, state.manifest
    parts = [_STATE.pack(hard.term, hard.vote, state.last_index, state.last_term)]
    flags = _FLAG_RESET if state.reset else 0
    meta, ref = manifest.snapshot, manifest.snapshot_file
    if meta is not None and ref is not None:
        flags |= _FLAG_SNAPSHOT
        parts.append(_SNAPSHOT.pack(meta.index, meta.term, len(meta.voters), len(meta.learners)))
        parts += [_NODE.pack(node) for node in (*meta.voters, *meta.learners)]
        parts.append(_SEALED.pack(ref.number, ref.size, ref.crc))
    parts += [_SEALED.pack(ref.number, ref.size, ref.crc) for ref in manifest.cold]
    body = b"".join(parts)
    return _HEAD.pack(STATE, flags, len(manifest.cold), _HEAD.size + len(body), state.group) + body


def _decode_state(group: GroupId, flags: int, cold_count: int, body: bytes) -> GroupState:
    term, vote, last_index, last_term = _STATE.unpack_from(body)
    at = _STATE.size
    meta: SnapshotMeta | None = None
    ref: SealedRef | None = None
    if flags & _FLAG_SNAPSHOT:
        index, snapshot_term, voters, learners = _SNAPSHOT.unpack_from(body, at)
        at += _SNAPSHOT.size
        nodes = [NodeId(_NODE.unpack_from(body, at + 8 * n)[0]) for n in range(voters + learners)]
        at += 8 * len(nodes)
        meta = SnapshotMeta(Index(index), Term(snapshot_term), tuple(nodes[:voters]), tuple(nodes[voters:]))
        ref = SealedRef(*_SEALED.unpack_from(body, at))
        at += _SEALED.size
    cold = tuple(SealedRef(*_SEALED.unpack_from(body, at + n * _SEALED.size)) for n in range(cold_count))
    if at + cold_count * _SEALED.size != len(body):
        raise DataDamaged(f"the state record of group {group} has a wrong length")
    hard = HardState(Term(term), NodeId(vote))
    return GroupState(
        group, hard, Index(last_index), Term(last_term), Manifest(meta, ref, cold), bool(flags & _FLAG_RESET)
    )


def decode(data: bytes) -> Iterator[Record]:
    """The records one behind the other. Raises DataDamaged."""
    at = 0
    try:
        while at < len(data):
            kind, flags, count, length, group = _HEAD.unpack_from(data, at)
            if not _HEAD.size <= length <= len(data) - at:
                raise DataDamaged(f"a record claims {length} bytes where {len(data) - at} are left")
            body = data[at + _HEAD.size : at + length]
            if kind == HARD:
                term, vote = struct.unpack("<Qq", body)
                yield HardRecord(GroupId(group), HardState(Term(term), NodeId(vote)))
            elif kind == STATE:
                yield _decode_state(GroupId(group), flags, count, body)
            elif kind == DROP:
                yield DropRecord(GroupId(group))
            else:
                raise DataDamaged(f"a record of unknown kind {kind}")
            at += length
    except struct.error as error:
        raise DataDamaged(f"a record ends early ({error})") from error
