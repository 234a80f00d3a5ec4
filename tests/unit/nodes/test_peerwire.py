"""The peer protocol brings every message over as it was, and takes nothing else."""

from typing import Any

import pytest

from haqactor.entry import Kind, build
from haqactor.errors import ProtocolError
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import GroupId, Index, NodeId, Term
from haqactor.nodes.peerwire import PeerOp, hello_fields, pack_raft, parse_raft
from haqactor.raft import messages

GROUP = GroupId(5)
ENTRIES = tuple(
    build(GROUP, Index(index), Term(4), Kind.COMMAND, b"\x80", b"body" * index) for index in (8, 9, 10)
)
MESSAGES: list[messages.Message] = [
    messages.RequestVote(Term(4), NodeId(2), Index(7), Term(3), True, True, 9),
    messages.Vote(Term(4), True, True, 9),
    messages.Append(Term(4), Index(7), Term(3), Index(6), ENTRIES, 11),
    messages.Append(Term(4), Index(7), Term(3), Index(6)),
    messages.AppendReply(Term(4), False, Index(0), Index(5), Term(2), 11, Index(7), 9, True),
    messages.InstallSnapshot(Term(4), Index(7), Term(3), (NodeId(0), NodeId(1)), (NodeId(2),)),
    messages.TimeoutNow(Term(4)),
    messages.Hello(Term(4), Index(7), Term(3), 9, True, True, 8, Index(6)),
]


def over(message: messages.Message) -> tuple[GroupId, messages.Message]:
    """Through bytes and back."""
    (frame,) = Decoder(1 << 20).feed(pack_raft(GROUP, message))
    return parse_raft(frame)


def plain(message: Any) -> dict[str, Any]:
    """Its fields; entries as their bytes, for they have no equality."""
    values: dict[str, Any] = {name: getattr(message, name) for name in message.__match_args__}
    if "entries" in values:
        values["entries"] = [entry.frame for entry in values["entries"]]
    return values


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_goes_round(message: messages.Message) -> None:
    """All fields, none at its default."""
    group, got = over(message)
    assert group == GROUP
    assert type(got) is type(message)
    assert plain(got) == plain(message)


@pytest.mark.parametrize(
    "header",
    [
        None,
        [],
        [1],
        {"group": 1},
        ["1", 1],
        [1, 99, 1],
        [1, -1, 1],
        [1, True, 1],
        [1, 5],
        [1, 5, 1, 2],
        [1, 5, "four"],
        [1, 5, None],
        [1, 5, {}],
        [1, 5, 1.5],
    ],
)
def test_what_is_no_message_is_refused(header: Any) -> None:
    """With a ProtocolError, whatever it is."""
    with pytest.raises(ProtocolError):
        parse_raft(Frame(PeerOp.RAFT, header, b""))


def test_damaged_entries_are_refused() -> None:
    """One flipped bit, a cut end, and a length that lies."""
    blob = b"".join(entry.frame for entry in ENTRIES)
    header = Decoder(1 << 20).feed(pack_raft(GROUP, MESSAGES[2]))[0].header
    flipped = bytearray(blob)
    flipped[-3] ^= 1
    for bad in (bytes(flipped), blob[:-1], blob[:20], blob[:4] + b"\xff\xff\xff\xff" + blob[8:]):
        with pytest.raises(ProtocolError, match="damaged"):
            parse_raft(Frame(PeerOp.RAFT, header, bad))


def test_handshake_fields_are_checked_one_by_one() -> None:
    """A bool is no int here. What a newer release says besides is passed over."""
    assert hello_fields([1, b"x"], (int, bytes), "Hello") == [1, b"x"]
    assert hello_fields([1, b"x", 2, None], (int, bytes), "Hello") == [1, b"x"]
    for header in (None, [1], [1, "x"], [True, b"x"], [1, 2, b"x"]):
        with pytest.raises(ProtocolError, match="Hello"):
            hello_fields(header, (int, bytes), "Hello")


def test_the_entries_of_an_append_are_not_copied_into_the_header() -> None:
    """They travel as the frames that they are."""
    packed = pack_raft(GROUP, MESSAGES[2])
    assert packed.endswith(b"".join(entry.frame for entry in ENTRIES))
    assert len(packed) < sum(entry.size for entry in ENTRIES) + 64
    assert encode(PeerOp.BEAT, [1]) != packed


@pytest.mark.parametrize(
    ("kind", "at", "value"),
    [
        (0, 2, [1]),
        (0, 2, -1),
        (0, 2, 1 << 63),
        (0, 6, 1),
        (1, 3, 0),
        (3, 4, True),
        (5, 5, 7),
        (5, 5, ["x"]),
        (5, 5, [-1]),
        (7, 2, "x"),
    ],
)
def test_a_field_of_another_type_is_refused(kind: int, at: int, value: Any) -> None:
    """A list where the term belongs reached the core, and a term of 2**63 the hard state's record."""
    header = Decoder(1 << 20).feed(pack_raft(GROUP, MESSAGES[kind]))[0].header
    header[at] = value
    with pytest.raises(ProtocolError):
        parse_raft(Frame(PeerOp.RAFT, header, b""))


def test_entries_that_do_not_follow_are_refused() -> None:
    """Of another place, another group, or with a configuration that cannot be read."""
    other = build(GroupId(6), Index(8), Term(4), Kind.COMMAND, b"")
    config = build(GROUP, Index(8), Term(4), Kind.CONFIG, b"x")
    for bad in ((ENTRIES[1],), (ENTRIES[0], ENTRIES[2]), (other,), (config,)):
        packed = pack_raft(GROUP, messages.Append(Term(4), Index(7), Term(3), Index(6), bad))
        with pytest.raises(ProtocolError):
            parse_raft(Decoder(1 << 20).feed(packed)[0])
