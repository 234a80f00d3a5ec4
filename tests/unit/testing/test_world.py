"""Scenarios in a simulated world: what they can do to it, what is written down of them, how they fail."""

import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import pytest
import trio

import haqactor
from haqactor.sim.checkers.checker import Checker, Rule
from haqactor.sim.watch.history import OK, Op
from haqactor.testing import PromiseBroken, Sim, Stuck, Undetermined, World
from haqactor.testing import run as running
from haqactor.testing.run import Ending, run

URL = "haq://nowhere.example:1,nobody.example:2"


async def fill(broker: haqactor.Broker, queue: str, messages: int) -> None:
    for number in range(messages):
        await broker.publish(queue, b"%d" % number)


def passed(ending: Ending) -> Ending:
    assert ending.error is None, repr(ending.error)
    return ending


def test_no_loss_when_the_leader_is_isolated() -> None:
    async def scene(world: World) -> None:
        async with world.connect() as broker:
            queue = await broker.declare("orders")
            async with broker.producer("p1") as producer:
                for number in range(20):
                    await producer.publish("orders", b"%d" % number)
                before = await world.leader("orders")
                world.network.isolate(before)
                await trio.sleep(3)
                for number in range(20, 40):
                    await producer.publish("orders", b"%d" % number)
            assert await world.leader("orders") != before
            world.network.heal()
            with trio.fail_after(60):
                bodies = await world.drain(queue)
        assert sorted(set(bodies)) == sorted(b"%d" % number for number in range(40))
        world.expect_no_loss("orders")

    ending = passed(run(scene, 3, profile="partition"))
    assert ending.confirmed == 40
    assert ending.delivered >= 40


def test_the_seed_decides_everything() -> None:
    async def scene(world: World) -> None:
        async with world.connect() as broker:
            await broker.declare("orders")
            await trio.sleep(world.random.uniform(0.0, 0.1))
            await fill(broker, "orders", 3)

    first = passed(run(scene, 3, profile="swarm"))
    assert run(scene, 3, profile="swarm").digest == first.digest
    assert run(scene, 4, profile="swarm").digest != first.digest


def test_programs_find_the_world_and_survive_what_happens_to_it() -> None:
    """The user's own program, with the URL that it is deployed with; nodes crash, stand still, restart."""
    handled: list[bytes] = []

    async def program(label: str) -> None:
        assert label == "worker"
        async with haqactor.connect(URL) as broker, broker.queue("jobs").consume(credit=4) as deliveries:
            async for message in deliveries:
                async with message:
                    handled.append(message.body)

    async def scene(world: World) -> None:
        handled.clear()
        async with world.connect() as broker:
            await broker.declare("jobs", lease=2.0)
            world.start(program, "worker", name="worker")
            await fill(broker, "jobs", 5)
            world.crash(await world.leader("jobs"), seconds=0.5)
            await fill(broker, "jobs", 5)
            world.pause(await world.leader("jobs"), seconds=0.5)
            world.crash_client("worker", restart_after=0.2)
            await trio.sleep(0.6)
            world.restart("n1")
            await fill(broker, "jobs", 5)
            world.power_loss(0.5)
            await trio.sleep(0.1)
            await fill(broker, "jobs", 5)
            with trio.fail_after(60):
                await world.wait_empty("jobs")
        world.expect_no_loss("jobs")
        assert {op.client for op in world.history.ops} == {"scenario", "worker"}

    ending = passed(run(scene, 1))
    assert ending.confirmed == 20
    assert len(handled) >= 20


def test_a_crash_runs_no_finally_and_keeps_what_was_synced() -> None:
    said: list[object] = []

    async def program() -> None:
        try:
            async with haqactor.open_broker("./data") as broker:
                queue = await broker.declare("jobs")
                said.append((await queue.info()).ready)
                await fill(broker, "jobs", 3)
                await trio.sleep_forever()
        finally:
            said.append("finally")

    async def scene(world: World) -> None:
        said.clear()
        world.start(program, name="application")
        await trio.sleep(3)
        world.crash_client("application", restart_after=1)
        await trio.sleep(4)
        assert said == [0, 3]

    assert not passed(run(scene, 1, nodes=0)).violations


def test_members_embedded_in_programs_make_a_cluster() -> None:
    names = ("a", "b", "c")
    got: list[bytes] = []

    async def member(name: str) -> None:
        listen = [f"{each}:7420" for each in names]
        config = haqactor.NodeConfig(
            data_dir="data", listen=f"{name}:7420", bootstrap=listen, groups=1, insecure=True
        )
        async with haqactor.open_node(config) as node:
            await node.wait_ready()
            await node.broker.declare("jobs")
            await node.broker.publish("jobs", name.encode())
            await trio.sleep_forever()

    async def scene(world: World) -> None:
        got.clear()
        for name in names:
            world.start(member, name, name=name)
        await trio.sleep(3)
        world.crash_client("a")
        await trio.sleep(3)
        async with haqactor.connect("haq://b:7420,c:7420") as broker:
            for _ in names:
                async with await broker.queue("jobs").get() as message:
                    got.append(message.body)
        assert sorted(got) == [b"a", b"b", b"c"]

    passed(run(scene, 1, nodes=0))


