"""What ``env.Network``, ``env.Listener`` and ``env.Stream`` promise."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from haqactor.env import (
    AddressInUse,
    ConnectFailed,
    ConnectRefused,
    Listener,
    NetworkError,
    Stream,
    StreamReset,
)
from tests.conformance.world import World, conforms

MORE_THAN_BUFFERS_HOLD = bytes(64 << 20)


@asynccontextmanager
async def pair(world: World) -> AsyncGenerator[tuple[Stream, Stream], None]:
    """A stream as the dialer and as the listener has it."""
    listener = await world.env.network.listen(f"{world.host}:0")
    dialed = await world.other.network.dial(listener.address)
    accepted = await listener.accept()
    try:
        yield dialed, accepted
    finally:
        dialed.abort()
        accepted.abort()
        with trio.CancelScope(shield=True):
            await listener.aclose()


async def read_to_end(stream: Stream) -> bytes:
    """All bytes until the peer's orderly close."""
    parts: list[bytes] = []
    while part := await stream.receive_some():
        parts.append(part)
    return b"".join(parts)


async def read(stream: Stream, size: int) -> bytes:
    """So many bytes; they may come in any pieces."""
    got = b""
    while len(got) < size:
        part = await stream.receive_some(size - len(got))
        assert part, "the peer closed early"
        got += part
    return got


async def send_for_ever(stream: Stream) -> None:
    """A little, again and again."""
    while True:
        await stream.send_all(b"anybody there?")
        await trio.sleep(0.001)


def pattern(size: int) -> bytes:
    """Bytes in which a swapped or a lost piece shows."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4))


@conforms
async def test_port_0_gives_a_real_port(world: World) -> None:
    """``address`` can be dialled; two such listeners differ."""
    one = await world.env.network.listen(f"{world.host}:0")
    two = await world.env.network.listen(f"{world.host}:0")
    assert one.address != two.address
    host, _, port = one.address.rpartition(":")
    assert host == world.host
    assert int(port) > 0
    stream = await world.other.network.dial(one.address)
    assert stream.remote
    accepted = await one.accept()
    assert accepted.remote
    stream.abort()
    accepted.abort()
    await one.aclose()
    await two.aclose()


@conforms
async def test_bytes_arrive_in_order_both_ways(world: World) -> None:
    """Any kind of buffer; no boundary is kept, none is invented."""
    async with pair(world) as (a, b):
        await a.send_all(b"one")
        await a.send_all(bytearray(b"two"))
        await a.send_all(memoryview(b"-three-")[1:-1])
        await a.send_all(b"")
        await b.send_all(b"back")
        await a.aclose()
        assert await read_to_end(b) == b"onetwothree"


@conforms
async def test_receive_gives_at_most_max_bytes_and_at_least_one(world: World) -> None:
    """A small reader gets all of it in small pieces."""
    async with pair(world) as (a, b):
        await a.send_all(pattern(1000))
        got = b""
        while len(got) < 1000:
            part = await b.receive_some(7)
            assert 1 <= len(part) <= 7
            got += part
        assert got == pattern(1000)


@conforms
async def test_several_mebibytes_to_a_slow_reader(world: World) -> None:
    """All of it arrives, though the reader rests between reads."""
    data = pattern(3 << 20)
    async with pair(world) as (a, b), trio.open_nursery() as nursery:

        async def send() -> None:
            await a.send_all(data)
            await a.aclose()

        nursery.start_soon(send)
        got = bytearray()
        while part := await b.receive_some(65_536):
            got += part
            await trio.sleep(0.001)
        assert got == data


@conforms
async def test_both_directions_at_once(world: World) -> None:
    """One sender task and one receiver task at each end do not disturb each other."""
    data = pattern(2 << 20)
    got: dict[str, bytes] = {}

    async def receive(name: str, stream: Stream) -> None:
        parts = bytearray()
        while len(parts) < len(data):
            parts += await stream.receive_some()
        got[name] = bytes(parts)

    async with pair(world) as (a, b):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.send_all, data)
            nursery.start_soon(b.send_all, data)
            nursery.start_soon(receive, "a", a)
            nursery.start_soon(receive, "b", b)
    assert got["a"] == got["b"] == data


@conforms
async def test_small_writes_leave_at_once(world: World) -> None:
    """Write, write, read is the pattern that Nagle's delay makes 40 ms a round."""
    async with pair(world) as (a, b), trio.open_nursery() as nursery:

        async def echo() -> None:
            for _ in range(20):
                got = b""
                while len(got) < 2:
                    got += await b.receive_some()
                await b.send_all(got)

        nursery.start_soon(echo)
        start = trio.current_time()
        for _ in range(20):
            await a.send_all(b"x")
            await trio.lowlevel.checkpoint()
            await a.send_all(b"y")
            got = b""
            while len(got) < 2:
                got += await a.receive_some()
        assert trio.current_time() - start < 0.5


