"""What a datagram port keeps and loses: full, paused, crashed and started again."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from haqactor.env import ConnectFailed, StreamReset
from haqactor.sim.network import SimNetwork
from haqactor.sim.network.datagrams import WAITING_BYTES_MAX, WAITING_MAX
from tests.unit.sim.network.net import MS, Net

Program = Callable[[SimNetwork], Awaitable[None]]


def reader(net: Net) -> Program:
    """Writes down all that comes to its port 1."""

    async def main(network: SimNetwork) -> None:
        port = await network.datagrams(":1")
        while True:
            data, _sender = await port.receive()
            net.put(0, data)

    return main


def idler(go_on: trio.Event, net: Net) -> Program:
    """Opens port 1, and reads it from ``go_on`` on."""

    async def main(network: SimNetwork) -> None:
        port = await network.datagrams(":1")
        await go_on.wait()
        while True:
            data, _sender = await port.receive()
            net.put(0, data)

    return main


def writer(*packets: bytes, gap_ms: float = 0, to: str = "b:1") -> Program:
    """Sends those, and ends."""

    async def main(network: SimNetwork) -> None:
        port = await network.datagrams(":2")
        for data in packets:
            await port.send(data, to)
            if gap_ms:
                await trio.sleep(gap_ms / 1000)

    return main


def numbers(count: int) -> list[bytes]:
    """So many packets."""
    return [number.to_bytes(2, "big") for number in range(count)]


def said(net: Net) -> list[bytes | str]:
    """What was heard."""
    return [heard.what for heard in net.heard]


def dropped(net: Net) -> list[object]:
    """Why packets were."""
    return [event.data[-1] for event in net.events("drop")]


def test_a_port_keeps_so_many_packets() -> None:
    """The first ones; what is lost for want of room is no fault of the network."""
    with Net("a", "b") as net:
        go_on = trio.Event()
        net.start("b", idler(go_on, net))
        net.run(1)
        net.start("a", writer(*numbers(WAITING_MAX + 6)))
        net.run(10)
        assert dropped(net) == ["full"] * 6
        assert net.fabric.counts == {}
        net.world.hosts["b"].enter(go_on.set)
        net.run(1)
        assert said(net) == numbers(WAITING_MAX)


def test_a_port_keeps_so_many_bytes() -> None:
    """Of large packets fewer, and one in any case; reading makes room."""
    with Net("a", "b") as net:
        go_on = trio.Event()
        net.start("b", idler(go_on, net))
        net.run(1)
        large = [bytes(60_000)] * 5
        net.start("a", writer(*large))
        net.run(10)
        kept = WAITING_BYTES_MAX // 60_000
        assert dropped(net) == ["full"] * (5 - kept)
        net.world.hosts["b"].enter(go_on.set)
        net.run(1)
        assert said(net) == large[:kept]
        net.world.hosts["a"].crash()
        net.start("a", writer(*large[:kept]))
        net.run(10)
        assert said(net) == large[:kept] * 2


def test_what_comes_to_a_paused_host_waits_there() -> None:
    """Up to the same bound, and comes when it goes on."""
    with Net("a", "b") as net:
        net.start("b", reader(net))
        net.run(1)
        net.world.hosts["b"].pause()
        net.start("a", writer(*numbers(WAITING_MAX + 6), gap_ms=0.1))
        net.run(100)
        assert net.heard == []
        assert dropped(net) == ["full"] * 6
        net.world.hosts["b"].resume()
        net.run(1)
        assert said(net) == numbers(WAITING_MAX)


def test_a_restart_loses_what_waited() -> None:
    """The next incarnation hears what comes to it."""
    with Net("a", "b") as net:
        net.start("b", reader(net))
        net.run(1)
        net.world.hosts["b"].pause()
        net.start("a", writer(b"before"))
        net.run(10)
        net.world.hosts["b"].crash()
        net.start("b", reader(net))
        net.run(10)
        assert net.heard == []
        net.world.hosts["a"].crash()
        net.start("a", writer(b"after"))
        net.run(10)
        assert said(net) == [b"after"]


def test_what_is_sent_to_a_dead_host_vanishes() -> None:
    """Nobody is told; what is under way when it is back is heard, for there is no connection to break."""
    with Net("a", "b") as net:
        net.start("b", reader(net))
        net.run(1)
        net.start("a", writer(*numbers(10), gap_ms=10))
        net.world.call_at(25 * MS, net.world.hosts["b"].crash)
        net.world.call_at(61_500_000, lambda: net.start("b", reader(net)))
        net.run(200)
        assert said(net) == [numbers(10)[place] for place in (0, 1, 2, 6, 7, 8, 9)]
        assert dropped(net) == ["nobody"] * 3
        assert net.fabric.counts == {}
        assert net.ended == ["a"]


@pytest.mark.parametrize("to", ["b:7", "c:1", "nobody:1", "b", "b:0"])
def test_nobody_there_is_silence(to: str) -> None:
    """A port that is not open, a host that is off, a name that is none, and what is no address."""
    with Net("a", "b", "c") as net:
        net.start("b", reader(net))
        net.run(1)
        net.start("a", writer(b"x", b"y", to=to))
        net.run(1000)
        assert net.heard == []
        assert net.ended == ["a"]
        assert net.fabric.counts == {}
        assert set(dropped(net)) <= {"nobody"}
        assert "nobody" not in [target for _source, target in net.fabric.links], "names do not pile up"


def test_the_sender_is_its_machine() -> None:
    """Whatever its port was opened as; an address of the loopback stays on the machine."""
    with Net("a", "b") as net:

        async def main(network: SimNetwork) -> None:
            port = await network.datagrams("0.0.0.0:1")
            while True:
                data, sender = await port.receive()
                net.put(0, f"{data.decode()} from {sender}")

        net.start("b", main)
        net.run(1)

        async def sends(network: SimNetwork) -> None:
            port = await network.datagrams("localhost:0")
            assert port.address.startswith("localhost:")
            number = port.address.partition(":")[2]
            await port.send(b"x", "b:1")
            await port.send(b"y", "[::1]:1")
            net.put(1, f"x from a:{number}")

        net.start("a", sends)
        net.run(10)
        wanted, heard = said(net)
        assert heard == wanted


def test_a_machine_opens_its_own_addresses_only() -> None:
    """As for listening."""
    with Net("a", "b") as net:

        async def main(network: SimNetwork) -> None:
            with pytest.raises(ConnectFailed, match="no address of a"):
                await network.datagrams("b:1")

        net.start("a", main)
        net.run(1)
        assert net.ended == ["a"]


def test_a_dead_program_cannot_send() -> None:
    """Whoever waits there when the world ends is told that the port is closed; what it then sends goes
    nowhere."""
    told: list[str] = []
    with Net("a", "b") as net:
        net.start("b", reader(net))

        async def main(network: SimNetwork) -> None:
            port = await network.datagrams(":1")
            with trio.CancelScope(shield=True):
                with pytest.raises(StreamReset):
                    await port.receive()
                told.append("reset")
                with pytest.raises(StreamReset):
                    await port.send(b"a ghost", "b:1")
                told.append("silent")

        net.run(1)
        net.start("a", main)
        net.run(1)
        net.world.hosts["a"].crash()
        net.run(100)
        assert told == []
    assert told == ["reset", "silent"]
    assert net.heard == []
