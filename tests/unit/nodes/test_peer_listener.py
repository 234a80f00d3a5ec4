"""The receiving end of a peer link: who is let in, and what ends it."""

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from haqactor.errors import InvariantViolation, ProtocolError
from haqactor.frame import Decoder, encode
from haqactor.machine.versions import KNOWN
from haqactor.nodes import peerwire
from haqactor.nodes.peer_listener import PeerListener
from haqactor.nodes.peers import receive_frame
from haqactor.nodes.peerwire import PeerOp
from tests.builders.memory_environment import MemoryNetwork, memory_environment
from tests.builders.node_context import (
    CLUSTER,
    member_identity,
    member_nonce,
    quiet_log,
)
from tests.builders.peer_pair import ADDRESS, Receiver, hello, pair


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (hello(low=2, high=3), "protocol_error"),
        (hello(auth=["password"]), "unauthorized"),
        (hello(cluster=b"x" * 16), "foreign_cluster"),
        (hello(nonce=b"w" * 16), "foreign_cluster"),
        (hello(node=9), "foreign_cluster"),
        (hello(boot="4"), "protocol_error"),
        (encode(PeerOp.RAFT, [1, 2, 3]), "protocol_error"),
        (encode(PeerOp.FOUND, [1, 2]), "protocol_error"),
        (b"GET / HTTP/1.1\r\n\r\n", "protocol_error"),
    ],
    ids=["version", "auth", "cluster", "disk", "node", "type", "raft", "found", "http"],
)
async def test_who_is_not_let_in(first: bytes, code: str) -> None:
    """And hears why."""
    async with pair() as here:
        await here.listen()
        stream, answer = await here.speak(first)
        assert answer.kind == PeerOp.REFUSED
        assert answer.header[0] == code
        assert await stream.receive_some() == b""
        assert here.receiver.connected == []


async def test_who_says_nothing_has_a_deadline(autojump_clock: MockClock) -> None:
    """And is told so."""
    async with pair() as here:
        await here.listen()
        stream, answer = await here.speak(b"")
        assert answer.header[0] == "protocol_error"
        assert trio.current_time() == pytest.approx(5.0)
        stream.abort()


async def test_while_being_founded_nobody_is_let_in() -> None:
    """But founders are answered."""
    async with pair() as here:
        here.identity = replace(here.identity, cluster_id=None, node_id=None, members=())
        await here.listen()
        _stream, answer = await here.speak(hello())
        assert answer.header[0] == "no_quorum"
        _stream, answer = await here.speak(encode(PeerOp.FOUND, ["a:1", b"n"]))
        assert (answer.kind, answer.header) == (PeerOp.FOUNDED, [member_nonce(1), b"", [], []])
        assert here.founders == [("a:1", b"n")]


async def test_a_bad_frame_ends_its_connection_only(autojump_clock: MockClock) -> None:
    """The next one is served."""
    async with pair() as here:
        await here.listen()
        stream, answer = await here.speak(hello())
        assert answer.kind == PeerOp.WELCOME
        assert answer.header == [peerwire.VERSION_MAX, CLUSTER, 1, member_nonce(1), 1, *KNOWN]
        here.receiver.error = ProtocolError("bad")
        await stream.send_all(encode(PeerOp.BEAT, [1]))
        assert (await receive_frame(stream, Decoder(1 << 16))).kind == PeerOp.REFUSED
        here.receiver.error = None
        stream, _answer = await here.speak(hello())
        await stream.send_all(encode(PeerOp.BEAT, [2]))
        await trio.sleep(1)
        assert here.receiver.frames == [(PeerOp.BEAT, [2])]


async def test_a_broken_invariant_is_not_swallowed() -> None:
    """Not even where a peer's frame brought it to light."""
    network = MemoryNetwork()
    listener = PeerListener(
        memory_environment(network),
        quiet_log(),
        5.0,
        lambda: member_identity(1),
        lambda: 1,
        lambda _a, _n: None,
    )
    receiver = Receiver()
    receiver.error = InvariantViolation("two states")
    listener.receiver = receiver
    port = await network.listen(ADDRESS)
    stream = await network.dial(ADDRESS)
    await stream.send_all(hello())

    async def speak() -> None:
        await receive_frame(stream, Decoder(1 << 16))
        await stream.send_all(encode(PeerOp.BEAT, [1]))

    with pytest.RaisesGroup(InvariantViolation, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            nursery.start_soon(listener.run, port)