@conforms
async def test_orderly_close_is_an_empty_read_after_all_bytes(world: World) -> None:
    """And it stays one."""
    async with pair(world) as (a, b):
        await a.send_all(b"last words")
        await a.aclose()
        assert await read_to_end(b) == b"last words"
        assert await b.receive_some() == b""


@conforms
async def test_orderly_close_sends_what_was_handed_over_though_not_all_was_read(world: World) -> None:
    """Bytes that this end never read must not cost the peer ours."""
    data = pattern(128 << 10)
    async with pair(world) as (a, b):
        await b.send_all(b"never read")
        await trio.sleep(0.02)
        await a.send_all(data)
        await a.aclose()
        assert await read_to_end(b) == data


@conforms
async def test_abort_is_a_reset_at_the_peer(world: World) -> None:
    """Never an orderly end."""
    async with pair(world) as (a, b):
        a.abort()
        with pytest.raises(StreamReset):
            await read_to_end(b)


@conforms
async def test_abort_wakes_whoever_waits_at_this_end(world: World) -> None:
    """The receiver and the sender both get StreamReset."""
    ended: list[str] = []

    async with pair(world) as (a, _b):

        async def receive() -> None:
            with pytest.raises(StreamReset):
                await a.receive_some()
            ended.append("receiver")

        async def send() -> None:
            with pytest.raises(StreamReset):
                await a.send_all(MORE_THAN_BUFFERS_HOLD)
            ended.append("sender")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            nursery.start_soon(send)
            await trio.sleep(0.05)
            assert ended == []
            a.abort()
    assert sorted(ended) == ["receiver", "sender"]


@conforms
async def test_sending_to_a_peer_that_went_is_a_reset(world: World) -> None:
    """At the latest when the kernel has heard of it."""
    async with pair(world) as (a, b):
        b.abort()
        with pytest.raises(StreamReset):
            await send_for_ever(a)


@conforms
async def test_a_closed_or_aborted_end_is_of_no_more_use(world: World) -> None:
    """Sending and receiving raise StreamReset."""
    async with pair(world) as (a, b):
        await a.aclose()
        b.abort()
        for stream in (a, b):
            with pytest.raises(StreamReset):
                await stream.send_all(b"x")
            with pytest.raises(StreamReset):
                await stream.receive_some()


@conforms
async def test_closing_never_raises(world: World) -> None:
    """Twice, after an abort, or after the peer went."""
    async with pair(world) as (a, b):
        b.abort()
        await trio.sleep(0.02)
        await a.aclose()
        await a.aclose()
        a.abort()
        await b.aclose()
        b.abort()


@conforms
async def test_sending_blocks_while_the_peer_does_not_read_and_can_be_cancelled(world: World) -> None:
    """A cancelled send may have sent a part; the abort that must follow shows as a reset at the peer."""
    async with pair(world) as (a, b):
        with trio.move_on_after(0.1) as scope:
            await a.send_all(MORE_THAN_BUFFERS_HOLD)
        assert scope.cancelled_caught
        a.abort()
        with pytest.raises(StreamReset):
            await read_to_end(b)


@conforms
async def test_sending_at_once_takes_what_there_is_room_for(world: World) -> None:
    """In order with what ``send_all`` sends; when the peer does not read, less and then nothing."""
    async with pair(world) as (a, b):
        assert a.send_now(b"one") == 3
        await a.send_all(b"two")
        assert a.send_now(memoryview(b"three")) == 5
        got = b""
        while len(got) < 11:
            got += await b.receive_some()
        assert got == b"onetwothree"
        data = pattern(1 << 20)
        sent = part = len(data)
        want = b""
        while part:
            part = a.send_now(data)
            want += data[:part]
            sent += part
            assert sent < len(MORE_THAN_BUFFERS_HOLD)
        got = b""
        while len(got) < len(want):
            got += await b.receive_some()
        assert got == want