def test_everything_that_programs_do_is_written_down() -> None:
    def told(world: World, kind: str) -> list[Op]:
        return [op for op in world.history.ops if op.kind == kind]

    async def scene(world: World) -> None:
        async with haqactor.connect(URL) as broker:
            queue = await broker.declare("jobs", dead_letter="dead")
            async with broker.producer("p") as producer:
                await producer.publish("jobs", b"a", seq=1)
                assert (await producer.publish("jobs", b"a", seq=1)).duplicate
                await producer.publish_many("jobs", [b"b", b"c", b"d", b"e"])
            message = await queue.get()
            await message.nack(delay=0.1)
            async with queue.consume_batches() as batches, await batches.receive() as batch:
                assert [each.body for each in batch.messages] == [b"b", b"c", b"d", b"e"]
            last = await queue.poll()
            while last is None:
                last = await queue.poll()
            await last.reject()
            await broker.publish("jobs", b"f")
            assert await broker.queue("jobs").purge() == 1
            with pytest.raises(haqactor.NotFound):
                await broker.queue("nothing").info()
            await broker.delete_queue("jobs")
        assert [op.value for op in told(world, "publish")] == [b"a", b"a", b"b", b"c", b"d", b"e", b"f"]
        assert all(op.outcome == OK for op in told(world, "publish"))
        assert [op.out["producer_seq"] for op in told(world, "publish")][:6] == [1, 1, 2, 3, 4, 5]
        assert [op.value for op in told(world, "deliver")] == [b"a", b"b", b"c", b"d", b"e", b"a"]
        assert [op.out["attempt"] for op in told(world, "deliver")][-1] == 2
        assert [(len(told(world, kind)), kind) for kind in ("nack", "ack", "reject", "purge", "delete")] == [
            *((1, "nack"), (4, "ack"), (1, "reject"), (1, "purge"), (1, "delete"))
        ]
        assert all(op.outcome == OK for op in told(world, "ack"))

    passed(run(scene, 1))


def test_a_message_that_nobody_got_is_a_loss_where_none_is_expected() -> None:
    async def scene(world: World) -> None:
        async with world.connect() as broker:
            await broker.declare("orders")
            await fill(broker, "orders", 2)
        world.expect_no_loss("bills")
        world.expect_no_loss("orders")

    error = run(scene, 1).error
    assert isinstance(error, PromiseBroken)
    assert "2 of 2 confirmed messages are lost" in str(error)


def test_messages_may_stay_where_nobody_expects_otherwise() -> None:
    async def scene(world: World) -> None:
        async with world.connect() as broker:
            queue = await broker.declare("orders")
            await fill(broker, "orders", 3)
            await queue.get()  # and the program ends without a word about it

    assert passed(run(scene, 1)).delivered == 1


class Alarm(Rule):
    """Goes off at the first confirmed publish."""

    name, invariant, ops = "alarm", "S1", ("publish",)

    def on_op(self, op: Op) -> None:
        raise self.broken("it was lost", op)


def test_a_broken_promise_of_ours_fails_the_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Checker] = []

    def checkers() -> list[Checker]:
        made.append(Alarm())
        return made[-1:]

    async def scene(world: World) -> None:
        async with world.connect() as broker:
            await broker.declare("orders")
            await fill(broker, "orders", 2)
            await trio.sleep_forever()

    monkeypatch.setattr(running, "checkers", checkers)
    with pytest.raises(PromiseBroken, match="S1: it was lost") as caught:
        Sim().run(scene, seeds=1)
    report = caught.value.__notes__[0]
    assert report.startswith("FAIL safety  S1")
    assert "client.call publish orders" in report
    assert len(report.splitlines()) <= 25


# -- errors of the user's code


async def dies_of_ours() -> None:
    raise haqactor.NoQuorum


async def dies_of_its_own() -> None:
    raise LookupError("a fault of the program")


def only_here(error: BaseException) -> list[str]:
    """The functions of a traceback."""
    found: list[str] = []
    at = error.__traceback__
    while at is not None:
        found.append(at.tb_frame.f_code.co_name)
        at = at.tb_next
    return found


async def broken(world: World) -> None:
    async with world.connect() as broker, trio.open_nursery() as nursery:
        await broker.declare("orders")
        nursery.start_soon(check)


