"""A hop to the leader: bounded in both directions, and what a broken one means for each request."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor import batch, wire
from haqactor.config import Limits
from haqactor.env import NullProbe, Stream
from haqactor.errors import Error
from haqactor.frame import Decoder, Frame, encode
from haqactor.ids import GroupId, NodeId, Term
from haqactor.nodes.memory_stream import MemoryStream
from haqactor.nodes.outbox import Outbox
from haqactor.nodes.proxy import IDLE_PING_S, PING_S, PINGS_UNANSWERED_MAX, forward
from haqactor.nodes.sessions import ClientSession
from tests.builders.memory_environment import MemoryNetwork, memory_environment
from tests.builders.node_context import CLUSTER, address_of, node_context

GROUP = GroupId(1)
BOUND = 100_000


class Session:
    """A client's connection at this node, as far as a hop sees it."""

    def __init__(self, nursery: trio.Nursery, network: MemoryNetwork) -> None:
        limits = Limits(connection_buffer_bytes=BOUND)
        self.context = node_context(0, env=memory_environment(network), limits=limits)[0]
        self.context.leaders.update(GROUP, NodeId(1), Term(3))
        self.nursery = nursery
        self.outbox = Outbox()
        self.proxies: dict[int, Any] = {}
        self.id, self.client, self.open = b"s" * 16, "a test", True
        self.frame_bytes_max = 1 << 20
        self.failed: list[tuple[int, str]] = []
        self.sent: list[Any] = []

    def fail(self, rid: int, error: Error) -> None:
        self.failed.append((rid, error.code))

    def send(self, message: Any) -> None:
        self.sent.append(message)

    async def forward(self, message: Any, blob: bytes = b"") -> None:
        (frame,) = Decoder(1 << 24).feed(wire.pack(message, blob))
        await forward(cast(ClientSession, self), GROUP, getattr(message, "rid", 0), frame)


class Leader:
    """The far end of the hop."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.decoder = Decoder(1 << 24)
        self.frames: list[Frame] = []

    async def receive(self) -> Any:
        while not self.frames:
            data = await self.stream.receive_some()
            assert data
            self.frames += self.decoder.feed(data)
        return wire.parse(self.frames.pop(0))


@asynccontextmanager
async def place(*, listens: bool = True) -> AsyncGenerator[tuple[Session, Any]]:
    """A session, and how to take its hop at the leader."""
    async with trio.open_nursery() as nursery:
        network = MemoryNetwork()
        port = await network.listen(address_of(1)) if listens else None

        async def accept() -> Leader:
            assert port is not None
            return Leader(await port.accept())

        yield Session(nursery, network), accept
        nursery.cancel_scope.cancel()


MUTATING = (
    wire.Publish(1, GROUP, 7, b"p" * 16, 0, 1, 1, 0, 0),
    wire.Delete(2, "q"),
    wire.Purge(3, GROUP, 7),
    wire.Declare(4, "q", {}),
    wire.OpenProducer(5, "p"),
    wire.Queues(6),
)


async def test_frames_pass_as_they_are_under_the_clients_name() -> None:
    """Answers come back, what the leader says for itself does not; an answered request is nobody's loss."""
    async with place() as (session, accept):
        await session.forward(wire.Info(8, GROUP, 7))
        leader = await accept()
        hello = await leader.receive()
        assert (hello.session, hello.cluster, hello.proxy) == (session.id, CLUSTER, False)
        assert await leader.receive() == wire.Info(8, GROUP, 7)
        body = batch.Packer().pack([batch.Content(b"x")])
        await leader.stream.send_all(
            wire.pack(wire.Leaders([])) + wire.pack(wire.Goodbye("x")) + wire.pack(wire.Reply(8, [1]), body)
        )
        await wait_all_tasks_blocked()
        assert session.outbox.pending_bytes == len(wire.pack(wire.Reply(8, [1]), body))
        leader.stream.abort()
        await wait_all_tasks_blocked()
        assert session.failed == []
        assert not session.proxies


async def test_what_was_stored_under_a_larger_limit_passes_back() -> None:
    """A node's own bound is for what clients send; a peek alone may bring more than that (Q16)."""
    async with place() as (session, accept):
        await session.forward(wire.Peek(8, GROUP, 7, 10, 0))
        leader = await accept()
        assert isinstance(await leader.receive(), wire.Hello)
        large = wire.pack(wire.Reply(8, []), bytes(2 * session.frame_bytes_max))
        await leader.stream.send_all(large)
        await wait_all_tasks_blocked()
        assert session.failed == []
        assert session.outbox.pending_bytes == len(large)


