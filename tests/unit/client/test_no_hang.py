"""Every wait of the client ends: in an answer, an error, or its caller's cancellation; whatever the nodes do,
and whoever closes the session."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from haqactor.client.broker import Broker, open_session
from haqactor.client.deliveries import Batch, Batches, Deliveries
from haqactor.client.message import Message
from haqactor.client.producer import Producer
from haqactor.client.queue import Queue
from haqactor.errors import Error, OutcomeUnknown
from tests.builders.fake_node import FakeCluster, FakeNode
from tests.builders.fake_world import fake_environment

PATIENCE_S: Final = 5.0
GRACE_S: Final = 2.0
SILENCE_S: Final = 1.3
"""After this a node that says nothing at all is left."""
LINKS: Final = 2


@dataclass
class Ground:
    """A session in the middle of everything. ``leave``: its owner, another task, leaves its block."""

    cluster: FakeCluster
    broker: Broker
    leave: trio.Event
    queue: Queue
    producer: Producer
    deliveries: Deliveries
    message: Message
    batches: Batches
    batch: Batch

    def stick(self) -> None:
        """From now on nodes answer pings, and nothing else."""
        self.cluster.before = lambda _node, message: type(message).__name__ not in ("Hello", "Ping")

    def silence(self) -> None:
        """From now on nodes say nothing."""
        for node in self.cluster.nodes:
            node.mute = True

    def kill(self) -> None:
        """From now on there are none."""
        for node in self.cluster.nodes:
            node.kill()


Call = Callable[[Ground], Awaitable[object]]


async def _own(cluster: FakeCluster, leave: trio.Event, task_status: trio.TaskStatus[Broker]) -> None:
    async with open_session(cluster, fake_environment()) as broker:
        task_status.started(broker)
        await leave.wait()


@asynccontextmanager
async def ground(cluster: FakeCluster, nursery: trio.Nursery) -> AsyncGenerator[Ground]:
    """Queues ``orders`` and ``many`` have a consumer each, which holds a message; nothing else is ready."""
    cluster.add_queue("orders")
    cluster.add_queue("many")
    leave = trio.Event()

    async def own(task_status: trio.TaskStatus[Broker] = trio.TASK_STATUS_IGNORED) -> None:
        await _own(cluster, leave, task_status)

    broker: Broker = await nursery.start(own)
    queue = broker.queue("orders")
    await broker.publish("orders", b"one")
    await broker.publish("many", b"one")
    with suppress(Error):
        async with (
            broker.producer("p") as producer,
            queue.consume() as deliveries,
            broker.queue("many").consume_batches() as batches,
        ):
            await producer.publish("orders", b"two")
            message = await deliveries.receive()
            await deliveries.receive()
            batch = await batches.receive()
            yield Ground(cluster, broker, leave, queue, producer, deliveries, message, batches, batch)


async def _enter(block: Any) -> None:
    async with block:
        pass


async def _in_body(given: Any) -> None:
    async with given:
        pass


async def _serve(g: Ground) -> None:
    async def never(_message: Message) -> None:
        pytest.fail("there is nothing to serve")

    await g.queue.serve(never)


_BOUNDED: Final[dict[str, Call]] = {
    "declare": lambda g: g.broker.declare("orders", lease=5.0),
    "delete_queue": lambda g: g.broker.delete_queue("orders"),
    "queues": lambda g: g.broker.queues(),
    "status": lambda g: g.broker.status(),
    "publish": lambda g: g.broker.publish("orders", b"x"),
    "publish to another queue": lambda g: g.broker.publish("others", b"x"),
    "producer": lambda g: _enter(g.broker.producer("other")),
    "producer.publish": lambda g: g.producer.publish("orders", b"x"),
    "producer.publish again": lambda g: g.producer.publish("orders", b"two", seq=1),
    "producer.publish_many": lambda g: g.producer.publish_many("orders", [b"x"] * 3000),
    "producer.last_seq": lambda g: g.producer.last_seq("orders"),
    "consume": lambda g: _enter(g.queue.consume()),
    "consume another queue": lambda g: _enter(g.broker.queue("others").consume()),
    "consume_batches": lambda g: _enter(g.queue.consume_batches()),
    "poll": lambda g: g.queue.poll(),
    "info": lambda g: g.queue.info(),
    "peek": lambda g: g.queue.peek(),
    "purge": lambda g: g.queue.purge(),
    "message.ack": lambda g: g.message.ack(),
    "message.nack": lambda g: g.message.nack(),
    "message.reject": lambda g: g.message.reject(),
    "message.release": lambda g: g.message.release(),
    "message.extend": lambda g: g.message.extend(60.0),
    "batch.ack": lambda g: g.batch.ack(),
    "batch.nack": lambda g: g.batch.nack(),
    "batch.reject": lambda g: g.batch.reject(),
    "batch.release": lambda g: g.batch.release(),
    "deliveries.aclose": lambda g: g.deliveries.aclose(),
    "batches.aclose": lambda g: g.batches.aclose(),
}
"""What has an end of its own: an error once nobody has answered for the patience."""

_WAITING: Final[dict[str, Call]] = {
    "get": lambda g: g.queue.get(),
    "receive": lambda g: g.deliveries.receive(),
    "batches.receive": lambda g: g.batches.receive(),
    "serve": _serve,
}
"""What waits for a message, for as long as its caller lets it."""

_AT_ONCE: Final[dict[str, Call]] = {
    "a message's body": lambda g: _in_body(g.message),
    "a batch's body": lambda g: _in_body(g.batch),
}
"""What hands its work over and waits for nobody."""

UNANSWERED: Final = ("no_quorum", "outcome_unknown")
CLOSED: Final = ("closed", "lease_lost")
BREAKS: Final[dict[str, Callable[[Ground], None]]] = {"gone": Ground.kill, "silent": Ground.silence}


async def _code(call: Call, g: Ground) -> str:
    """The code of the error that it ends with; "done" without one."""
    try:
        await call(g)
    except Error as error:
        return error.code
    return "done"


@pytest.mark.parametrize("broken", BREAKS)
@pytest.mark.parametrize("name", _BOUNDED)
async def test_where_nobody_answers_it_ends_in_an_error(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock, name: str, broken: str
) -> None:
    async with ground(cluster, nursery) as g:
        BREAKS[broken](g)
        start = trio.current_time()
        with trio.fail_after(60):
            code = await _code(_BOUNDED[name], g)
        assert code in UNANSWERED
        leaving_s = GRACE_S if "consume" in name else 0.0  # it is left again where it was not begun
        assert trio.current_time() - start < PATIENCE_S + LINKS * SILENCE_S + leaving_s + 0.5
        g.leave.set()


@pytest.mark.parametrize("broken", BREAKS)
@pytest.mark.parametrize("name", _WAITING)
async def test_waiting_for_messages_ends_with_the_callers_scope(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock, name: str, broken: str
) -> None:
    async def call(g: Ground) -> None:
        with trio.move_on_after(3 * PATIENCE_S) as scope:
            await _WAITING[name](g)
        assert scope.cancelled_caught

    async with ground(cluster, nursery) as g:
        start = trio.current_time()
        with trio.fail_after(60):
            async with trio.open_nursery() as calls:
                calls.start_soon(call, g)
                await wait_all_tasks_blocked()
                BREAKS[broken](g)
        assert trio.current_time() - start < 3 * PATIENCE_S + GRACE_S + 0.1
        g.leave.set()


@pytest.mark.parametrize("name", [*_BOUNDED, *_WAITING])
async def test_a_node_that_lives_and_never_answers_is_left_by_cancelling(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    async with ground(cluster, nursery) as g:
        g.stick()
        start = trio.current_time()
        with trio.fail_after(60), trio.move_on_after(1) as scope:
            await _code({**_BOUNDED, **_WAITING}[name], g)
        assert scope.cancelled_caught
        assert trio.current_time() - start < 1 + GRACE_S + 0.1
        g.leave.set()


@pytest.mark.parametrize("name", [*_BOUNDED, *_WAITING])
async def test_a_session_that_another_task_closes_ends_it(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    codes: list[str] = []

    async def call(g: Ground) -> None:
        codes.append(await _code({**_BOUNDED, **_WAITING}[name], g))

    async with ground(cluster, nursery) as g:
        g.stick()
        start = trio.current_time()
        with trio.fail_after(60):
            async with trio.open_nursery() as calls:
                calls.start_soon(call, g)
                await wait_all_tasks_blocked()
                g.leave.set()
        assert trio.current_time() - start < GRACE_S + 0.5
    assert codes[0] in CLOSED or (codes == ["done"] and name.endswith("aclose"))


@pytest.mark.parametrize("name", [*_BOUNDED, *_WAITING])
async def test_what_begins_after_that_hears_so_at_once(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    async with ground(cluster, nursery) as g:
        g.leave.set()
        await trio.sleep(GRACE_S + 0.5)
        assert g.broker.session.ended is not None
        start = trio.current_time()
        with trio.fail_after(60):
            code = await _code({**_BOUNDED, **_WAITING}[name], g)
        assert trio.current_time() - start < 0.1
        assert code in CLOSED or (code == "done" and name.endswith("aclose"))


@pytest.mark.parametrize("broken", [*BREAKS, "stuck"])
@pytest.mark.parametrize("name", _AT_ONCE)
async def test_a_clean_exit_waits_for_nobody(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock, name: str, broken: str
) -> None:
    async with ground(cluster, nursery) as g:
        {**BREAKS, "stuck": Ground.stick}[broken](g)
        start = trio.current_time()
        with trio.fail_after(60):
            assert await _code(_AT_ONCE[name], g) == "done"
        assert trio.current_time() - start < 0.1
        g.leave.set()


async def test_many_batches_are_given_up_together(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Not one after the other, each after a patience of its own."""
    async with ground(cluster, nursery) as g:
        g.stick()
        with trio.move_on_after(0.1):
            await g.producer.publish_many("orders", [b"x"] * 2000)
        assert sum(left.count for left in g.producer.outstanding()) > 1000
        g.kill()
        start = trio.current_time()
        with trio.fail_after(60), pytest.raises(OutcomeUnknown):
            await g.producer.publish_many("orders", [b"y"] * 2000)
        assert trio.current_time() - start < PATIENCE_S + 0.5
        g.leave.set()


