"""A client's connection: what is refused and with which words, and that nothing it does harms another."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor import wire
from haqactor.config import Limits
from haqactor.env import Stream, StreamReset
from haqactor.errors import Error, NotLeader
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import GroupId, NodeId, Term
from haqactor.nodes.context import Context
from haqactor.nodes.listener import ClientListener
from haqactor.nodes.mailbox import Mailbox
from haqactor.nodes.memory_stream import memory_stream_pair
from haqactor.nodes.sessions import Disconnected, Request
from tests.builders.node_context import CLUSTER, node_context

SESSION = b"s" * 16
HELLO = wire.Hello(1, 1, ["none"], "a test", SESSION, b"", False)


@dataclass
class FakeActor:
    """A group that takes requests and does nothing with them."""

    leading: bool = True
    mailbox: Mailbox[Any] = field(default_factory=lambda: Mailbox[Any](4, 1 << 20))


class FakeServices:
    """A node that knows one queue."""

    def resolve(self, name: str) -> list[Any] | None:
        return [7, 1, 1, {}] if name == "known" else None

    def status(self) -> dict[str, Any]:
        return {"ready": True}


class Client:
    """The other end."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.decoder = Decoder(1 << 24)
        self.frames: list[Frame] = []

    async def send(self, *messages: wire.Message) -> None:
        await self.stream.send_all(b"".join(wire.pack(message) for message in messages))

    async def receive(self) -> Any:
        while not self.frames:
            data = await self.stream.receive_some()
            if not data:
                return None
            self.frames += self.decoder.feed(data)
        return wire.parse(self.frames.pop(0))

    async def until_the_end(self) -> None:
        while await self.receive() is not None:
            pass

    async def greet(self) -> wire.Welcome:
        await self.send(HELLO)
        welcome = await self.receive()
        assert isinstance(welcome, wire.Welcome)
        return welcome


class Place:
    """A listener's sessions, and how to come in."""

    def __init__(self, nursery: trio.Nursery, limits: Limits) -> None:
        self.context: Context = node_context(limits=limits)[0]
        self.actor = FakeActor()
        self.context.groups = cast(Any, {GroupId(0): FakeActor(), GroupId(1): self.actor})
        self.listener = ClientListener(self.context, FakeServices())
        self.nursery = nursery

    def connect(self) -> Client:
        near, far = memory_stream_pair("client", "node")
        self.nursery.start_soon(self.listener.serve, far)
        return Client(near)


@asynccontextmanager
async def place(limits: Limits | None = None) -> AsyncGenerator[Place, None]:
    async with trio.open_nursery() as nursery:
        yield Place(nursery, limits or Limits())
        nursery.cancel_scope.cancel()


async def refused(client: Client) -> wire.Refused:
    """The last frame, and an orderly end behind it."""
    message = await client.receive()
    while not isinstance(message, wire.Refused):
        assert message is not None
        message = await client.receive()
    assert await client.receive() is None
    return message


@pytest.mark.parametrize(
    ("changes", "code", "part"),
    [
        ({"version_min": 2, "version_max": 3}, "protocol_error", "upgrade"),
        ({"version_min": 0, "version_max": 0}, "protocol_error", "upgrade"),
        ({"auth": ["password"]}, "unauthorized", "authentication"),
        ({"auth": []}, "unauthorized", "authentication"),
        ({"cluster": b"x" * 16}, "unauthorized", "another cluster"),
        ({"session": b"short"}, "protocol_error", "16 bytes"),
    ],
)
async def test_hellos_that_are_refused(changes: dict[str, Any], code: str, part: str) -> None:
    """The client sees why, then the end."""
    async with place() as here:
        client = here.connect()
        await client.send(HELLO._replace(**changes))
        answer = await refused(client)
        assert answer.code == code
        assert part in answer.message
        await wait_all_tasks_blocked()
        assert not here.listener.sessions


