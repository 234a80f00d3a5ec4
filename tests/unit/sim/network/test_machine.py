"""What a crash, a restart and a pause look like from the other end; and what dialling them gives."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trio

from haqactor.env import ConnectFailed, ConnectRefused, NetworkError, StreamReset
from haqactor.sim.network import SimNetwork
from haqactor.sim.network.partitions import apply
from tests.unit.sim.network.net import MS, PLAIN, Net, S


def talk(net: Net, every_s: float = 0.001) -> Callable[[SimNetwork], Awaitable[None]]:
    """A client that listens to b, and sends as long as that goes."""

    async def client(network: SimNetwork) -> None:
        stream = await network.dial("b:1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(net.hear, stream, 100)
            try:
                while True:
                    await stream.send_all(b"x")
                    await trio.sleep(every_s)
            except StreamReset:
                net.put(101, "reset")

    return client


def dial(net: Net, results: list[tuple[float, str]]) -> Callable[[SimNetwork], Awaitable[None]]:
    """A client that dials b once, and writes down when and how it ended."""

    async def client(network: SimNetwork) -> None:
        try:
            stream = await network.dial("b:1")
        except NetworkError as error:
            results.append((net.now_ms, type(error).__name__))
        else:
            results.append((net.now_ms, "open"))
            stream.abort()

    return client


def test_a_crash_resets_its_streams_after_the_delay() -> None:
    """At the peer, whoever waits there."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)
        net.start("a", talk(net))
        net.world.call_at(50 * MS, net.world.hosts["b"].crash)
        net.run(100)
        told = [heard for heard in net.heard if heard.stream >= 100]
        assert [(heard.stream, heard.what) for heard in told] == [
            (100, "open"),
            (100, "reset"),
            (101, "reset"),
        ]
        assert [heard.at_ms for heard in told] == pytest.approx([3, 51, 51])
        assert net.fabric.counts["crash-reset"] == 1
        assert net.ended == ["a"]


def test_a_killed_process_ends_its_streams_in_order() -> None:
    """As its kernel does; who sends then is reset."""
    with Net("a", "b") as net:
        apply(net.fabric, "fate", "b", "end")
        net.listen()
        net.run(1)
        net.start("a", talk(net, every_s=0.02))
        net.world.call_at(50 * MS, net.world.hosts["b"].crash)
        net.run(100)
        told = [(heard.at_ms, heard.stream, heard.what) for heard in net.heard if heard.stream >= 100]
        assert told[1:] == [(51.0, 100, "end"), (63.0, 101, "reset")], "the second one closed its own end"
        assert net.fabric.counts["crash-end"] == 1


def test_a_machine_that_is_gone_is_silent_until_it_is_back() -> None:
    """Its peers stay half-open; what they sent meanwhile is reset once it is there again."""
    with Net("a", "b") as net:
        apply(net.fabric, "fate", "b", "silence")
        net.listen()
        net.run(1)
        net.start("a", talk(net, every_s=0.01))
        net.run(50)
        net.world.hosts["b"].crash()
        net.run(3000)
        assert net.ended == []
        assert [heard.what for heard in net.heard if heard.stream >= 100] == ["open"]
        net.listen()
        net.run(12)
        assert net.said[-2:] == [(100, "reset"), (101, "reset")]
        assert net.fabric.counts["crash-silence"] == 1


def test_who_says_nothing_to_a_machine_that_was_gone_never_knows() -> None:
    """A half-open stream, until its owner sends."""
    with Net("a", "b") as net:
        apply(net.fabric, "fate", "b", "silence")
        net.listen()
        net.run(1)
        say = trio.Event()

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            await say.wait()
            await stream.send_all(b"x")
            with pytest.raises(StreamReset):
                await stream.receive_some()

        net.start("a", client)
        net.run(50)
        net.world.hosts["b"].crash()
        net.run(50)
        net.listen()
        net.run(10_000)
        assert net.ended == []
        net.world.hosts["a"].enter(say.set)
        net.run(3)
        assert net.ended == ["a"]