async def test_a_producer_with_many_batches_under_way_is_left_in_time(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with ground(cluster, nursery) as g:
        start = trio.current_time()
        async with g.broker.producer("other") as producer:
            await producer.publish("many", b"x")
            g.stick()
            with trio.move_on_after(0.1):
                await producer.publish_many("many", [b"x"] * 5000)
            assert len(producer.outstanding()) == 20
            g.kill()
        assert trio.current_time() - start < PATIENCE_S + 0.5
        g.leave.set()


async def test_many_consumers_share_one_grace(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Where nobody answers, leaving the session takes as long with ten of them as with one."""
    for number in range(10):
        cluster.add_queue(f"q{number}")
    start = 0.0
    async with open_session(cluster, fake_environment()) as broker:
        for number in range(10):
            await broker.publish(f"q{number}", b"x")
            await broker.queue(f"q{number}").get()
        for node in cluster.nodes:
            node.kill()
        start = trio.current_time()
    assert trio.current_time() - start < GRACE_S + 0.1


async def test_two_tasks_may_leave_the_same_consumer(
    cluster: FakeCluster, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Both wait for the same verdicts."""
    async with ground(cluster, nursery) as g:
        fake = g.cluster.queues[g.cluster.names["orders"]]
        swallowed: list[FakeNode] = []

        def before(node: FakeNode, message: object) -> bool:
            swallowed.extend([node] * (type(message).__name__ == "Settle"))
            return type(message).__name__ == "Settle" and len(swallowed) == 1

        cluster.before = before
        await _in_body(g.message)
        with trio.fail_after(60):
            async with trio.open_nursery() as leaving:
                leaving.start_soon(g.deliveries.aclose)
                await wait_all_tasks_blocked()
                leaving.start_soon(g.deliveries.aclose)
                await wait_all_tasks_blocked()
                await cluster.elect(1)
        assert fake.messages[0].done
        g.leave.set()