async def test_welcome_says_where_everything_is() -> None:
    """And later changes of leaders come by themselves."""
    async with place() as here:
        here.context.leaders.update(GroupId(1), NodeId(2), Term(5))
        client = here.connect()
        await client.send(HELLO._replace(cluster=CLUSTER, version_max=9))
        welcome = await client.receive()
        assert (welcome.version, welcome.cluster, welcome.node) == (1, CLUSTER, 0)
        assert welcome.leaders == [[1, 2, 5, "n2:7020"]]
        assert welcome.limits["message_bytes_max"] == 1 << 20
        await wait_all_tasks_blocked()
        here.context.leaders.update(GroupId(1), NodeId(0), Term(6))
        assert await client.receive() == wire.Leaders([[1, 0, 6, "n0:7000"]])


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(64),
        b"\xff" * 64,
        encode(99, [1]),
        encode(wire.Op.HELLO, ["no", "hello"]),
        encode(wire.Op.HELLO, {1: 2}),
        wire.pack(wire.Ping(1)),
    ],
    ids=["http", "zeros", "ones", "unknown", "fields", "map", "ping"],
)
async def test_garbage_first(garbage: bytes) -> None:
    """A Refused frame, and only this connection ends."""
    async with place() as here:
        other = here.connect()
        await other.greet()
        client = here.connect()
        await client.stream.send_all(garbage)
        assert (await refused(client)).code == "protocol_error"
        await other.send(wire.Ping(3))
        assert await other.receive() == wire.Pong(3)


@pytest.mark.parametrize(
    "garbage",
    [
        encode(99, [1]),
        encode(wire.Op.DELIVER, [1, 2, 3, 4, []]),
        encode(wire.Op.PING, ["x"]),
        encode(wire.Op.INFO, [1, 1]),
        wire.pack(wire.Reply(1, None)),
        wire.pack(HELLO),
        wire.pack(wire.Ping(1))[:-1] + b"\x00",
    ],
    ids=["unknown", "node's", "type", "short", "reply", "hello", "checksum"],
)
async def test_garbage_later(garbage: bytes) -> None:
    """Its actors hear that it ended, once."""
    async with place() as here:
        client = here.connect()
        await client.greet()
        await client.send(wire.Info(1, 1, 7))
        await wait_all_tasks_blocked()
        await client.stream.send_all(garbage)
        assert (await refused(client)).code == "protocol_error"
        await wait_all_tasks_blocked()
        assert [type(item) for item in await here.actor.mailbox.drain()] == [Request, Disconnected]


async def test_a_silent_client_has_a_deadline(autojump_clock: MockClock) -> None:
    """Before its hello, and within a frame; between frames it may rest."""
    async with place(Limits(handshake=2.0)) as here:
        client = here.connect()
        assert "hello" in (await refused(client)).message
        assert trio.current_time() == pytest.approx(2.0)
        client = here.connect()
        await client.stream.send_all(wire.pack(HELLO)[:20])
        assert "hello" in (await refused(client)).message
        client = here.connect()
        await client.greet()
        await trio.sleep(1000)
        await client.send(wire.Ping(1))
        assert await client.receive() == wire.Pong(1)
        began = trio.current_time()
        await client.stream.send_all(wire.pack(wire.Ping(2))[:10])
        late = await refused(client)
        assert "no complete frame" in late.message
        assert late.code == "overloaded", "nobody broke the protocol: seed 600710 of profile swarm"
        assert trio.current_time() - began == pytest.approx(2.0)


async def test_too_many_connections() -> None:
    """The one beyond is told so; a place that gets free is given away."""
    async with place(Limits(connections_max=2)) as here:
        first, second = here.connect(), here.connect()
        await first.greet()
        await second.greet()
        answer = await refused(here.connect())
        assert answer.code == "overloaded"
        assert answer.fields["retry_after"] > 0
        await first.stream.aclose()
        await wait_all_tasks_blocked()
        await here.connect().greet()


