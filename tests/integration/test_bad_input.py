"""Whatever arrives at a real node's ports: the node stays up, the sender gets an error, memory stays
bounded.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import google_crc32c
import pytest
import trio
import zstandard

import haqactor
from haqactor import batch, frame, wire
from haqactor.cli.launcher import LocalCluster
from haqactor.config import peer_address
from haqactor.nodes.peerwire import PeerOp
from tests.builders.raw_client import Raw, greeted, hello, raw

PORTS = ["clients", "peers"]
MB = 1_000_000
GROWTH_MAX = 40 * MB
crc32c: Any = google_crc32c  # it comes without types


def address_of(cluster: LocalCluster, port: str) -> str:
    clients = cluster.nodes[0].listen
    return clients if port == "clients" else peer_address(clients)


@asynccontextmanager
async def surviving(cluster: LocalCluster) -> AsyncGenerator[None]:
    """Afterwards the same process still confirms, and has not grown."""
    before = cluster.nodes[0].process()
    assert before is not None
    grown_from = cluster.resident_bytes()[0]
    yield
    assert cluster.nodes[0].process() == before
    assert cluster.resident_bytes()[0] - grown_from < GROWTH_MAX
    with trio.fail_after(10):
        async with haqactor.connect(cluster.url) as broker:
            await broker.declare("alive")
            await broker.publish("alive", b"still here")


async def refused(connection: Raw, port: str) -> str:
    """The text of the last frame, a refusal; then the connection ends."""
    frames = await connection.until_end()
    assert frames, "the connection ended without a word"
    if port == "clients":
        message = wire.parse(frames[-1])
        assert isinstance(message, wire.Refused)
        assert message.code in {"protocol_error", "unauthorized", "overloaded"}
        return message.message
    assert frames[-1].kind == PeerOp.REFUSED
    return str(frames[-1].header[1])


GARBAGE = {
    "noise": bytes(range(256)) * 64,
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage(single: LocalCluster, port: str, name: str) -> None:
    async with surviving(single), raw(address_of(single, port)) as connection:
        await connection.send(GARBAGE[name])
        assert "not the haqactor protocol" in await refused(connection, port)


@pytest.mark.parametrize("port", PORTS)
async def test_oversized(single: LocalCluster, port: str) -> None:
    """Refused by its head alone: the rest is never waited for."""
    head = (2**31).to_bytes(4, "little") + bytes(4) + b"\x01\x00" + b"\x51\x4a" + (10).to_bytes(4, "little")
    async with surviving(single), raw(address_of(single, port)) as connection:
        await connection.send(head)
        assert "over the limit" in await refused(connection, port)


@pytest.mark.parametrize("port", PORTS)
async def test_wrong_checksum(single: LocalCluster, port: str) -> None:
    data = bytearray(wire.pack(hello()))
    data[-1] ^= 1
    async with surviving(single), raw(address_of(single, port)) as connection:
        await connection.send(bytes(data))
        assert "checksum" in await refused(connection, port)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("sent", [0, 5, 20])
async def test_half_sent(single: LocalCluster, port: str, sent: int) -> None:
    async with surviving(single), raw(address_of(single, port)) as connection:
        await connection.send(wire.pack(hello())[:sent])
        assert "no complete hello" in await refused(connection, port)


@pytest.mark.parametrize("port", PORTS)
async def test_slow(single: LocalCluster, port: str) -> None:
    """A byte now and then buys no more time than silence."""
    async with surviving(single), raw(address_of(single, port)) as connection, trio.open_nursery() as nursery:

        async def drip() -> None:
            for byte in wire.pack(hello()):
                await connection.send(bytes([byte]))
                await trio.sleep(0.1)

        nursery.start_soon(drip)
        assert "no complete hello" in await refused(connection, port)
        nursery.cancel_scope.cancel()


async def test_half_sent_after_the_hello(single: LocalCluster) -> None:
    async with surviving(single), greeted(single.nodes[0].listen) as connection:
        await connection.send(wire.pack(wire.Ping(1))[:9])
        assert "no complete frame" in await refused(connection, "clients")


@pytest.mark.parametrize("port", PORTS)
async def test_many_half_sent_frames(single: LocalCluster, port: str) -> None:
    """What strangers make the node hold is bounded, however many they are."""
    head = (300_000).to_bytes(4, "little") + bytes(4) + b"\x01\x00" + b"\x51\x4a" + (10).to_bytes(4, "little")

    async def flood() -> None:
        async with raw(address_of(single, port)) as connection:
            await connection.send(head + bytes(250_000))
            await connection.until_end()

    async with surviving(single), trio.open_nursery() as nursery:
        for _ in range(300):
            nursery.start_soon(flood)
        await trio.sleep(0.5)
        assert single.resident_bytes()[0] < 300 * MB


@pytest.mark.parametrize("port", PORTS)
async def test_connections_that_are_reset(single: LocalCluster, port: str) -> None:
    async with surviving(single):
        for _ in range(50):
            async with raw(address_of(single, port)) as connection:
                linger = b"\x01\0\0\0\0\0\0\0"
                connection.stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version_min": 98, "version_max": 99}, "versions"),
        ({"auth": ["secret-handshake"]}, "authentication"),
        ({"cluster": b"c" * 16}, "another cluster"),
        ({"session": b"short"}, "16 bytes"),
        ({"client": 7}, "Hello.client"),
        ({"version_min": "1"}, "Hello.version_min"),
    ],
)
async def test_wrong_hello(single: LocalCluster, changes: dict[str, object], text: str) -> None:
    async with surviving(single), raw(single.nodes[0].listen) as connection:
        await connection.send(wire.pack(hello(**changes)))
        assert text in await refused(connection, "clients")


async def test_a_client_at_the_peers_port(single: LocalCluster) -> None:
    async with surviving(single), raw(address_of(single, "peers")) as connection:
        await connection.send(wire.pack(hello()))
        await refused(connection, "peers")


async def test_a_peer_of_another_cluster(single: LocalCluster) -> None:
    stranger = [1, 1, ["none"], b"c" * 16, 1, b"n" * 16, 1]
    async with surviving(single), raw(address_of(single, "peers")) as connection:
        await connection.send(frame.encode(PeerOp.HELLO, stranger))
        await refused(connection, "peers")


@pytest.mark.parametrize(
    "data",
    [
        frame.encode(250, []),
        frame.encode(wire.Op.PUBLISH, [1, 2]),
        frame.encode(wire.Op.PUBLISH, {"not": "a list"}),
        frame.encode(wire.Op.INFO, ["one", 1, 1]),
        frame.encode(wire.Op.INFO, [1, -5, 1]),
        frame.encode(wire.Op.WELCOME, [1, b"", 0, "", [], {}]),
        frame.encode(wire.Op.SETTLE, [1, 1, 1, 1, [7], [], [], [], [], 0, 0]),
        wire.pack(hello()),
    ],
    ids=["kind", "short", "map", "type", "range", "not-a-clients", "row", "hello-again"],
)
async def test_wrong_frames_after_the_hello(single: LocalCluster, data: bytes) -> None:
    async with surviving(single), greeted(single.nodes[0].listen) as connection:
        await connection.send(data)
        await refused(connection, "clients")


async def test_rows_that_are_no_leases(single: LocalCluster) -> None:
    """They are looked at where the queue is known: its group answers, or ends the connection."""
    async with surviving(single):
        async with haqactor.connect(single.url) as broker:
            await broker.declare("rows")
            place = await broker.resolve("rows")
        for rows in ([["a", "b", "c", "d"]], [[1]], [[1, 1, 9, 3]], [[-1, 1, 1, 1]]):
            async with greeted(single.nodes[0].listen) as connection:
                await connection.send(
                    wire.pack(wire.Subscribe(4, place.group, place.uid, 1, 1, 10, 10_000, []))
                )
                assert isinstance(await connection.reply(4), wire.Reply)
                await connection.send(
                    wire.pack(wire.Settle(5, place.group, place.uid, 1, rows, [], [], [], [], 0, 0))
                )
                while (frame := await connection.frame()) is not None:
                    message = wire.parse(frame)
                    if isinstance(message, wire.Refused):
                        break
                    if isinstance(message, wire.Failed):
                        assert (message.rid, message.code) == (5, "protocol_error")
                        break


async def test_a_group_that_does_not_exist(single: LocalCluster) -> None:
    async with surviving(single), greeted(single.nodes[0].listen) as connection:
        await connection.send(wire.pack(wire.Info(5, 999, 1)))
        answer = await connection.reply(5)
        assert isinstance(answer, wire.Failed)
        assert answer.code == "invalid_argument"


async def publish_raw(cluster: LocalCluster, queue: str, blob: bytes, count: int) -> wire.Reply | wire.Failed:
    """A publish whose batch no proper client would make."""
    async with greeted(cluster.nodes[0].listen) as connection:
        await connection.send(wire.pack(wire.Resolve(1, queue, True)))
        place = await connection.reply(1)
        assert isinstance(place, wire.Reply)
        uid, group = place.result[:2]
        await connection.send(wire.pack(wire.Begin(2, group, uid, b"p" * 16, 0)))
        begun = await connection.reply(2)
        assert isinstance(begun, wire.Reply)
        message = wire.Publish(3, group, uid, b"p" * 16, 0, 1, count, 1, begun.result[0])
        await connection.send(wire.pack(message, blob))
        try:
            return await connection.reply(3)
        except AssertionError:  # a protocol error may end the connection instead
            return wire.Failed(3, "protocol_error", "the connection ended", {})


def lying(claimed: int, packed: bytes) -> bytes:
    """A batch of one message whose head claims ``claimed`` bytes of content."""
    table = claimed.to_bytes(4, "little")
    fixed = b"".join(
        (
            bytes([batch.VERSION, batch.ZSTD | batch.EQUAL]),
            (1).to_bytes(2, "little"),
            len(table).to_bytes(4, "little"),
            len(packed).to_bytes(4, "little"),
            claimed.to_bytes(4, "little"),
            bytes(4),
        )
    )
    check: int = crc32c.extend(crc32c.value(fixed), table)
    return fixed + check.to_bytes(4, "little") + table + packed


BOMB = zstandard.ZstdCompressor(level=3).compress(bytes(500 * MB))


async def test_a_decompression_bomb_that_says_so(single: LocalCluster) -> None:
    async with surviving(single):
        async with haqactor.connect(single.url) as broker:
            await broker.declare("bombs")
        answer = await publish_raw(single, "bombs", lying(500 * MB, BOMB), 1)
        assert isinstance(answer, wire.Failed)
        assert answer.code in {"too_large", "protocol_error"}


async def test_a_decompression_bomb_that_lies(single: LocalCluster) -> None:
    """The node may store what it never opens; whoever does open it is told, and the bomb never goes off."""
    async with surviving(single):
        async with haqactor.connect(single.url) as broker:
            await broker.declare("lies")
        await publish_raw(single, "lies", lying(100, BOMB), 1)
        async with haqactor.connect(single.url) as broker:
            if (await broker.queue("lies").info()).ready:
                with pytest.raises(haqactor.Error):
                    await broker.queue("lies").peek()


async def test_a_batch_whose_head_is_wrong(single: LocalCluster) -> None:
    async with surviving(single):
        async with haqactor.connect(single.url) as broker:
            await broker.declare("heads")
        for blob in (b"", b"\xff" * 40, lying(5, b"x")[:-1]):
            answer = await publish_raw(single, "heads", blob, 1)
            assert isinstance(answer, wire.Failed)
        async with haqactor.connect(single.url) as broker:
            assert (await broker.queue("heads").info()).next_seq == 1


async def test_a_message_over_the_limit(single: LocalCluster) -> None:
    async with surviving(single), haqactor.connect(single.url) as broker:
        await broker.declare("large")
        with pytest.raises(haqactor.TooLarge) as found:
            await broker.publish("large", bytes(65_537))
        assert found.value.limit == 65_536
        assert (await broker.publish("large", bytes(65_536))).seq == 1


async def test_a_message_over_the_limit_past_the_client(single: LocalCluster) -> None:
    async with surviving(single):
        async with haqactor.connect(single.url) as broker:
            await broker.declare("larger")
        blob = batch.Packer().pack([batch.Content(bytes(200_000))])
        answer = await publish_raw(single, "larger", blob, 1)
        assert isinstance(answer, wire.Failed)
        assert answer.code == "too_large"


async def test_unknown_queue(single: LocalCluster) -> None:
    async with surviving(single), haqactor.connect(single.url) as broker:
        queue = broker.queue("nowhere")
        for attempt in (
            lambda: broker.publish("nowhere", b"x"),
            queue.info,
            queue.get,
            queue.peek,
            queue.purge,
            lambda: broker.delete_queue("nowhere"),
        ):
            with pytest.raises(haqactor.NotFound, match="nowhere"), trio.fail_after(10):
                await attempt()
        with pytest.raises(haqactor.NotFound, match="nowhere"), trio.fail_after(10):
            async with queue.consume() as deliveries:
                await deliveries.receive()


@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("publish", ("typed", "text"), {}),
        ("publish", ("typed", None), {}),
        ("publish", ("typed", b"x"), {"key": 5}),
        ("publish", ("typed", b"x"), {"headers": {"a": [1]}}),
        ("publish", (7, b"x"), {}),
        ("publish", ("no spaces", b"x"), {}),
        ("declare", ("typed",), {"lease": "long"}),
        ("declare", ("typed",), {"lease": -1}),
        ("declare", ("typed",), {"dead_letter": "typed"}),
        ("delete_queue", (b"typed",), {}),
    ],
)
async def test_wrong_types(
    single: LocalCluster, method: str, arguments: tuple[object, ...], options: dict[str, object]
) -> None:
    async with surviving(single), haqactor.connect(single.url) as broker:
        await broker.declare("typed")
        with pytest.raises(haqactor.InvalidArgument):
            await getattr(broker, method)(*arguments, **options)
        assert (await broker.queue("typed").info()).next_seq == 1
