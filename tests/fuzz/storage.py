"""Targets: what a disk says: blocks, records, identities, sealed files.

One rule: what cannot be read is DataDamaged, also where every checksum is right.
"""

from collections.abc import Callable
from typing import Any, Final

import cbor2

from haqactor.entry import Kind, build
from haqactor.errors import DataDamaged
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.journal import record
from haqactor.journal.block import MAGIC, claimed_header_bytes, decode_header, decode_payload
from haqactor.journal.cold import ColdColumns, open_cold
from haqactor.journal.files import DataFile, cold_name, snapshot_name
from haqactor.journal.identity import SLOT_BYTES, CleanMark, Identity
from haqactor.journal.identity import decode as decode_identity
from haqactor.journal.identity import encode as encode_identity
from haqactor.journal.record import DropRecord, GroupState, HardRecord, Manifest, Record, SealedRef
from haqactor.journal.replay import Replay
from haqactor.journal.scan import Block, SegmentScan
from haqactor.journal.snapshots import open_snapshot
from haqactor.raft.ready import HardState, SnapshotMeta
from tests.builders.journal_files import journal_files
from tests.fuzz import checksums, hostile
from tests.fuzz.files import byte_disk, byte_file, ran
from tests.fuzz.target import Target, Tree

_G: Final = GroupId(1)
_DAMAGED: Final = (DataDamaged,)


def _segments() -> list[tuple[int, bytes]]:
    return [
        (int(name.split("-")[1]), content)
        for name, content in journal_files().items()
        if name.startswith("segment")
    ]