async def test_no_connection_takes_the_last_descriptors() -> None:
    """The journal and the peers need them. It is told so, which is logged, though not each time; and beyond a
    few at once nobody is told, for telling takes a descriptor."""
    async with place() as here:
        await here.connect().greet()
        said: list[dict[str, Any]] = []

        def warning(_event: str, **fields: Any) -> None:
            said.append(fields)

        def info(_event: str, **_fields: Any) -> None:
            """Of no interest here."""

        cast(Any, here.context).log = SimpleNamespace(warning=warning, info=info)
        asked: list[int] = []

        def few(reserve: int) -> bool:
            asked.append(reserve)
            return True

        for _ in range(3):
            near, far = memory_stream_pair("client", "node")
            cast(Any, far).is_among_last = few
            here.nursery.start_soon(here.listener.serve, far)
            answer = await refused(Client(near))
            assert answer.code == "overloaded"
            assert "ulimit -n" in answer.message
        assert asked == [here.context.descriptors_reserved] * 3
        assert [fields["clients"] for fields in said] == [1]
        assert here.context.gauges["connections_refused"] == 3
        silent = 0
        for _ in range(40):
            near, far = memory_stream_pair("client", "node")
            await far.send_all(bytes(1 << 20))
            cast(Any, far).is_among_last = few
            here.nursery.start_soon(here.listener.serve, far)
            await wait_all_tasks_blocked()
            try:
                await near.send_all(b"x")
            except StreamReset:
                silent += 1
        assert silent == 40 - 16


async def test_requests_go_where_they_belong() -> None:
    """To their group in order; what no group takes is answered here."""
    async with place() as here:
        client = here.connect()
        await client.greet()
        await client.send(
            wire.Info(1, 1, 7),
            wire.Peek(2, 1, 7, 3),
            wire.Queues(3),
            wire.Info(4, 99, 7),
            wire.Resolve(5, "known", False),
            wire.Resolve(6, "unknown", False),
            wire.Status(7),
        )
        answers = [await client.receive() for _ in range(4)]
        assert [(type(answer), answer.rid) for answer in answers] == [
            (wire.Failed, 4),
            (wire.Reply, 5),
            (wire.Failed, 6),
            (wire.Reply, 7),
        ]
        assert [answer.code for answer in (answers[0], answers[2])] == ["invalid_argument", "not_found"]
        assert [item.message.rid for item in await here.actor.mailbox.drain()] == [1, 2]
        (asked,) = await here.context.groups[GroupId(0)].mailbox.drain()
        assert isinstance(asked, Request)
        assert asked.message == wire.Queues(3)


async def test_a_group_that_is_not_here_yet_is_asked_for_elsewhere() -> None:
    """A node that has just begun does not end its clients' consumers."""
    async with place() as here:
        del here.context.groups[GroupId(1)]
        client = here.connect()
        await client.greet()
        await client.send(wire.Info(1, 1, 7), wire.Info(2, 3, 7))
        answers = [await client.receive() for _ in range(2)]
        assert [answer.code for answer in answers] == ["not_leader", "invalid_argument"]


async def test_a_full_mailbox_holds_the_connection_not_the_memory() -> None:
    """And lets it go on when there is room."""
    async with place() as here:
        client = here.connect()
        await client.greet()
        await client.send(*(wire.Info(rid, 1, 7) for rid in range(1, 11)))
        await wait_all_tasks_blocked()
        seen: list[int] = []
        while len(seen) < 10:
            assert len(here.actor.mailbox) <= 4
            seen += [item.message.rid for item in await here.actor.mailbox.drain()]
            await wait_all_tasks_blocked()
        assert seen == list(range(1, 11))


async def test_a_group_hears_only_of_the_end_of_those_who_got_in() -> None:
    """Clients that come and go again while the actor stands still fill no mailbox: seed 601566 of profile
    swarm."""
    async with place() as here:
        waiting = here.connect()
        await waiting.greet()
        await waiting.send(*(wire.Info(rid, 1, 7) for rid in range(1, 11)))
        await wait_all_tasks_blocked()
        full = len(here.actor.mailbox)
        for _ in range(20):
            client = here.connect()
            await client.greet()
            await client.send(wire.Info(1, 1, 7))
            await wait_all_tasks_blocked()
            client.stream.abort()
            await wait_all_tasks_blocked()
        assert len(here.actor.mailbox) == full


