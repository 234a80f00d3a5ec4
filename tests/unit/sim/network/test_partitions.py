"""Who hears whom in each partition, and what heals."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio

from haqactor.env import ConnectFailed, NetworkError, StreamReset
from haqactor.sim.network import LinkSettings, SimNetwork
from haqactor.sim.network.partitions import OPERATIONS, Operation, apply
from tests.unit.sim.network.net import MS, PLAIN, Net, S

FIVE = ("n1", "n2", "n3", "n4", "n5")
ALL = tuple((source, target) for source in FIVE for target in FIVE if source != target)


def lost(net: Net, names: Sequence[str] = FIVE) -> list[str]:
    """The links that lose everything."""
    return [
        f"{source[1:]}>{target[1:]}"
        for source in names
        for target in names
        if source != target and net.fabric.link(source, target).is_cut
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "want"),
    [
        ("partition", [[["n1"], ["n2", "n3"]]], "1>2 1>3 2>1 3>1"),
        ("partition", [[["n1"], ["n2"], ["n3"]]], "1>2 1>3 2>1 2>3 3>1 3>2"),
        ("one_way", [["n1"], ["n1", "n2", "n3"]], "1>2 1>3"),
        ("isolate", ["n2"], "1>2 2>1 2>3 2>4 2>5 3>2 4>2 5>2"),
        ("isolate", ["n2", ["n1", "n3", "n4"]], "2>5 5>2"),
        ("deafen", ["n2"], "1>2 3>2 4>2 5>2"),
        ("mute", ["n2"], "2>1 2>3 2>4 2>5"),
        ("bridge", ["n3", FIVE], "1>4 1>5 2>4 2>5 4>1 4>2 5>1 5>2"),
        ("ring", [FIVE], "1>3 1>4 2>4 2>5 3>1 3>5 4>1 4>2 5>2 5>3"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_who_hears_whom(name: str, arguments: list[Any], want: str, before: bool) -> None:
    """Whether the links were there before or come later; plain data, and healed again."""
    operation = Operation(*json.loads(json.dumps([name, arguments])))
    with Net(*FIVE) as net:
        if before:
            assert lost(net) == []
        apply(net.fabric, operation.name, *operation.arguments)
        assert lost(net) == want.split()
        assert net.fabric.counts["partition"] == 1
        apply(net.fabric, "heal")
        assert lost(net) == []
        assert [event.kind for event in net.world.trace.events] == ["partition", "heal"]


def test_partitions_lie_over_each_other() -> None:
    """A link is whole again when all that cut it are healed; each by its label."""
    with Net(*FIVE) as net:
        apply(net.fabric, "isolate", "n1", [], "one")
        apply(net.fabric, "partition", [["n1"], ["n2"]], "two")
        apply(net.fabric, "heal", "one")
        assert lost(net) == ["1>2", "2>1"]
        apply(net.fabric, "heal", "three")
        assert lost(net) == ["1>2", "2>1"]
        apply(net.fabric, "heal", "two")
        assert lost(net) == []


def test_what_is_no_operation_is_told() -> None:
    """With what there is."""
    with Net("a") as net:
        with pytest.raises(ValueError, match="isolate"):
            apply(net.fabric, "explode")
        with pytest.raises(ValueError, match="silence"):
            apply(net.fabric, "fate", "a", "unknown")
        with pytest.raises(ValueError, match="no machine"):
            apply(net.fabric, "fate", "z", "end")
    assert len(OPERATIONS) == 17


def counting(net: Net, name: str) -> None:
    """A program that sends a number every ten milliseconds to b, and hears what comes back."""

    async def client(network: SimNetwork) -> None:
        stream = await network.dial("b:1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(net.hear, stream, 100)
            for number in range(200):
                await stream.send_all(b"%03d" % number)
                await trio.sleep(0.01)

    net.start(name, client)


@pytest.mark.parametrize("how", ["partition", "one_way"])
def test_a_stream_outlives_a_partition(how: str) -> None:
    """What was lost is sent again after the heal: all of it comes, in order."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)
        counting(net, "a")
        net.run(500)
        apply(net.fabric, "partition", [["a"], ["b"]]) if how == "partition" else apply(
            net.fabric, "one_way", ["a"], ["b"]
        )
        before = net.bytes_of(0)
        net.run(1000)
        assert net.bytes_of(0) == before
        assert net.fabric.counts["cut"] >= 90
        apply(net.fabric, "heal")
        net.run(3000)
        assert net.bytes_of(0) == b"".join(b"%03d" % number for number in range(200))