def test_nothing_for_a_dead_incarnation_reaches_the_next() -> None:
    """The bytes under way are dropped and answered with a reset."""
    with Net("a", "b", settings=replace(PLAIN, delay_min_ns=20 * MS)) as net:
        net.listen()
        net.run(1)
        net.start("a", talk(net))
        net.run(100)
        net.world.hosts["b"].crash()
        before = len(net.heard)
        net.listen()
        net.run(19)
        assert net.heard[before:] == []
        net.run(100)
        assert net.said[-2:] == [(100, "reset"), (101, "reset")]
        assert all(heard.stream >= 100 for heard in net.heard[before:])


def test_what_a_dead_one_sent_before_still_comes() -> None:
    """It was on the wire; the reset comes behind it. What had not left the machine never comes."""
    with Net("a", "b", settings=replace(PLAIN, bandwidth=1_000_000)) as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            await stream.send_all(b"y" * 900)
            await stream.send_all(b"n" * 100_000)

        net.start("a", client)
        net.world.call_at(4 * MS, net.world.hosts["a"].crash)
        net.run(200)
        assert net.said == [(0, b"y" * 900), (0, "reset")]
        assert net.fabric.counts["gone"] >= 1


def test_a_dead_program_is_refused_and_a_gone_machine_fails_late() -> None:
    """Refused: after a round trip. Failed: after the time-out."""
    with Net("a", "b", "c", dial_timeout_ns=5 * S) as net:
        results: list[tuple[float, str]] = []
        net.start("a", dial(net, results))
        net.run(10)
        assert results == [(2.0, "ConnectRefused")]
        net.listen()
        net.run(10)
        net.world.hosts["b"].crash()
        net.start("c", dial(net, results))
        net.run(10)
        assert results[1:] == [(22.0, "ConnectRefused")]
        apply(net.fabric, "fate", "b", "silence")
        net.listen()
        net.run(10)
        net.world.hosts["b"].crash()
        net.world.hosts["c"].crash()
        net.start("c", dial(net, results))
        net.run(10_000)
        assert results[2:] == [(5040.0, "ConnectFailed")]


def test_who_listens_elsewhere_is_refused_and_who_is_unknown_fails() -> None:
    """Only a machine that answers refuses."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            with pytest.raises(ConnectRefused, match="b:2"):
                await network.dial("b:2")
            with pytest.raises(ConnectFailed, match="nobody in this world"):
                await network.dial("nobody:2")
            with pytest.raises(ConnectFailed, match="no address of a"):
                await network.listen("b:3")

        net.start("a", client)
        net.run(10)
        assert net.ended == ["a"]


def test_a_dial_that_is_given_up_leaves_nothing() -> None:
    """Whoever accepted it hears a reset."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            with trio.move_on_after(0.0015):
                await network.dial("b:1")

        net.start("a", client)
        net.run(10)
        assert net.said == [(0, "reset")]


def test_a_machine_that_stands_still_hears_all_later() -> None:
    """Its streams last; a dial waits until it goes on."""
    with Net("a", "b", "c", dial_timeout_ns=5 * S) as net:
        results: list[tuple[float, str]] = []
        net.listen()
        net.run(1)
        net.start("a", talk(net, every_s=0.01))
        net.run(9)
        net.world.hosts["b"].pause()
        before = len(net.heard)
        net.start("c", dial(net, results))
        net.run(300)
        assert net.heard[before:] == []
        net.world.hosts["b"].resume()
        net.run(1000)
        assert len(net.bytes_of(0)) > 100
        assert [what for _, what in results] == ["open"]
        assert results[0][0] > 310, "a machine that stands still takes no connection"


