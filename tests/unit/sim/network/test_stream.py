"""Streams: order, back-pressure, pieces, and how they end."""

from dataclasses import replace

import pytest
import trio

from haqactor.env import Stream, StreamReset
from haqactor.sim.network import LinkSettings, SimNetwork
from haqactor.sim.network.flow import SEGMENT_BYTES
from haqactor.sim.network.partitions import apply
from tests.unit.sim.network.net import MS, PLAIN, Net, pattern, read

SMALL = replace(PLAIN, window_bytes=1000, buffer_bytes=500)
ROUGH = LinkSettings(
    delay_mean_ns=5 * MS,
    bandwidth=2_000_000,
    window_bytes=700,
    buffer_bytes=300,
    split_share=0.5,
    chop_share=0.5,
)


async def accept(network: SimNetwork) -> Stream:
    """The first who connects to port 1."""
    return await (await network.listen(f"{network.name}:1")).accept()


@pytest.mark.parametrize("seed", range(10))
def test_all_bytes_come_in_order_however_they_travel(seed: int) -> None:
    """Small window, uneven delays, torn apart at both ends."""
    with Net("a", "b", seed=seed, settings=ROUGH) as net:
        net.listen()
        net.run(1)
        data = pattern(20_000)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            at = 0
            while at < len(data):
                await stream.send_all(data[at : at + 1 + at % 997])
                at += 1 + at % 997
            await stream.aclose()

        net.start("a", client)
        net.run(60_000)
        assert net.bytes_of(0) == data
        assert net.said[-1] == (0, "end")
        sizes = {len(what) for _, what in net.said if isinstance(what, bytes)}
        assert len(sizes) > 20, "the pieces are of many sizes"


def test_many_streams_overtake_each_other_but_not_themselves() -> None:
    """Each keeps its own order; across streams there is none."""
    with Net("a", "b", settings=LinkSettings(delay_mean_ns=20 * MS)) as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            streams = [await network.dial("b:1") for _ in range(5)]
            for number in range(50):
                for stream in streams:
                    await stream.send_all(b"%02d" % number)
                await trio.sleep(0.001)

        net.start("a", client)
        net.run(5000)
        want = b"".join(b"%02d" % number for number in range(50))
        assert [net.bytes_of(number) for number in range(5)] == [want] * 5
        order = [heard.stream for heard in net.heard if isinstance(heard.what, bytes)]
        assert order != sorted(order)


def test_sending_blocks_when_nobody_reads() -> None:
    """Window and buffer are taken, and not a byte more; each read lets as much follow."""
    with Net("a", "b", settings=SMALL) as net:
        taken: list[int] = []
        read_on = trio.Event()

        async def server(network: SimNetwork) -> None:
            stream = await accept(network)
            await read_on.wait()
            assert await read(stream, 500) == pattern(10_000)[:500]

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            data = pattern(10_000)
            for at in range(0, 10_000, 100):
                await stream.send_all(data[at : at + 100])
                taken.append(at)

        net.start("b", server)
        net.run(1)
        net.start("a", client)
        net.run(1000)
        assert len(taken) == 15
        net.world.hosts["b"].enter(read_on.set)
        net.run(1000)
        assert len(taken) == 20


def test_one_large_send_waits_for_its_last_byte() -> None:
    """It ends when all of it is taken, and all of it comes."""
    with Net("a", "b", settings=SMALL) as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            await stream.send_all(pattern(50_000))
            assert trio.current_time() > 0.05, "a window a round trip"
            await stream.aclose()

        net.start("a", client)
        net.run(3000)
        assert net.ended == ["a"]
        assert net.bytes_of(0) == pattern(50_000)
        assert net.said[-1] == (0, "end")


