"""Targets: what comes over a connection, of clients and of peers.

One rule: an input is what a socket would bring: whole frames, and the header in each is changed as a value.
"""

from collections.abc import Callable
from typing import Any, Final

from haqactor import batch, wire
from haqactor.batch import Content, Packer
from haqactor.codec import is_list
from haqactor.entry import Kind, build, parse_many
from haqactor.errors import DataDamaged, ProtocolError, from_wire
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes import beats, installs, peerwire
from haqactor.nodes.peerwire import PeerOp
from haqactor.raft import membership, messages
from haqactor.raft.heartbeat import AnswerRow, Beat, BeatAnswer, BeatRow, Heartbeats, digest_of
from haqactor.raft.membership import Configuration
from tests.fuzz import checksums, hostile
from tests.fuzz.target import Target, Tree
from tests.unit.test_wire import SAMPLES

_FRAME_BYTES_MAX: Final = 1 << 20
_GROUP: Final = GroupId(5)
ENTRIES: Final = tuple(
    build(_GROUP, Index(index), Term(4), Kind.COMMAND, b"\x80", b"body" * index) for index in (8, 9, 10)
)


def frames_of(data: bytes) -> list[Frame]:
    """All frames of a stream that holds nothing else. Raises ProtocolError."""
    decoder = Decoder(_FRAME_BYTES_MAX)
    frames = decoder.feed(data)
    decoder.check()
    return frames


def frame_trees(data: bytes) -> list[Tree]:
    """The header of each frame, with its kind before it."""
    frames = frames_of(data)

    def rebuilt(at: int) -> Callable[[Any], bytes]:
        def build_with(value: Any) -> bytes:
            kind, header = frames[at].kind, value
            if is_list(value) and len(value) == 2:
                header = value[1]
                kind = value[0] if type(value[0]) is int and 0 <= value[0] <= 255 else kind
            parts = [_framed(frame.kind, frame.header, frame.blob) for frame in frames]
            parts[at] = _framed(kind, header, frames[at].blob)
            return b"".join(parts)

        return build_with

    return [([frame.kind, frame.header], rebuilt(at)) for at, frame in enumerate(frames)]


