"""What ``env.Datagrams`` promises, where nothing is lost."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from haqactor.env import DATAGRAM_BYTES_MAX, AddressInUse, ConnectFailed, Datagrams, StreamReset
from tests.conformance.world import World, conforms


@asynccontextmanager
async def pair(world: World) -> AsyncGenerator[tuple[Datagrams, Datagrams], None]:
    """A port on each of the two hosts."""
    here = await world.env.network.datagrams(f"{world.host}:0")
    there = await world.other.network.datagrams(f"{world.other_host}:0")
    try:
        yield here, there
    finally:
        with trio.CancelScope(shield=True):
            await here.aclose()
            await there.aclose()


async def hears_nothing(port: Datagrams) -> None:
    """For a moment."""
    with trio.move_on_after(0.05) as scope:
        await port.receive()
    assert scope.cancelled_caught


@conforms
async def test_a_packet_comes_and_its_sender_can_be_answered(world: World) -> None:
    """Any kind of buffer; the real port is in both addresses."""
    async with pair(world) as (here, there):
        assert int(here.address.rpartition(":")[2]) > 0
        for data in (b"ping", bytearray(b"ping"), memoryview(b"-ping-")[1:-1]):
            await there.send(data, here.address)
            got, sender = await here.receive()
            assert type(got) is bytes
            assert got == b"ping"
            assert sender == there.address
            await here.send(b"pong", sender)
            assert await there.receive() == (b"pong", here.address)


@conforms
async def test_packets_are_never_joined_or_cut(world: World) -> None:
    """Of any size, none included."""
    async with pair(world) as (here, there):
        for size in (0, 1, 1400, DATAGRAM_BYTES_MAX):
            data = bytes(number % 251 for number in range(size))
            await there.send(data, here.address)
            assert (await here.receive())[0] == data
        sent = [bytes([number]) * (number + 1) for number in range(20)]
        for data in sent:
            await there.send(data, here.address)
        assert sorted([(await here.receive())[0] for _ in sent]) == sent


@conforms
async def test_what_is_too_large_is_refused(world: World) -> None:
    """And the port goes on."""
    async with pair(world) as (here, there):
        with pytest.raises(ValueError, match=str(DATAGRAM_BYTES_MAX)):
            await there.send(bytes(DATAGRAM_BYTES_MAX + 1), here.address)
        await there.send(b"small", here.address)
        assert (await here.receive())[0] == b"small"


@conforms
async def test_nobody_there_is_silence(world: World) -> None:
    """No error comes back, neither at once nor later; nor for what is no address."""
    async with pair(world) as (here, there):
        closed = await world.env.network.datagrams(f"{world.host}:0")
        await closed.aclose()
        for to in (
            closed.address,
            world.nobody,
            "nobody.invalid:7",
            "nowhere",
            f"{world.host}:0",
            "[fe80::1]:9",
        ):
            for _ in range(3):
                await there.send(b"anybody?", to)
                await here.send(b"anybody?", to)
        await hears_nothing(there)
        await there.send(b"ping", here.address)
        assert (await here.receive())[0] == b"ping"


@conforms
async def test_an_address_is_used_once(world: World) -> None:
    """The error names it; a closed one can be had again, and a listener for streams does not mind."""
    port = await world.env.network.datagrams(f"{world.host}:0")
    with pytest.raises(AddressInUse, match=port.address):
        await world.env.network.datagrams(port.address)
    listener = await world.env.network.listen(port.address)
    await listener.aclose()
    await port.aclose()
    again = await world.env.network.datagrams(port.address)
    assert again.address == port.address
    await again.aclose()


@conforms
async def test_what_is_no_address_cannot_be_opened(world: World) -> None:
    """As for listening."""
    for address in ("", "nowhere", "a:b:c", "host:port", "host:70000"):
        with pytest.raises(ConnectFailed):
            await world.env.network.datagrams(address)


@conforms
async def test_closing_ends_whoever_waits(world: World) -> None:
    """And whatever is asked of the port later; closing twice is closing."""
    async with pair(world) as (here, there):
        ended = trio.Event()

        async def receive() -> None:
            with pytest.raises(StreamReset):
                await here.receive()
            ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.sleep(0.02)
            await here.aclose()
            await ended.wait()
        await here.aclose()
        with pytest.raises(StreamReset):
            await here.receive()
        with pytest.raises(StreamReset):
            await here.send(b"x", there.address)
        await there.send(b"x", here.address)


@conforms
async def test_two_ports_do_not_hear_each_other(world: World) -> None:
    """Nor does a port hear what it sends itself."""
    async with pair(world) as (here, there):
        other = await world.env.network.datagrams(f"{world.host}:0")
        await there.send(b"for one", here.address)
        await hears_nothing(other)
        await hears_nothing(there)
        assert (await here.receive())[0] == b"for one"
        await other.aclose()


@conforms
async def test_a_port_can_send_to_itself(world: World) -> None:
    """As to any other."""
    async with pair(world) as (here, _there):
        await here.send(b"me", here.address)
        assert await here.receive() == (b"me", here.address)


@conforms
async def test_a_cancelled_receive_loses_nothing(world: World) -> None:
    """The packet comes with the next one, also if the cancellation came at the same moment."""
    async with pair(world) as (here, there):
        await hears_nothing(here)
        for number in range(20):
            await there.send(bytes([number]), here.address)
            got: list[bytes] = []
            with trio.move_on_after(0.0001 * number):
                got.append((await here.receive())[0])
            if not got:
                got.append((await here.receive())[0])
            assert got == [bytes([number])]


@conforms
async def test_many_tasks_may_send(world: World) -> None:
    """Each packet comes whole."""
    async with pair(world) as (here, there):
        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(there.send, bytes([number]) * 100, here.address)
        got = sorted([(await here.receive())[0] for _ in range(30)])
        assert got == [bytes([number]) * 100 for number in range(30)]


@conforms
async def test_sending_and_receiving_are_checkpoints(world: World) -> None:
    """A loop over either lets others run, and can be cancelled."""
    async with pair(world) as (here, there):
        await there.send(b"x", here.address)
        with trio.CancelScope() as scope:
            scope.cancel()
            await there.send(b"y", here.address)
        assert scope.cancelled_caught
        with trio.CancelScope() as scope:
            scope.cancel()
            await here.receive()
        assert scope.cancelled_caught
        assert (await here.receive())[0] == b"x"
        await hears_nothing(here)