def test_sending_at_once_takes_what_there_is_room_for() -> None:
    """Window and buffer; nothing then, and nothing beside a send or after its cancellation."""
    with Net("a", "b", settings=SMALL) as net:

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            assert stream.send_now(bytes(900)) == 900
            assert stream.send_now(memoryview(bytes(900))) == 600
            assert stream.send_now(b"x") == 0
            with trio.move_on_after(0.05) as scope:
                await stream.send_all(b"x")
            assert scope.cancelled_caught
            with pytest.raises(StreamReset, match="cut short"):
                await stream.send_all(b"x")
            stream.abort()
            assert stream.send_now(b"x") == 0

        net.start("b", accept)
        net.run(1)
        net.start("a", client)
        net.run(1000)
        assert net.ended == ["b", "a"]


def test_what_is_sent_at_one_instant_travels_as_one() -> None:
    """One event of the world, not one for each write; and large ones are cut."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            for _ in range(100):
                stream.send_now(b"x")
            await trio.sleep(0.1)
            await stream.send_all(bytes(2 * SEGMENT_BYTES + 1))

        net.start("a", client)
        net.run(50)
        assert net.said == [(0, b"x" * 100)]
        assert len(net.events("send")) == 100
        assert len(net.events("recv")) == 1
        net.run(1000)
        assert [event.data[2] for event in net.events("recv")[1:]] == [SEGMENT_BYTES, SEGMENT_BYTES, 1]


def test_closing_sends_what_was_handed_over() -> None:
    """Though it does not fit the window, and the program has gone on to other things."""
    with Net("a", "b", settings=SMALL) as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            assert stream.send_now(pattern(5000)) == 1500
            await stream.aclose()
            stream.abort()

        net.start("a", client)
        net.run(1000)
        assert net.said[-1] == (0, "end")
        assert net.bytes_of(0) == pattern(1500)


def test_bytes_for_an_end_that_closed_are_answered_with_a_reset() -> None:
    """Nobody would read them."""
    with Net("a", "b") as net:
        why: list[str] = []

        async def server(network: SimNetwork) -> None:
            stream = await accept(network)
            await trio.sleep(0.01)
            await stream.aclose()

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            assert await stream.receive_some() == b""
            await stream.send_all(b"too late")
            await trio.sleep(0.01)
            with pytest.raises(StreamReset) as caught:
                await stream.send_all(b"again")
            why.append(str(caught.value))

        net.start("b", server)
        net.run(1)
        net.start("a", client)
        net.run(1000)
        assert why == ["b:1: the peer reset it"]
        assert [event.data for event in net.events("reset")] == [("b", "a", 1, "open")]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_reset_may_take_unread_bytes(share: float) -> None:
    """Of what came before it, as the settings say."""
    with Net("a", "b", settings=replace(PLAIN, discard_share=share)) as net:
        got: list[bytes] = []

        async def server(network: SimNetwork) -> None:
            stream = await accept(network)
            await trio.sleep(0.1)
            try:
                while True:
                    got.append(await stream.receive_some())
            except StreamReset:
                got.append(b"reset")

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            await stream.send_all(b"last words")
            await trio.sleep(0.01)
            stream.abort()

        net.start("b", server)
        net.run(1)
        net.start("a", client)
        net.run(1000)
        assert net.ended == ["a", "b"]
        assert got == ([b"reset"] if share else [b"last words", b"reset"])


def test_two_tasks_at_one_place_are_told() -> None:
    """As by the production twin."""
    with Net("a", "b", settings=SMALL) as net:

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.receive_some)
                nursery.start_soon(stream.send_all, bytes(10_000))
                await trio.sleep(0.01)
                with pytest.raises(trio.BusyResourceError):
                    await stream.receive_some()
                with pytest.raises(trio.BusyResourceError):
                    await stream.send_all(b"x")
                nursery.cancel_scope.cancel()

        net.start("b", accept)
        net.run(1)
        net.start("a", client)
        net.run(100)
        assert "a" in net.ended


def test_streams_break_by_chance() -> None:
    """Both ends hear of it; what was sent before came before."""
    with Net("a", "b", settings=replace(PLAIN, reset_share=0.05)) as net:
        net.listen()
        net.run(1)
        sent: list[bytes] = []

        async def client(network: SimNetwork) -> None:
            stream = await network.dial("b:1")
            try:
                while True:
                    word = b"%04d" % len(sent)
                    await stream.send_all(word)
                    sent.append(word)
                    await trio.sleep(0.001)
            except StreamReset:
                net.put(9, "told")

        net.start("a", client)
        net.run(10_000)
        assert net.ended == ["a"]
        assert [what for what in net.said if isinstance(what[1], str)] == [(0, "reset"), (9, "told")]
        assert b"".join(sent).startswith(net.bytes_of(0))
        assert net.fabric.counts["reset"] == 1


def test_breaks_may_be_heard_of_at_one_end_only() -> None:
    """The other one finds out when it sends."""
    with Net("a", "b", settings=replace(PLAIN, reset_share=0.1, half_open_share=1.0)) as net:
        net.listen()
        net.run(1)
        told: list[str] = []

        async def client(network: SimNetwork) -> None:
            for _ in range(20):
                stream = await network.dial("b:1")
                try:
                    for _ in range(100):
                        await stream.send_all(b"x")
                        await trio.sleep(0.01)
                except StreamReset:
                    told.append("reset")

        net.start("a", client)
        net.run(30_000)
        assert net.ended == ["a"]
        assert len(told) == net.fabric.counts["half-open"] == net.fabric.counts["reset"] == 20
        heard = [what for _, what in net.said if what == "reset"]
        assert 3 < len(heard) < 17, "the rest of them wait for ever"


def test_an_abort_that_gets_lost_leaves_the_peer_half_open() -> None:
    """It learns of it when it sends."""
    with Net("a", "b", settings=replace(PLAIN, half_open_share=1.0)) as net:
        told: list[float] = []

        async def server(network: SimNetwork) -> None:
            stream = await accept(network)
            with trio.move_on_after(0.1):
                await stream.receive_some()
            await stream.send_all(b"still there?")
            with pytest.raises(StreamReset):
                await stream.receive_some()
            told.append(net.now_ms)

        async def client(network: SimNetwork) -> None:
            (await network.dial("b:1")).abort()

        net.start("b", server)
        net.run(1)
        net.start("a", client)
        net.run(1000)
        assert told == [104.0]
        assert net.fabric.counts["half-open"] == 1


def test_old_bytes_come_after_those_of_the_next_stream() -> None:
    """The broken stream's bytes under way are late; its successor overtakes them."""
    with Net("a", "b") as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            old = await network.dial("b:1")
            await old.send_all(b"old")
            apply(net.fabric, "late", "a", "b", 100 * MS)
            with pytest.raises(StreamReset):
                await old.receive_some()
            new = await network.dial("b:1")
            await new.send_all(b"new")
            await trio.sleep_forever()

        net.start("a", client)
        net.run(1000)
        assert net.said == [(1, b"new"), (0, b"old")]
        assert net.fabric.counts["late"] == 1


def test_lateness_comes_by_chance() -> None:
    """At aborts, as the settings say; the reset comes behind the bytes."""
    with Net("a", "b", settings=replace(PLAIN, late_share=1.0, late_mean_ns=50 * MS)) as net:
        net.listen()
        net.run(1)

        async def client(network: SimNetwork) -> None:
            for number in range(10):
                stream = await network.dial("b:1")
                await stream.send_all(b"%d" % number)
                stream.abort()

        net.start("a", client)
        net.run(2000)
        assert net.fabric.counts["late"] == 10
        order = [what for _, what in net.said if isinstance(what, bytes)]
        assert sorted(order) == [b"%d" % number for number in range(10)]
        assert order != sorted(order)
        assert all((number, "reset") in net.said for number in range(10))