def _framed(kind: int, header: Any, blob: bytes) -> bytes:
    """A frame of whatever header."""
    head = hostile.dumps(header)[: _FRAME_BYTES_MAX // 2]
    rest = bytes((kind, 0)) + b"\x51\x4a" + len(head).to_bytes(4, "little") + head + blob
    return (len(rest) + 8).to_bytes(4, "little") + checksums.crc(rest) + rest


def _encode_frames(frames: list[Frame]) -> bytes:
    return b"".join(encode(frame.kind, frame.header, frame.blob) for frame in frames)


# -- clients


def _client_corpus() -> list[bytes]:
    return [wire.pack(sample, b"blob") for sample in SAMPLES]


def _client(data: bytes) -> list[tuple[wire.Message, bytes]]:
    found: list[tuple[wire.Message, bytes]] = []
    for frame in frames_of(data):
        message = wire.parse(frame)
        if isinstance(message, wire.Failed | wire.Refused):
            str(from_wire(message.code, message.message, message.fields))
        if isinstance(message, wire.LeaseLost):
            wire.lease_rows(message.leases)
        found.append((message, frame.blob))
    return found


def _encode_client(found: list[tuple[wire.Message, bytes]]) -> bytes:
    return b"".join(wire.pack(message, blob) for message, blob in found)


def batches() -> list[bytes]:
    """Batches of every kind: packed or not, with lengths, keys and extras or without."""
    many = [Content(b"%d" % number * number) for number in range(1, 40)]
    extras = [
        Content(b"body", ("key", {"n": 1, "text": "x"}, "id")),
        Content(b""),
        Content(b"c", (None, None, None)),
    ]
    return [
        Packer().pack(contents)
        for contents in (
            [Content(b"")],
            [Content(b"one")],
            [Content(b"same")] * 3,
            [Content(b"a" * 3000)] * 2,
            many,
            extras,
            [Content(b"z" * 400, ("key", None, None))] * 256,
        )
    ]


def _batch_trees(data: bytes) -> list[Tree]:
    """The extras of the first message."""
    contents = batch.unpack(data, 1 << 22)
    extras = contents[0].extras
    if extras is None:
        return []

    def rebuilt(value: Any) -> bytes:
        head = hostile.dumps(value)
        piece = len(head).to_bytes(4, "little") + head + contents[0].body
        count = len(contents)
        others = [b"\0\0\0\0"] * (count - 1)
        raw = b"".join((piece, *others))
        table = (
            b"".join(len(each).to_bytes(4, "little") for each in (piece, *others))
            + b"\x01"
            + bytes(count - 1)
        )
        fixed = bytes((1, batch.FLAGS)) + count.to_bytes(2, "little") + len(table).to_bytes(4, "little")
        fixed += len(raw).to_bytes(4, "little") * 2 + bytes(8)
        return checksums.batch(fixed + table + raw)

    return [(list(extras), rebuilt)]


def _batch(data: bytes) -> list[Content]:
    head = batch.head(data)
    contents = batch.unpack(data, 1 << 22)
    batch.select(data, range(head.count), 1 << 22)
    return contents


# -- peers


def _raft_corpus() -> list[bytes]:
    given: list[messages.Message] = [
        messages.RequestVote(Term(4), NodeId(2), Index(7), Term(3), True, True, 9),
        messages.Vote(Term(4), True, True, 9),
        messages.Append(Term(4), Index(7), Term(3), Index(6), ENTRIES, 11),
        messages.Append(Term(4), Index(7), Term(3), Index(6)),
        messages.AppendReply(Term(4), False, Index(0), Index(5), Term(2), 11, Index(7), 9, True),
        messages.InstallSnapshot(Term(4), Index(7), Term(3), (NodeId(0), NodeId(1)), (NodeId(2),)),
        messages.TimeoutNow(Term(4)),
        messages.Hello(Term(4), Index(7), Term(3), 9, True, True, 8, Index(6)),
    ]
    return [peerwire.pack_raft(_GROUP, message) for message in given]


def _raft(data: bytes) -> list[tuple[GroupId, messages.Message]]:
    return [peerwire.parse_raft(frame) for frame in frames_of(data)]


def _encode_raft(found: list[tuple[GroupId, messages.Message]]) -> bytes:
    return b"".join(peerwire.pack_raft(group, message) for group, message in found)


def _beat_corpus() -> list[bytes]:
    rows = (BeatRow(_GROUP, Term(3), Index(9), 2), BeatRow(GroupId(6), Term(1), Index(0), 0))
    answers = (AnswerRow(_GROUP, Term(3), 2, False), AnswerRow(GroupId(6), Term(1), 0, True))
    given = [
        Beat(1, 1, 0, rows, (GroupId(7),), digest_of(()), True, False),
        Beat(2, 1, 1, (), (), digest_of(rows), False, True),
    ]
    answered = [
        BeatAnswer(1, 1, 0, answers, (), digest_of(()), True, False),
        BeatAnswer(2, 1, 1, (), (), digest_of(answers), False, False),
    ]
    return [
        *[encode(PeerOp.BEAT, [5, beat.to_tuple(), [[5, 9, bytes(16)]]]) for beat in given],
        *[encode(PeerOp.BEAT_ANSWER, [5, answer.to_tuple()]) for answer in answered],
    ]


def _beats(data: bytes) -> None:
    heard = Heartbeats(1)
    heard.beat(NodeId(1), [BeatRow(_GROUP, Term(3), Index(9), 2)])
    for frame in frames_of(data):
        if frame.kind == PeerOp.BEAT:
            _wall, beat, _digests = beats.parse_beat(frame)
            if heard.on_beat(NodeId(1), beat) is not None:
                heard.answer(NodeId(1), [AnswerRow(_GROUP, Term(3), 2, False)])
        else:
            _wall, answer = beats.parse_answer(frame)
            heard.on_answer(NodeId(1), answer)


def _install_corpus() -> list[bytes]:
    base = [5, 3, 9]
    return [
        encode(PeerOp.INSTALL, [*base, installs.Step.OFFER, 1, 2, [0, 1, 2], [3]]),
        encode(PeerOp.INSTALL, [*base, installs.Step.ENTRIES, 2], b"".join(entry.frame for entry in ENTRIES)),
        encode(PeerOp.INSTALL, [*base, installs.Step.STATE, 3], b"chunk"),
        encode(PeerOp.INSTALL, [*base, installs.Step.ACK, 3]),
    ]


def _install(data: bytes) -> None:
    for frame in frames_of(data):
        installs.group_of(frame)
        if frame.header[3] == installs.Step.OFFER:
            installs.check_offer(frame.header)
        elif frame.header[3] == installs.Step.ENTRIES:
            list(parse_many(frame.blob))


_HANDSHAKES: Final[dict[int, tuple[tuple[type[Any], ...], str]]] = {
    PeerOp.HELLO: ((int, int, list, bytes, int, bytes, int), "Hello"),
    PeerOp.WELCOME: ((int, bytes, int, bytes, int, int, int), "Welcome"),
    PeerOp.REFUSED: ((str, str), "Refused"),
    PeerOp.FOUND: ((str, bytes), "Found"),
    PeerOp.FOUNDED: ((bytes, bytes, list), "Founded"),
}


def _handshake_corpus() -> list[bytes]:
    return [
        encode(PeerOp.HELLO, [1, 1, ["none"], bytes(16), 1, bytes(16), 1]),
        encode(PeerOp.WELCOME, [1, bytes(16), 1, bytes(16), 1, 1, 1]),
        encode(PeerOp.REFUSED, ["foreign_cluster", "no"]),
        encode(PeerOp.FOUND, ["n1:7000", bytes(16)]),
        encode(
            PeerOp.FOUNDED, [bytes(16), bytes(16), [[0, "n0:7000", bytes(16)], [1, "n1:7000", bytes(16)]]]
        ),
    ]


def _handshake(data: bytes) -> list[Any]:
    found: list[Any] = []
    for frame in frames_of(data):
        expected, name = _HANDSHAKES.get(frame.kind, _HANDSHAKES[PeerOp.FOUNDED])
        fields = peerwire.hello_fields(frame.header, expected, name)
        if frame.kind == PeerOp.FOUNDED:
            found += [peerwire.hello_fields(row, (int, str, bytes), "A member") for row in fields[2]]
        found.append(fields)
    return found


def _membership_corpus() -> list[bytes]:
    three = tuple(NodeId(node) for node in range(3))
    return [Configuration(three).encode(), Configuration(three, (NodeId(4),), (NodeId(5),)).encode()]


def _entries_corpus() -> list[bytes]:
    config = build(_GROUP, Index(11), Term(4), Kind.CONFIG, _membership_corpus()[0])
    return [
        ENTRIES[0].frame,
        b"".join(entry.frame for entry in ENTRIES),
        build(_GROUP, Index(1), Term(1), Kind.NOOP, b"").frame + config.frame,
    ]


_FRAMED: Final[dict[str, Any]] = {
    "errors": (ProtocolError,),
    "repair": checksums.frames,
    "trees": frame_trees,
}

TARGETS: Final = (
    Target(
        name="frames",
        corpus=_client_corpus,
        decode=frames_of,
        encode=_encode_frames,
        sealed=True,
        same=lambda found, _before: not found,  # its length became larger: the rest is awaited
        **_FRAMED,
    ),
    Target(name="client-protocol", corpus=_client_corpus, decode=_client, encode=_encode_client, **_FRAMED),
    Target(
        name="batch",
        corpus=batches,
        decode=_batch,
        encode=lambda contents: Packer().pack(contents),
        errors=(ProtocolError,),
        repair=checksums.batch,
        trees=_batch_trees,
        sealed=True,
        same=lambda found, before: found == before,  # zstd's own frame has bits that mean nothing
    ),
    Target(name="raft", corpus=_raft_corpus, decode=_raft, encode=_encode_raft, **_FRAMED),
    Target(name="beats", corpus=_beat_corpus, decode=_beats, **_FRAMED),
    Target(
        name="install",
        corpus=_install_corpus,
        decode=_install,
        errors=(ProtocolError, DataDamaged),
        repair=checksums.frames,
        trees=frame_trees,
    ),
    Target(name="handshake", corpus=_handshake_corpus, decode=_handshake, **_FRAMED),
    Target(
        name="entries",
        corpus=_entries_corpus,
        decode=lambda data: list(parse_many(data)),
        encode=lambda entries: b"".join(entry.frame for entry in entries),
        errors=(DataDamaged,),
        repair=checksums.entries,
        sealed=True,
    ),
    Target(
        name="membership",
        corpus=_membership_corpus,
        decode=membership.decode,
        encode=lambda configuration: configuration.encode(),
        errors=(DataDamaged,),
    ),
)