async def test_a_broken_hop_says_what_may_have_been_done() -> None:
    """Unknown is what leaves a trace; the rest may be asked again. Consumers are told."""
    async with place() as (session, accept):
        for message in MUTATING:
            await session.forward(message)
        await session.forward(wire.Subscribe(9, GROUP, 7, 2, 1, 1, 1, []))
        leader = await accept()
        leader.stream.abort()
        await wait_all_tasks_blocked()
        unknown, again = "outcome_unknown", "not_leader"
        codes = dict(session.failed)
        assert [codes[rid] for rid in range(1, 7)] == [unknown, unknown, unknown, unknown, again, again]
        assert [(gone.consumer, gone.code) for gone in session.sent] == [(2, again)]
        assert len(session.failed) == 7


async def test_consumers_hear_of_another_leader_though_the_hop_stands() -> None:
    """What the former one still sends them is for nobody. A node that heard of no leader tells nothing."""
    async with place() as (session, accept):
        await session.forward(wire.Subscribe(9, GROUP, 7, 2, 1, 1, 1, []))
        leader = await accept()
        (link,) = session.proxies.values()
        for other in (GROUP + 1, GROUP):
            link.leaders_changed([[other, -1, 4, ""]])
        link.leaders_changed([[GROUP, 1, 5, "a"], [GROUP + 1, 0, 5, "b"]])
        assert session.sent == []
        link.leaders_changed([[GROUP, 0, 6, "b"]])
        assert [(gone.consumer, gone.code) for gone in session.sent] == [(2, "not_leader")]
        link.leaders_changed([[GROUP, 2, 7, "c"]])
        late = (wire.Deliver(GROUP, 2, 7, 10**9, []), wire.ConsumerGone(GROUP, 2, "not_leader", "late"))
        await leader.stream.send_all(b"".join(wire.pack(message) for message in late))
        await wait_all_tasks_blocked()
        assert not session.outbox.pending_bytes
        assert len(session.sent) == 1
        await session.forward(wire.Subscribe(10, GROUP, 7, 2, 2, 1, 1, []))
        await leader.stream.send_all(wire.pack(late[0]))
        await wait_all_tasks_blocked()
        assert session.outbox.pending_bytes == len(wire.pack(late[0]))


async def test_a_consumer_that_ended_is_forgotten() -> None:
    """A client may begin and end consumers for ever on one connection."""
    async with place() as (session, accept):
        for consumer in range(5):
            await session.forward(wire.Subscribe(9, GROUP, 7, consumer, 1, 1, 1, []))
            await session.forward(wire.Unsubscribe(10, GROUP, consumer))
        await session.forward(wire.Subscribe(9, GROUP, 7, 5, 1, 1, 1, []))
        leader = await accept()
        leader.stream.abort()
        await wait_all_tasks_blocked()
        assert [gone.consumer for gone in session.sent] == [5]


async def test_a_leader_that_cannot_be_reached_did_nothing() -> None:
    """So everything may be asked again; the next request tries anew."""
    async with place(listens=False) as (session, _accept):
        for message in MUTATING:
            await session.forward(message)
        await wait_all_tasks_blocked()
        assert session.failed == [(rid, "not_leader") for rid in range(1, 7)]
        await session.forward(wire.Info(7, GROUP, 7))
        assert list(session.proxies) == [1]


async def test_no_leader_is_known() -> None:
    """A request fails; credit, which nobody answers, ends the consumer."""
    async with place(listens=False) as (session, _accept):
        for leader in (-1, 0):
            session.context.leaders.update(GROUP, NodeId(leader), Term(4 + leader))
            await session.forward(wire.Info(1, GROUP, 7))
            await session.forward(wire.Credit(GROUP, 5, 1, 1))
        assert session.failed == [(1, "not_leader")] * 2
        assert [(gone.group, gone.consumer) for gone in session.sent] == [(GROUP, 5)] * 2


