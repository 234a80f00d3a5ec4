"""Delay, bandwidth, clogs, and that each link draws for itself."""

from dataclasses import replace

import pytest
import trio

from haqactor.sim.network import LinkSettings, SimNetwork
from haqactor.sim.network.partitions import apply
from tests.unit.sim.network.net import MS, PLAIN, Net, pattern, read


async def say(network: SimNetwork, *words: bytes, to: str = "b:1", gap_s: float = 0.0) -> None:
    """Dial, and send one word after the other."""
    stream = await network.dial(to)
    for word in words:
        await stream.send_all(word)
        await trio.sleep(gap_s)


def test_each_way_takes_its_time() -> None:
    """A dial one way and back; what is sent then, one way."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            await say(network, b"hello")

        net.start("a", client)
        net.run(10)
        assert [(heard.at_ms, heard.what) for heard in net.heard] == [(2.0, "open"), (4.0, b"hello")]


def test_small_bandwidth_takes_long() -> None:
    """A thousand bytes a millisecond: the streams of a link share it."""
    with Net("a", "b", settings=replace(PLAIN, bandwidth=1_000_000, window_bytes=1 << 20)) as net:
        net.listen()

        async def client(network: SimNetwork) -> None:
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(say, network, bytes(20_000))

        net.run(1)
        net.start("a", client)
        net.run(100)
        times = [heard.at_ms for heard in net.heard if isinstance(heard.what, bytes)]
        assert times[0] == pytest.approx(1 + 3 + 20)
        assert times[-1] == pytest.approx(1 + 3 + 40)


def test_a_clog_holds_back_and_loses_nothing() -> None:
    """What was under way and what is sent meanwhile comes at its end, in order."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            await say(network, b"1", b"2", b"3", gap_s=0.002)

        net.start("a", client)
        net.world.call_at(4 * MS - MS // 2, lambda: apply(net.fabric, "clog", "a", "b", 20 * MS))
        net.run(100)
        assert net.bytes_of(0) == b"123"
        assert {heard.at_ms for heard in net.heard if isinstance(heard.what, bytes)} == {23.5}
        assert net.fabric.counts["clog"] == 1


def test_a_clog_can_be_lifted() -> None:
    """At once."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            await say(network, b"1")

        net.start("a", client)
        apply(net.fabric, "clog", "a", "b", 1000 * MS)
        net.run(20)
        assert not net.heard
        apply(net.fabric, "unclog")
        net.run(5)
        assert net.bytes_of(0) == b"1"


def test_clogs_come_by_chance() -> None:
    """As often as the settings say, and nothing is lost."""
    settings = LinkSettings(clog_share=0.2, clog_mean_ns=50 * MS)
    with Net("a", "b", settings=settings) as net:
        net.listen()
        net.run(1)
        data = pattern(400)

        async def client(network: SimNetwork) -> None:
            await say(network, *[data[at : at + 4] for at in range(0, 400, 4)], gap_s=0.001)

        net.start("a", client)
        net.run(10_000)
        assert net.bytes_of(0) == data
        assert 10 <= net.fabric.counts["clog"] <= 35


def test_a_link_draws_for_itself() -> None:
    """Traffic elsewhere changes no time on it."""

    def times(noise: bool) -> list[tuple[float, bytes | str]]:
        with Net("a", "b", "c", seed=7, settings=LinkSettings()) as net:
            net.listen()
            net.run(1)

            async def client(network: SimNetwork) -> None:
                await say(network, *(b"%d" % number for number in range(20)), gap_s=0.01)

            async def other(network: SimNetwork) -> None:
                listener = await network.listen("c:1")
                stream = await network.dial("c:1")
                await (await listener.accept()).send_all(bytes(1000))
                assert await read(stream, 1000)

            net.start("a", client)
            if noise:
                net.start("c", other)
            net.run(1000)
            return [(heard.at_ms, heard.what) for heard in net.heard]

    assert len(times(noise=False)) > 20
    assert times(noise=False) == times(noise=True)


def test_settings_change_for_links_to_come_too() -> None:
    """ "*" stands for all; a name that is no setting is told."""
    with Net("a", "b") as net:
        apply(net.fabric, "degrade", "*", "b", {"delay_min_ns": 50 * MS})
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            await say(network, b"x")

        net.start("a", client)
        net.run(49)
        apply(net.fabric, "degrade", "a", "b", {"delay_min_ns": 5 * MS})
        net.run(100)
        assert [(heard.at_ms, heard.what) for heard in net.heard] == [(51.0, "open"), (57.0, b"x")]
        with pytest.raises(ValueError, match="bandwith"):
            apply(net.fabric, "degrade", "a", "b", {"bandwith": 5})


def test_a_machine_reaches_itself() -> None:
    """By its name and by the names of the loopback; no partition comes between."""
    with Net("a") as net:

        async def client(network: SimNetwork) -> None:
            for asked in ("a:5", "127.0.0.1:6", "localhost:7", "[::1]:8", "0.0.0.0:9"):
                listener = await network.listen(asked)
                assert listener.address == asked
                stream = await network.dial(f"a:{asked[-1]}")
                await stream.send_all(b"me")
                accepted = await listener.accept()
                assert await read(accepted, 2) == b"me"
                stream.abort()
                accepted.abort()
                await listener.aclose()

        apply(net.fabric, "isolate", "a")
        net.start("a", client)
        net.run(100)
        assert net.ended == ["a"]