def test_each_stream_goes_on_at_its_own_time() -> None:
    """What was lost is sent again within as long as the cut lasted, and within the links' bound."""
    with Net("a", "b", settings=replace(PLAIN, retransmit_max_ns=300 * MS)) as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            streams = [await network.dial("b:1") for _ in range(10)]
            await trio.sleep(0.1)
            for stream in streams:
                await stream.send_all(b"x")

        net.start("a", client)
        net.run(60)
        apply(net.fabric, "partition", [["a"], ["b"]])
        net.run(1000)
        apply(net.fabric, "heal")
        healed = net.now_ms
        net.run(1000)
        waits = [heard.at_ms - healed for heard in net.heard if heard.what == b"x"]
        assert len(waits) == 10
        assert max(waits) <= 300
        assert max(waits) - min(waits) > 50


def test_who_has_waited_long_enough_gives_up() -> None:
    """Its peer hears of that when it sends; what was held back never comes, since nobody sends it again."""
    with Net("a", "b") as net:
        ends: list[str] = []
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            hasty, patient = [await network.dial("b:1") for _ in range(2)]
            hasty.give_up_after(3.0)
            await trio.sleep(0.1)
            await hasty.send_all(b"hasty")
            await patient.send_all(b"patient")
            try:
                await hasty.receive_some()
            except StreamReset as error:
                ends.append(f"{net.now_ms:.0f} {error}")
            await patient.send_all(b"!")

        net.start("a", client)
        net.run(60)
        apply(net.fabric, "partition", [["a"], ["b"]])
        net.run(2000)
        assert ends == []
        net.run(4000)
        assert ends == ["3105 b:1: the other machine took nothing for too long"]
        apply(net.fabric, "heal")
        net.run(7000)
        assert b"".join(heard.what for heard in net.heard if isinstance(heard.what, bytes)) == b"patient!"


def test_one_way_is_one_way() -> None:
    """b's bytes come though a's do not; b's window fills, since no word of a's reading comes back."""
    with Net("a", "b") as net:
        got: list[int] = []
        sent: list[int] = []

        async def server(network: SimNetwork) -> None:
            stream = await (await network.listen("b:1")).accept()
            while True:
                await stream.send_all(bytes(4096))
                sent.append(4096)
                await trio.sleep(0.01)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            while True:
                got.append(len(await stream.receive_some()))

        net.start("b", server)
        net.run(1)
        net.start("a", client)
        net.run(10)
        apply(net.fabric, "one_way", ["a"], ["b"])
        net.run(5000)
        window = LinkSettings().window_bytes
        assert window * 3 // 4 < sum(got) <= window
        assert sum(sent) <= window + LinkSettings().buffer_bytes
        apply(net.fabric, "heal")
        net.run(5000)
        assert sum(got) > 2 * window


def test_dialling_through_a_partition_fails_after_the_time_out() -> None:
    """It is not refused; and it succeeds if the partition heals in time."""
    with Net("a", "b", dial_timeout_ns=2 * S) as net:
        results: list[str] = []
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            for _ in range(2):
                try:
                    await network.dial("b:1")
                    results.append(f"open {net.now_ms > 3000}")
                except NetworkError as error:
                    results.append(f"{type(error).__name__} {net.now_ms:.0f}")

        apply(net.fabric, "partition", [["a"], ["b"]])
        net.start("a", client)
        net.run(3000)
        apply(net.fabric, "heal")
        net.run(2000)
        assert results == ["ConnectFailed 2001", "open True"]


def test_an_answer_that_is_lost_leaves_a_connection_that_nobody_uses() -> None:
    """The listener accepts at once what its dialer gives up later; it is reset after the heal."""
    with Net("a", "b", dial_timeout_ns=S) as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            with pytest.raises(ConnectFailed):
                await network.dial("b:1")

        apply(net.fabric, "one_way", ["b"], ["a"])
        net.start("a", client)
        net.run(3000)
        assert [heard.what for heard in net.heard] == ["open"]
        apply(net.fabric, "heal")
        net.run(3000)
        assert [heard.what for heard in net.heard] == ["open", "reset"]