async def test_a_leader_that_does_not_read_holds_the_client() -> None:
    """What waits for the hop is bounded; it goes on when there is room, or fails when the hop breaks."""
    async with place() as (session, accept):
        blob = bytes(BOUND)
        passed = 0

        async def push() -> None:
            nonlocal passed
            for rid in range(1, 31):
                await session.forward(wire.Publish(rid, GROUP, 7, b"p" * 16, 0, rid, 1, 0, 0), blob)
                passed += 1

        session.nursery.start_soon(push)
        leader = await accept()
        await wait_all_tasks_blocked()
        (link,) = session.proxies.values()
        before = passed
        assert before < 20
        assert link.outbox.pending_bytes < 2_200_000
        await leader.receive()
        await leader.receive()
        for _ in range(8):
            await leader.stream.receive_some()
        await wait_all_tasks_blocked()
        assert before < passed < 30
        leader.stream.abort()
        await wait_all_tasks_blocked()
        assert passed == 30
        told = sorted(rid for rid, _code in session.failed)
        assert told == list(range(1, len(told) + 1))  # the others try a new hop
        assert len(told) > before


async def test_a_client_that_does_not_read_holds_the_leader() -> None:
    """The hop reads no further until the client took what there is."""
    async with place() as (session, accept):
        await session.forward(wire.Info(1, GROUP, 7))
        leader = await accept()
        sent = 0

        async def pour() -> None:
            nonlocal sent
            frame = encode(wire.Op.REPLY, [0, None], bytes(BOUND))
            while sent < 100:
                await leader.stream.send_all(frame)
                sent += 1

        session.nursery.start_soon(pour)
        await wait_all_tasks_blocked()
        assert sent < 40
        assert session.outbox.pending_bytes < BOUND + 1_200_000
        session.outbox.end()  # nobody sends any more: nothing waits for that client
        await wait_all_tasks_blocked()
        assert sent == 100


async def test_a_silent_hop_is_ended(autojump_clock: MockClock) -> None:
    """The client hears the near node's pongs and cannot know that the far one is gone; its publish would wait
    for ever. The simulator found it: seed 1 of the partition profile."""
    async with place() as (session, accept):
        await session.forward(wire.Publish(1, GROUP, 7, b"p" * 16, 0, 1, 1, 0, 0))
        leader = await accept()
        began = trio.current_time()
        assert isinstance(await leader.receive(), wire.Hello)
        assert isinstance(await leader.receive(), wire.Publish)
        for _ in range(PINGS_UNANSWERED_MAX):
            assert isinstance(await leader.receive(), wire.Ping)
        with trio.fail_after(2 * PING_S):
            while not session.failed:  # noqa: ASYNC110 - time jumps
                await trio.sleep(PING_S / 10)
        assert session.failed == [(1, "outcome_unknown")]
        assert trio.current_time() - began < 2 * PING_S * PINGS_UNANSWERED_MAX
        assert not session.proxies


async def test_a_hop_that_answers_is_kept(autojump_clock: MockClock) -> None:
    """However long a request takes; and an idle one is asked seldom, until its node is gone."""
    async with place() as (session, accept):
        await session.forward(wire.Poll(1, GROUP, 7, 1))
        leader = await accept()
        assert isinstance(await leader.receive(), wire.Hello)
        assert isinstance(await leader.receive(), wire.Poll)
        for _ in range(100):
            assert isinstance(await leader.receive(), wire.Ping)
            await leader.stream.send_all(wire.pack(wire.Pong(0)))
        await leader.stream.send_all(wire.pack(wire.Reply(1, False)))
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert isinstance(await leader.receive(), wire.Ping)
        assert trio.current_time() - began > IDLE_PING_S - PING_S
        await trio.sleep(2 * PING_S * PINGS_UNANSWERED_MAX)
        assert not session.proxies
        assert session.failed == []


async def test_a_node_that_cannot_be_reached_is_given_up(autojump_clock: MockClock) -> None:
    """A dial that nobody answers takes as long as the system likes."""
    async with place() as (session, _accept):
        session.context = replace(session.context, env=cast(Any, Unreachable()))
        await session.forward(wire.Info(1, GROUP, 7))
        await trio.sleep(1.1)
        assert session.failed == [(1, "not_leader")]


class Unreachable:
    """An environment whose network swallows dials."""

    def __init__(self) -> None:
        self.network, self.probe = self, NullProbe()

    async def dial(self, _address: str) -> Stream:
        await trio.sleep_forever()
        raise AssertionError


async def test_a_hop_does_not_take_the_last_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client hears that its request was never made."""

    def few(_stream: MemoryStream, reserve: int) -> bool:
        return reserve > 64

    monkeypatch.setattr(MemoryStream, "is_among_last", few)
    async with place() as (session, _accept):
        await session.forward(wire.Purge(3, GROUP, 7))
        await wait_all_tasks_blocked()
        assert session.failed == [(3, "not_leader")]
        assert session.context.gauges["proxy_without_descriptors"] == 1