@conforms
async def test_nothing_is_sent_at_once_beside_another_send_or_after_the_end(world: World) -> None:
    """It would land in the middle of the other's bytes; and it never raises."""
    async with pair(world) as (a, b):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.send_all, MORE_THAN_BUFFERS_HOLD)
            await trio.sleep(0.05)
            assert a.send_now(b"x") == 0
            nursery.cancel_scope.cancel()
        assert a.send_now(b"x") == 0, "nobody knows how much of the cancelled one is out"
        await b.aclose()
        assert b.send_now(b"x") == 0
        a.abort()
        assert a.send_now(b"x") == 0


@conforms
async def test_a_cancelled_receive_loses_nothing(world: World) -> None:
    """The bytes come with the next one."""
    async with pair(world) as (a, b):
        with trio.move_on_after(0.02) as scope:
            await b.receive_some()
        assert scope.cancelled_caught
        await a.send_all(b"late")
        assert await read(b, 4) == b"late"


@conforms
async def test_nobody_there_is_refused(world: World) -> None:
    """The proof of a death on which failure detection acts."""
    with pytest.raises(ConnectRefused):
        await world.other.network.dial(world.nobody)


@conforms
async def test_refused_after_the_listener_closed(world: World) -> None:
    """And its address can be used again at once, though connections to it ended just now."""
    listener = await world.env.network.listen(f"{world.host}:0")
    stream = await world.other.network.dial(listener.address)
    accepted = await listener.accept()
    await accepted.aclose()
    await stream.aclose()
    await listener.aclose()
    with pytest.raises(ConnectRefused):
        await world.other.network.dial(listener.address)
    again = await world.env.network.listen(listener.address)
    assert again.address == listener.address
    await again.aclose()


@conforms
async def test_an_address_is_used_once(world: World) -> None:
    """The error names it."""
    listener = await world.env.network.listen(f"{world.host}:0")
    with pytest.raises(AddressInUse, match=listener.address):
        await world.env.network.listen(listener.address)
    await listener.aclose()


@conforms
async def test_what_is_no_address_fails_and_is_not_refused(world: World) -> None:
    """Neither for dialling nor for listening."""
    for address in ("", "nowhere", "a:b:c", "host:port", "host:70000"):
        with pytest.raises(ConnectFailed):
            await world.env.network.dial(address)
        with pytest.raises(ConnectFailed):
            await world.env.network.listen(address)


@conforms
async def test_many_connections_queue_for_a_slow_listener(world: World) -> None:
    """Each dialer is connected before it is accepted, and none is lost."""
    listener = await world.env.network.listen(f"{world.host}:0")
    dialed = [await world.other.network.dial(listener.address) for _ in range(50)]
    for number, stream in enumerate(dialed):
        await stream.send_all(number.to_bytes(1, "big"))
        await stream.aclose()
    heard: list[bytes] = []
    for _ in dialed:
        accepted = await listener.accept()
        heard.append(await read_to_end(accepted))
        await accepted.aclose()
    assert sorted(heard) == [number.to_bytes(1, "big") for number in range(50)]
    await listener.aclose()


@conforms
async def test_closing_the_listener_spares_its_streams(world: World) -> None:
    """And ends the accept that waits."""
    async with pair(world) as (a, b):
        listener = await world.env.network.listen(f"{world.host}:0")
        ended = trio.Event()

        async def accept(listener: Listener) -> None:
            with pytest.raises(NetworkError):
                await listener.accept()
            ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, listener)
            await trio.sleep(0.02)
            await listener.aclose()
            await ended.wait()
        await a.send_all(b"still here")
        assert await read(b, 10) == b"still here"


@conforms
async def test_a_cancelled_accept_loses_no_connection(world: World) -> None:
    """The next one gets it."""
    listener = await world.env.network.listen(f"{world.host}:0")
    with trio.move_on_after(0.02) as scope:
        await listener.accept()
    assert scope.cancelled_caught
    stream = await world.other.network.dial(listener.address)
    await stream.send_all(b"hello")
    accepted = await listener.accept()
    assert await read(accepted, 5) == b"hello"
    stream.abort()
    accepted.abort()
    await listener.aclose()