def test_a_reset_through_a_partition_is_lost_for_ever() -> None:
    """It is sent once; the peer learns of it when it sends."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            await stream.send_all(b"before")
            await trio.sleep(0.1)
            await stream.send_all(b"lost")
            stream.abort()

        net.start("a", client)
        net.run(50)
        apply(net.fabric, "partition", [["a"], ["b"]])
        net.run(100)
        apply(net.fabric, "heal")
        net.run(5000)
        assert net.said == [(0, b"before")], "who aborted sends nothing again"


def test_a_swizzle_comes_and_goes() -> None:
    """A part of the hosts is cut off, one after the other, and all are back in another order."""
    orders: list[tuple[list[str], list[str]]] = []
    for seed in range(20):
        with Net(*FIVE, seed=seed) as net:
            apply(net.fabric, "swizzle", list(FIVE), 100 * MS, 500 * MS)
            net.run(1500)
            assert lost(net) == []
            cuts = {str(event.data[1]): str(event.data[2]) for event in net.events("partition")}
            begun = list(cuts.values())
            ended = [cuts[str(event.data[1])] for event in net.events("heal")]
            assert 1 <= len(begun) == len(ended) <= 5
            assert net.events("heal")[0].at_ns >= net.events("partition")[-1].at_ns + 400 * MS
            orders.append((begun, ended))
    assert len({len(begun) for begun, _ in orders}) > 2
    assert any(begun != ended for begun, ended in orders)


def test_heal_ends_a_swizzle() -> None:
    """Nobody is cut off later."""
    with Net(*FIVE, seed=3) as net:
        apply(net.fabric, "swizzle", list(FIVE), 100 * MS, 500 * MS)
        net.run(50)
        apply(net.fabric, "heal")
        assert lost(net) == []
        before = net.fabric.counts["partition"]
        net.run(3000)
        assert net.fabric.counts["partition"] == before


def test_calm_is_for_ever() -> None:
    """Between those nothing goes wrong any more, whatever is asked; to others it does."""
    with Net(*FIVE, settings=LinkSettings(dial_loss_share=1.0, reset_share=0.5)) as net:
        apply(net.fabric, "isolate", "n1")
        apply(net.fabric, "clog", "n1", "n2", 100 * S)
        apply(net.fabric, "calm", ["n1", "n2"])
        apply(net.fabric, "isolate", "n2")
        apply(net.fabric, "clog", "n2", "n1", 100 * S)
        apply(net.fabric, "degrade", "*", "*", {"dial_loss_share": 1.0})
        assert sorted(set(lost(net)) & {"1>2", "2>1", "1>3", "3>2"}) == ["1>3", "3>2"]
        net.listen("n2")
        net.run(1)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("n2:1")
            for _ in range(100):
                await stream.send_all(b"x")
                await trio.sleep(0.001)

        net.start("n1", client)
        net.run(1000)
        assert net.bytes_of(0) == b"x" * 100


def test_dials_are_lost_by_chance() -> None:
    """Nobody answers, and the time-out ends it."""
    with Net("a", "b", settings=LinkSettings(dial_loss_share=0.5), dial_timeout_ns=S) as net:
        net.listen()
        net.run(1)
        failed: list[str] = []

        async def client(network: SimNetwork) -> None:
            for _ in range(40):
                try:
                    (await network.dial("b:1")).abort()
                except ConnectFailed as error:
                    failed.append(str(error))

        net.start("a", client)
        net.run(60_000)
        assert net.ended == ["a"]
        assert len(failed) == net.fabric.counts["dial-lost"]
        assert 10 <= len(failed) <= 30


@pytest.mark.parametrize(("name", "told"), [("reset", ["a", "b"]), ("half_open", ["a"])])
def test_streams_are_broken_on_demand(name: str, told: list[str]) -> None:
    """At both ends, or at one: the other one hears of it when it sends."""
    with Net("a", "b", "c") as net:
        heard: list[str] = []
        say = trio.Event()

        async def hear(network: SimNetwork) -> None:
            own = network.name
            if own == "b":
                stream = await (await network.listen("b:1")).accept()
            else:
                stream = await network.dial("b:1")

            async def send() -> None:
                await say.wait()
                await stream.send_all(b"x")

            async with trio.open_nursery() as nursery:
                if own == "b":
                    nursery.start_soon(send)
                try:
                    await stream.receive_some()
                except StreamReset:
                    heard.append(own)

        net.start("b", hear)
        net.run(1)
        net.start("a", hear)
        net.run(10)
        apply(net.fabric, name, "c", "b")
        net.run(10)
        assert heard == []
        apply(net.fabric, name, *(["a", "*"] if name == "half_open" else ["*", "*"]))
        net.run(1000)
        assert net.fabric.counts[name.replace("_", "-")] == 1
        assert sorted(heard) == told
        if name == "half_open":
            net.world.hosts["b"].enter(say.set)
            net.run(10)
            assert heard == ["a", "b"]