def blocks() -> list[bytes]:
    """Each block by itself, as it lies in its sectors."""
    found: list[bytes] = []
    for _number, content in _segments():
        at = 0
        while content[at + 4 : at + 8] == MAGIC:
            size = int.from_bytes(content[at + 12 : at + 16], "little")
            size += int.from_bytes(content[at + 16 : at + 20], "little")
            found.append(content[at : at + size])
            at += -(-size // 512) * 512
    return found


def _block(data: bytes) -> Any:
    """A block, at the place that it names itself."""
    size = claimed_header_bytes(data, 0)
    if size is None or len(data) < 112:
        raise DataDamaged("no header")
    number, offset = int.from_bytes(data[24:32], "little"), int.from_bytes(data[48:56], "little")
    header = decode_header(data, 0, number, offset, 1 << 20)
    payload = decode_payload(header, data[header.header_bytes :])
    return header, payload, list(record.decode(payload.records))


def _scanned(data: bytes) -> None:
    """A segment, and all that is replayed of it."""
    number = int.from_bytes(data[24:32], "little") if len(data) >= 32 else 1
    file = byte_file(data)
    scan = SegmentScan(file, number, len(data))
    replay = Replay()
    place = DataFile(file, number, len(data))
    while True:
        block: Block | None = ran(scan.next())
        if block is None:
            break
        replay.block(place, block)
    if scan.bad is not None:
        ran(scan.later_block())


def _records_corpus() -> list[bytes]:
    three = tuple(NodeId(node) for node in range(3))
    meta = SnapshotMeta(Index(9), Term(2), three, (NodeId(3),))
    refs = (SealedRef(1, 2, 3), SealedRef(4, 5, 6))
    full = GroupState(
        _G, HardState(Term(3), NodeId(1)), Index(12), Term(3), Manifest(meta, refs[0], refs), True
    )
    bare = GroupState(_G, HardState(Term(3), NodeId(-1)), Index(12), Term(3), Manifest())
    return [
        record.encode_hard(_G, HardState(Term(3), NodeId(1))),
        record.encode_drop(_G) + record.encode_state(bare),
        record.encode_state(full),
    ]


def _encode_records(records: list[Record]) -> bytes:
    found: list[bytes] = []
    for each in records:
        match each:
            case HardRecord():
                found.append(record.encode_hard(each.group, each.hard_state))
            case DropRecord():
                found.append(record.encode_drop(each.group))
            case GroupState():
                found.append(record.encode_state(each))
    return b"".join(found)


def _identity_corpus() -> list[bytes]:
    who = Identity(
        cluster_id=b"c" * 16, node_id=2, nonce=b"n", members=((0, "a:1", b"x"),), boot=3,
        clean=CleanMark(4, 512, 99, 7), suspects=(1, 5), suspect_all=True, cured=(6,),
    )  # fmt: skip
    return [encode_identity(Identity(), 1), encode_identity(who, 7)]


def _identity(data: bytes) -> Any:
    found = decode_identity(data[:SLOT_BYTES])
    if found is None:
        raise DataDamaged("this slot is not valid")
    return found


def _encode_identity(found: tuple[int, Identity]) -> bytes:
    return encode_identity(found[1], found[0])


def _identity_trees(data: bytes) -> list[Tree]:
    def rebuilt(value: Any) -> bytes:
        return checksums.identity_slot(data[:20] + hostile.dumps(value))

    return [(cbor2.loads(data[20:]), rebuilt)]


def _sealed(kind: str) -> list[bytes]:
    return [content for name, content in journal_files().items() if name.startswith(kind)]


def _ref(data: bytes) -> SealedRef:
    """As the journal would name it."""
    return SealedRef(
        int.from_bytes(data[12:20], "little"), len(data), int.from_bytes(data[-40:-36], "little")
    )


def _snapshot(data: bytes) -> Any:
    ref = _ref(data)
    snapshot = ran(open_snapshot(byte_disk({f"d/{snapshot_name(1, ref.number)}": data}), "d", _G, ref))
    chunks = [ran(snapshot.chunk(number)) for number in range(min(len(snapshot.offsets), 100))]
    return snapshot.meta, snapshot.live, chunks


def _footer(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[-20:-12], "little"), int.from_bytes(data[-12:-4], "little")


def _snapshot_trees(data: bytes) -> list[Tree]:
    at, size = _footer(data)

    def rebuilt(value: Any) -> bytes:
        footer = hostile.dumps(value)
        trailer = data[-40:-12] + len(footer).to_bytes(8, "little") + bytes(4)
        return checksums.sealed(data[:at] + footer + trailer)

    return [(cbor2.loads(data[at : at + size]), rebuilt)]


def _cold(data: bytes) -> Any:
    ref = _ref(data)
    _file, columns = ran(open_cold(byte_disk({f"d/{cold_name(1, ref.number)}": data}), "d", _G, ref))
    columns.runs()
    columns.live_terms()
    return columns


def _cold_table() -> list[bytes]:
    columns = ColdColumns()
    for index in (2, 3, 6):
        entry = build(_G, Index(index), Term(1), Kind.COMMAND, b"", b"x")
        columns.indexes.append(index)
        columns.terms.append(1)
        columns.offsets.append(28 + index)
        columns.lengths.append(entry.size)
        columns.kinds.append(entry.kind)
    return [columns.encode(), ColdColumns().encode()]


def _target(
    name: str, corpus: Callable[[], list[bytes]], decode: Callable[[bytes], Any], **more: Any
) -> Target:
    return Target(name=name, corpus=corpus, decode=decode, errors=_DAMAGED, **more)


TARGETS: Final = (
    _target("block", blocks, _block, repair=checksums.block),
    _target("segment", lambda: [content for _, content in _segments()], _scanned, repair=checksums.segment),
    _target("records", _records_corpus, lambda data: list(record.decode(data)), encode=_encode_records),
    _target(
        "identity",
        _identity_corpus,
        _identity,
        encode=_encode_identity,
        repair=checksums.identity_slot,
        trees=_identity_trees,
        sealed=True,
    ),
    _target(
        "snapshot-file",
        lambda: _sealed("snapshot"),
        _snapshot,
        repair=checksums.sealed,
        trees=_snapshot_trees,
    ),
    _target("cold-file", lambda: _sealed("cold"), _cold, repair=checksums.sealed),
    _target("cold-table", _cold_table, ColdColumns.decode, encode=ColdColumns.encode),
)
