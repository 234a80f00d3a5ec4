"""Wrong arguments are refused before anything is sent, with errors that say what to do."""

from typing import Any

import pytest

from haqactor.client.arguments import HeaderValue, content_of, span_ns, text, whole
from haqactor.client.broker import Broker
from haqactor.errors import InvalidArgument, TooLarge
from tests.builders.fake_node import FakeCluster

MIB = 1024 * 1024
check: Any = content_of  # for what the types forbid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("text", None, None, None), "encode it first"),
        ((None, None, None, None), "bytes, not NoneType"),
        ((bytearray(b"x"), None, None, None), "bytes, not bytearray"),
        ((b"", 7, None, None), "key is a str"),
        ((b"", None, None, 7), "message_id is a str"),
        ((b"", "\ud800", None, None), "no valid text"),
        ((b"", None, ["h"], None), "mapping"),
        ((b"", None, {1: "x"}, None), "name is a str"),
        ((b"", None, {"h": None}, None), "'h' is a str, int"),
        ((b"", None, {"h": [1]}, None), "list"),
        ((b"", None, {"h": 1 << 70}, None), "64 bits"),
    ],
)
def test_wrong_types(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        check(*arguments, MIB)


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ((b"x" * 101, None, None, None), 100),
        ((b"", "k" * 1025, None, None), 1024),
        ((b"", None, None, "k" * 1025), 1024),
        ((b"", None, {"h": b"x" * 65_536}, None), 65_536),
    ],
)
def test_too_large(arguments: Any, limit: int) -> None:
    with pytest.raises(TooLarge) as caught:
        check(*arguments, 100)
    assert caught.value.limit == limit


def test_what_may_be_passed() -> None:
    headers: dict[str, HeaderValue] = {"s": "x", "i": 1, "f": 0.5, "b": True, "y": b"\0"}
    assert content_of(b"x", "k", headers, "m", MIB).extras == ("k", headers, "m")
    assert content_of(b"x" * MIB, None, None, None, MIB).extras is None


@pytest.mark.parametrize("value", [True, "1", 0, 11, 1.0, None])
def test_whole_numbers(value: object) -> None:
    with pytest.raises(InvalidArgument, match="credit"):
        whole("credit", value, 1, 10)


@pytest.mark.parametrize("value", [True, "1", -1, float("nan"), float("inf"), None])
def test_spans(value: object) -> None:
    with pytest.raises(InvalidArgument, match="delay"):
        span_ns("delay", value)
    assert span_ns("delay", 1.5) == 1_500_000_000


def test_reasons_are_cut() -> None:
    assert len(text("reason", "x" * 5000)) == 1024
    with pytest.raises(InvalidArgument, match="reason"):
        text("reason", 7)


async def test_the_limit_is_the_nodes(cluster: FakeCluster) -> None:
    from haqactor.client.broker import open_session
    from tests.builders.fake_world import fake_environment

    cluster.message_bytes_max = 10
    cluster.add_queue("orders")
    async with open_session(cluster, fake_environment()) as broker:
        with pytest.raises(TooLarge, match="11 bytes"):
            await broker.publish("orders", b"x" * 11)


async def test_what_was_stored_under_a_larger_limit_is_read(cluster: FakeCluster) -> None:
    """Or who lowers the limit rejects every larger message that waits, and loses it (Q16)."""
    from haqactor.client.broker import open_session
    from tests.builders.fake_world import fake_environment

    body = bytes(3 << 20)
    cluster.message_bytes_max = 4 << 20
    fake = cluster.add_queue("orders")
    async with open_session(cluster, fake_environment()) as broker:
        await broker.publish("orders", body)
    cluster.message_bytes_max = 1000
    async with open_session(cluster, fake_environment()) as broker:
        (peeked,) = await broker.queue("orders").peek()
        assert peeked.body == body
        async with await broker.queue("orders").get() as message:
            assert message.body == body
    assert fake.dead == []


async def test_calls_refuse_what_they_do_not_know(cluster: FakeCluster, broker: Broker) -> None:
    anything: Any = broker
    cluster.add_queue("orders")
    for name in ("delay", "ttl", "priority"):
        with pytest.raises(TypeError, match=name):
            await anything.publish("orders", b"x", **{name: 1})
    for wrong in ("", "a b", 7, None):
        with pytest.raises(InvalidArgument):
            anything.queue(wrong)
        with pytest.raises(InvalidArgument):
            await anything.publish(wrong, b"x")
    with pytest.raises(InvalidArgument, match="list of bytes"):
        async with broker.producer("p") as producer:
            await producer.publish_many("orders", anything_bytes())
    with pytest.raises(InvalidArgument, match="credit"):
        async with broker.queue("orders").consume(credit=0):
            pass
    with pytest.raises(InvalidArgument, match="seq"):
        async with broker.producer("p") as producer:
            await producer.publish("orders", b"x", seq=0)
    with pytest.raises(InvalidArgument, match="concurrency"):
        await anything.queue("orders").serve(print, concurrency=0)
    assert cluster.queues[100].messages == []


def anything_bytes() -> Any:
    return b"not a list"