async def test_a_client_that_does_not_read_keeps_nobody(autojump_clock: MockClock) -> None:
    """Its answers wait, its requests are not read on; when it is gone the connection ends, and its actors
    hear of it."""
    async with place(Limits(connection_buffer_bytes=1000)) as here:
        client = here.connect()
        await client.greet()
        await client.send(wire.Info(1, 1, 7))
        await wait_all_tasks_blocked()
        (session,) = here.listener.sessions.values()
        for rid in range(5):
            session.send(wire.Reply(rid, bytes(1 << 20)))
            await wait_all_tasks_blocked()
        await client.send(wire.Ping(1))
        await trio.sleep(100)
        assert session.outbox.pending_bytes > 1000
        client.stream.abort()
        await trio.sleep(1)
        assert not here.listener.sessions
        assert [type(item) for item in await here.actor.mailbox.drain()] == [Request, Disconnected]


async def test_a_client_far_behind_is_dropped() -> None:
    """Rather than buffered for without end."""
    async with place() as here:
        client = here.connect()
        await client.greet()
        (session,) = here.listener.sessions.values()
        for rid in range(70):
            session.send(wire.Reply(rid, bytes(1 << 20)))
        await wait_all_tasks_blocked()
        assert not here.listener.sessions
        with pytest.raises(StreamReset):
            await client.until_the_end()


async def test_a_bug_in_one_connection_spares_the_others() -> None:
    """It is counted and logged."""
    async with place() as here:
        other = here.connect()
        await other.greet()
        here.listener._services.status = cast(Any, None)  # type: ignore[method-assign]  # the planted bug
        client = here.connect()
        await client.greet()
        await client.send(wire.Status(1))
        await client.until_the_end()
        await other.send(wire.Ping(2))
        assert await other.receive() == wire.Pong(2)
        assert here.context.gauges["connections_failed"] == 1


async def test_a_refusal_tears_no_frame(autojump_clock: MockClock) -> None:
    """It comes behind what was on its way already; a client that does not read on gets no part of it."""
    async with place() as here:
        client = here.connect()
        await client.greet()
        (session,) = here.listener.sessions.values()
        for rid in range(4):
            session.send(wire.Reply(rid, bytes(1 << 20)))
        await wait_all_tasks_blocked()
        await client.stream.send_all(bytes(64))
        await wait_all_tasks_blocked()
        session.send(wire.Pong(9))
        assert [(await client.receive()).rid for _ in range(4)] == [0, 1, 2, 3]
        assert (await refused(client)).code == "protocol_error"
        silent = here.connect()
        await silent.greet()
        (session,) = here.listener.sessions.values()
        session.send(wire.Reply(1, bytes(8 << 20)))
        await wait_all_tasks_blocked()
        await silent.stream.send_all(bytes(64))
        await trio.sleep(5)
        assert not here.listener.sessions
        assert b"protocol_error" not in await silent.stream.receive_some(1 << 24)


async def test_requests_ahead_of_garbage_are_taken() -> None:
    """Though both came in one chunk; and the end does not wait for more."""
    async with place() as here:
        client = here.connect()
        await client.greet()
        await client.stream.send_all(wire.pack(wire.Ping(5)) + wire.pack(wire.Info(6, 1, 7)) + bytes(64))
        assert await client.receive() == wire.Pong(5)
        assert (await refused(client)).code == "protocol_error"
        assert [type(item) for item in await here.actor.mailbox.drain()] == [Request, Disconnected]


async def test_a_refused_connection_is_gone_when_the_listener_ends() -> None:
    """Though its client does not read."""
    near, far = memory_stream_pair("client", "node")
    async with place(Limits(connections_max=1)) as here:
        await here.connect().greet()
        await far.send_all(bytes(1 << 20))
        here.nursery.start_soon(here.listener.serve, far)
        await wait_all_tasks_blocked()
    with pytest.raises(StreamReset):
        await near.send_all(b"x")


async def test_errors_and_goodbye_reach_the_client() -> None:
    """With code, words and fields."""
    async with place() as here:
        client = here.connect()
        await client.greet()
        (session,) = here.listener.sessions.values()
        error: Error = NotLeader("elsewhere", leader=2, term=4)
        session.fail(8, error)
        here.listener.goodbye("this node stops")
        assert await client.receive() == wire.Failed(8, "not_leader", "elsewhere", {"leader": 2, "term": 4})
        assert await client.receive() == wire.Goodbye("this node stops")