def test_a_reset_that_comes_while_it_stands_still_is_heard_later() -> None:
    """And a machine that ends meanwhile is taken down cleanly."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)
        net.start("a", talk(net, every_s=1))
        net.run(10)
        net.world.hosts["b"].pause()
        net.world.hosts["a"].crash()
        net.run(100)
        assert net.said == [(0, b"x")]
        net.world.hosts["b"].resume()
        net.run(1)
        assert net.said == [(0, b"x"), (0, "reset")]


def test_fates_are_drawn() -> None:
    """With the shares that the fabric was given."""
    with Net("a", "b", silence_share=0.5) as net:
        for _ in range(20):
            net.listen()
            net.run(1)
            net.start("a", talk(net))
            net.run(10)
            net.world.hosts["b"].crash()
            net.world.hosts["a"].crash()
            net.run(10)
        counts = net.fabric.counts
        assert counts["crash-silence"] + counts["crash-reset"] == 40
        assert 10 <= counts["crash-silence"] <= 30


def test_no_task_of_a_dead_run_waits_for_ever() -> None:
    """Not even one that cannot be cancelled."""
    left: list[str] = []
    with Net("a", "b") as net:

        async def shielded(name: str, what: Callable[[], Awaitable[object]]) -> None:
            with trio.CancelScope(shield=True):
                try:
                    await what()
                except NetworkError as error:
                    left.append(f"{name} {type(error).__name__}")

        async def client(network: SimNetwork) -> None:
            listener = await network.listen("a:1")
            stream = await network.dial("a:1")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(shielded, "receive", stream.receive_some)
                nursery.start_soon(shielded, "send", lambda: stream.send_all(bytes(1 << 20)))
                await listener.accept()
                nursery.start_soon(shielded, "accept", listener.accept)
                nursery.start_soon(shielded, "dial", lambda: network.dial("b:1"))

        apply(net.fabric, "isolate", "b")
        net.start("a", client)
        net.run(10)
        net.world.hosts["a"].crash()
        net.run(10)
        assert left == []
    assert sorted(left) == [
        "accept StreamReset",
        "dial ConnectFailed",
        "receive StreamReset",
        "send StreamReset",
    ]


def test_nor_one_whose_stream_was_reset_while_it_stood_still() -> None:
    """It was not told before it died."""
    left: list[str] = []
    with Net("a", "b") as net:

        async def server(network: SimNetwork) -> None:
            stream = await (await network.listen("b:1")).accept()
            with trio.CancelScope(shield=True):
                try:
                    await stream.receive_some()
                except StreamReset:
                    left.append("reset")

        async def client(network: SimNetwork) -> None:
            await network.dial("b:1")
            await trio.sleep_forever()

        net.start("b", server)
        net.run(1)
        net.start("a", client)
        net.run(10)
        net.world.hosts["b"].pause()
        net.world.hosts["a"].crash()
        net.run(10)
        net.world.hosts["b"].crash()
        assert left == []
    assert left == ["reset"]


def test_a_dead_run_has_no_effect() -> None:
    """What its clean-up sends at the end of the world goes nowhere."""
    ends: list[int] = []
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            try:
                await trio.sleep_forever()
            finally:
                ends.append(stream.send_now(b"x"))
                with trio.CancelScope(shield=True), pytest.raises(StreamReset):
                    await stream.send_all(b"x")
                await stream.aclose()

        net.start("a", client)
        net.run(10)
        net.world.hosts["a"].crash()
        net.run(10)
        sent = len(net.events("send"))
    assert ends == [0]
    assert len(net.events("send")) == sent


def test_one_run_can_be_several_machines() -> None:
    """Each with its own name, links and ports."""
    with Net("a") as net:

        async def program(network: SimNetwork) -> None:
            others = [SimNetwork(net.fabric, net.world.hosts["a"], name) for name in ("x", "y")]
            listeners = [await other.listen(f"{other.name}:1") for other in others]
            apply(net.fabric, "partition", [["a"], ["y"]])
            stream = await network.dial("x:1")
            assert (await listeners[0].accept()).remote.startswith("a:")
            assert stream.remote == "x:1"
            with trio.move_on_after(1) as scope:
                await network.dial("y:1")
            assert scope.cancelled_caught
            await others[0].dial("y:1")

        net.start("a", program)
        net.run(3000)
        assert net.ended == ["a"]
