"""What went over the wire is named: whole frames, pieces, several at once, and what is none of ours."""

from haqactor import wire
from haqactor.frame import encode
from haqactor.ids import GroupId, Index, Term
from haqactor.nodes.peerwire import PeerOp, pack_raft
from haqactor.raft.messages import Append, AppendReply
from haqactor.sim.report.frames import CONTINUED, Frames
from haqactor.sim.trace import DATAGRAM, Trace

APPEND = pack_raft(GroupId(2), Append(Term(3), Index(4), Term(1), Index(2)))
REPLY = pack_raft(GroupId(2), AppendReply(Term(3), accepted=True, matched=Index(9)))
PING = wire.pack(wire.Ping(7))


def named(*parts: bytes, port: int) -> list[tuple[str, str] | None]:
    trace = Trace(recording=True)
    trace.add("dial", "a", "a", "b", port, 5)
    for part in parts:
        trace.bodies[trace.add("send", "a", "a", "b", len(part), 5, 0)] = part
    trace.add("recv", "b", "a", "b", 1, 5, 0)
    frames = Frames(trace.events, trace.bodies)
    assert frames(trace.events[0]) is None
    assert frames(trace.events[-1]) is None
    return [frames(event) for event in trace.events[1:-1]]


def test_peers() -> None:
    (found,) = named(APPEND, port=7421)
    assert found is not None
    assert found[0] == "Append"
    assert found[1].startswith("Append group=2 term=3 prev_index=4 prev_term=1 commit=2")
    assert found[1].endswith(f"({len(APPEND)} B, stream 5)")


def test_clients() -> None:
    (found,) = named(PING, port=7420)
    assert found is not None
    assert found[0] == "Ping"


def test_other_frames_of_peers() -> None:
    (found,) = named(encode(PeerOp.BEAT_ANSWER, [1, [2]]), port=7421)
    assert found is not None
    assert found[0] == "BeatAnswer"
    assert "[1, [2]]" in found[1]


def test_several_at_once() -> None:
    (found,) = named(REPLY + APPEND * 7, port=7421)
    assert found is not None
    assert found[0] == "AppendReply"
    assert "; Append group=2" in found[1]
    assert "and 4 more" in found[1]


def test_in_pieces() -> None:
    found = named(APPEND[:17], APPEND[17:20], APPEND[20:] + REPLY, b"", port=7421)
    labels = [item and item[0] for item in found]
    assert labels == ["Raft", CONTINUED, "Append", CONTINUED]


def test_neither_frames_nor_whole() -> None:
    broken = bytearray(APPEND)
    broken[-1] ^= 1
    found = named(b"GET / HTTP/1.1\r\n\r\n", bytes(broken), encode(99, None), port=7421)
    assert [item and item[0] for item in found] == [CONTINUED, "Raft", "Kind 99"]
    assert found[1] is not None
    assert "damaged" in found[1][1]
    (other,) = named(encode(99, {"a": 1}), port=7420)
    assert other == ("Kind 99", f"Kind 99 damaged ({len(encode(99, {'a': 1}))} B, stream 5)")


def test_without_bodies() -> None:
    trace = Trace(recording=True)
    trace.add("send", "a", "a", "b", 5)
    assert Frames(trace.events, {})(trace.events[0]) is None


def test_datagrams() -> None:
    """Each by itself, between nodes; one that is no frame is left as it is."""
    trace = Trace(recording=True)
    for body in (APPEND, APPEND[:20], APPEND[20:], b"", b"anything else that is long enough"):
        trace.bodies[trace.add("send", "a", "a", "b", len(body), 0, 0, DATAGRAM, "1>1")] = body
    frames = Frames(trace.events, trace.bodies)
    found = [frames(event) for event in trace.events]
    assert found[0] is not None
    assert found[0][0] == "Append"
    assert found[0][1].endswith(f"({len(APPEND)} B, datagram)")
    assert found[1:] == [("Raft", "Raft begins (20 B, datagram)"), None, None, None]