async def check() -> None:
    await trio.lowlevel.checkpoint()
    raise AssertionError("three is two")


def test_an_error_of_the_scenario_leaves_as_itself() -> None:
    error = run(broken, 1).error
    assert type(error) is AssertionError
    assert only_here(error) == ["check"]
    with pytest.raises(AssertionError, match="three is two") as caught:
        Sim().run(broken, seeds=1)
    names = only_here(caught.value)
    assert names[-1] == "check"
    assert "seed 0, profile calm" in caught.value.__notes__[0]


async def stubborn(_world: World) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dies_of_its_own)
        nursery.start_soon(dies_of_its_own)


def test_two_errors_stay_a_group() -> None:
    error = run(stubborn, 1, nodes=0).error
    assert isinstance(error, ExceptionGroup)


@pytest.mark.parametrize(
    ("program", "restart_after", "failure"),
    [
        (dies_of_ours, 1.0, None),
        (dies_of_ours, None, haqactor.NoQuorum),
        (dies_of_its_own, 1.0, LookupError),
    ],
)
def test_programs_that_end_by_an_error(
    program: Callable[[], Awaitable[None]], restart_after: float | None, failure: type[Exception] | None
) -> None:
    """A supervisor starts again what haqactor's errors ended; all else is a finding."""
    lives: list[float] = []

    async def scene(world: World) -> None:
        async def counted() -> None:
            lives.append(world.now)
            await program()

        world.start(counted, name="program", restart_after=restart_after)
        await trio.sleep(2.5)

    error = run(scene, 1, nodes=0).error
    assert type(error) is (failure or type(None))
    assert lives == ([0.0, 1.0, 2.0] if failure is None else [0.0])


def test_a_scenario_that_does_not_end() -> None:
    async def scene(_world: World) -> None:
        await trio.Event().wait()  # here

    error = run(scene, 1, nodes=0).error
    assert isinstance(error, Stuck)
    assert __file__ in str(error)
    assert "in scene" in str(error)


def test_what_the_seed_does_not_decide_is_found() -> None:
    runs = count()

    async def scene(_world: World) -> None:
        await trio.sleep(next(runs))
        raise AssertionError

    with pytest.raises(Undetermined, match="asks something outside") as caught:
        Sim().run(scene, seeds=1, nodes=0)
    assert "part at event" in caught.value.__notes__[0]


def test_what_reaches_out_of_the_world_is_named() -> None:
    async def scene(_world: World) -> None:
        await trio.sleep(time.time() % 7)
        raise AssertionError

    with pytest.raises(Undetermined, match=r"time\.time\(\) in .*scene:"):
        Sim().run(scene, seeds=1, nodes=0)


def test_mistakes_are_told() -> None:
    async def scene(world: World) -> None:
        world.start(trio.sleep_forever, name="program")
        with pytest.raises(ValueError, match="no host 'n7'"):
            world.network.isolate("n7")
        with pytest.raises(ValueError, match="no node or program 'n7' in this world; there are n0, n1, n2"):
            world.crash("n7")
        with pytest.raises(ValueError, match="no program 'n0'"):
            world.crash_client("n0")
        with pytest.raises(ValueError, match="to itself"):
            world.pause("scenario")
        with pytest.raises(ValueError, match="a host 'program' already"):
            world.start(trio.sleep_forever, name="program")

    passed(run(scene, 1))
    with pytest.raises(ValueError, match="no profile 'nonsense' for scenarios; there are calm"):
        run(scene, 1, profile="nonsense")
    with pytest.raises(ValueError, match="no profile 'beyond'"):
        run(scene, 1, profile="beyond")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as at a terminal: a shell that starts this in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_the_world() -> None:
    async def scene(_world: World) -> None:
        await trio.sleep(1)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Sim().run(scene, seeds=1)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_scenario_may_skip_or_fail_its_test() -> None:
    async def skips(_world: World) -> None:
        pytest.skip("not here")

    async def fails(_world: World) -> None:
        pytest.fail("not so")

    with pytest.raises(pytest.skip.Exception, match="not here") as skipped:
        Sim().run(skips, nodes=0, seeds=1)
    assert not hasattr(skipped.value, "__notes__")
    with pytest.raises(pytest.fail.Exception, match="not so") as failed:
        Sim().run(fails, nodes=0, seeds=1)
    assert "seed 0" in failed.value.__notes__[0]


async def test_a_world_inside_of_a_running_program() -> None:
    async def scene(world: World) -> None:
        await trio.sleep(100)
        assert world.now == pytest.approx(100)

    before = trio.current_time()
    assert Sim().run(scene, seeds=[7], nodes=0).simulated_s == pytest.approx(100)
    await trio.lowlevel.checkpoint()
    assert trio.current_time() - before < 50
