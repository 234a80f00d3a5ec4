"""The client protocol: every kind comes back as it went; every wrong field is named."""

from typing import Any

import pytest

from haqactor import wire
from haqactor.errors import NoQuorum, ProtocolError, from_wire
from haqactor.frame import Decoder, Frame

SAMPLES: list[Any] = [
    wire.Hello(1, 1, ["none"], "test", b"s" * 16, b"", False),
    wire.Welcome(1, b"c" * 16, 0, "127.0.0.1:7420", [[0, 1, 2, "127.0.0.1:7430"]], {"groups": 16}),
    wire.Refused("protocol_error", "why", {}),
    wire.Ping(1),
    wire.Pong(1),
    wire.Reply(1, [[5, 1, True]]),
    wire.Failed(1, "not_found", "no", {}),
    wire.Leaders([[1, 2, 3, "127.0.0.1:7420"]]),
    wire.Goodbye("stops"),
    wire.Declare(1, "orders", {"lease_ns": 5}),
    wire.Delete(1, "orders"),
    wire.Queues(1),
    wire.Resolve(1, "orders", True),
    wire.OpenProducer(1, "p"),
    wire.Status(1),
    wire.Await(1, 2, 3, 4, False),
    wire.Begin(1, 2, 3, b"p" * 16, 0),
    wire.Publish(1, 2, 3, b"p" * 16, 0, 1, 1, 0, 5),
    wire.End(1, 2, b"p" * 16),
    wire.Subscribe(1, 2, 3, 4, 1, 512, 1 << 20, [[1, 2, 3, 4, True]]),
    wire.Credit(1, 2, 3, 4),
    wire.Settle(1, 2, 3, 4, [[1, 1, 1, 1]], [], [], [], [[1, 1]], 0, 0),
    wire.Extend(1, 2, 3, 4, [[1, 1, 1, 1]], 5),
    wire.Unsubscribe(1, 2, 3),
    wire.Poll(1, 2, 3, 4),
    wire.Deliver(1, 2, 3, 4, [[1, 1, 5, [[5, 5]], [], 9, 4]]),
    wire.LeaseLost(1, 2, [[1, 1, 1, 1]]),
    wire.ConsumerGone(1, 2, "not_leader", "moved"),
    wire.Info(1, 2, 3),
    wire.Peek(1, 2, 3, 10, 7),
    wire.Purge(1, 2, 3),
]


def test_every_kind_has_a_sample() -> None:
    kinds = dict.fromkeys(type(sample).__name__ for sample in SAMPLES)
    assert len(kinds) == len(SAMPLES) == len(wire.Op)


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_comes_back_as_it_went(message: Any) -> None:
    (frame,) = Decoder(100_000).feed(wire.pack(message, b"blob"))
    assert wire.parse(frame) == message
    assert frame.blob == b"blob"


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_every_wrong_field_is_named(message: Any) -> None:
    (frame,) = Decoder(100_000).feed(wire.pack(message))
    for at, name in enumerate(message._fields):
        if (type(message), name) == (wire.Reply, "result"):
            continue
        wrong = list(message)
        wrong[at] = 1.5
        with pytest.raises(ProtocolError, match=f"{type(message).__name__}.{name}"):
            wire.parse(Frame(frame.kind, wrong, b""))


@pytest.mark.parametrize("header", [None, 5, {}, [], [1, 2], "text"])
def test_a_header_of_another_shape_is_refused(header: Any) -> None:
    with pytest.raises(ProtocolError):
        wire.parse(Frame(wire.Op.PUBLISH, header, b""))


def test_a_field_that_came_later_may_be_absent() -> None:
    """As an older client leaves it out."""
    assert wire.parse(Frame(wire.Op.PEEK, [1, 2, 3, 10], b"")) == wire.Peek(1, 2, 3, 10, 0)
    with pytest.raises(ProtocolError):
        wire.parse(Frame(wire.Op.PEEK, [1, 2, 3], b""))


def test_numbers_out_of_range_are_refused() -> None:
    """No number of the protocol is negative; what is stored of them could not be read back."""
    messages: list[tuple[Any, str]] = [
        (wire.Begin(1, 1, 5, b"p" * 16, 0), "epoch"),
        (wire.Subscribe(1, 2, 3, 4, 1, 512, 1 << 20, []), "consumer"),
    ]
    for value in (-1, 1 << 63):
        with pytest.raises(ProtocolError, match="out of range"):
            wire.parse(Frame(wire.Op.PING, [value], b""))
        for message, name in messages:
            (frame,) = Decoder(100_000).feed(wire.pack(message._replace(**{name: value})))
            with pytest.raises(ProtocolError, match=rf"{name} is .*out of range"):
                wire.parse(frame)


def test_an_unknown_kind_names_the_version() -> None:
    with pytest.raises(ProtocolError, match="kind 250 is unknown in protocol version 1"):
        wire.parse(Frame(250, [], b""))


@pytest.mark.parametrize(
    "rows", [[[1, 2, 3]], [[1, 2, 4, 3]], [[1, 2, -1, 3]], [[1, 2, "3", 4]], [[True, 2, 3, 4]]]
)
def test_lease_rows_are_checked(rows: Any) -> None:
    with pytest.raises(ProtocolError, match="not a lease row"):
        wire.lease_rows(rows)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(ProtocolError, match="rows"):
        wire.parse(Frame(wire.Op.LEADERS, [[[1]] * 100_001], b""))


def test_an_error_travels() -> None:
    failed = wire.failed(3, NoQuorum("two of three are down", reason="damaged"))
    error = from_wire(failed.code, failed.message, failed.fields)
    assert isinstance(error, NoQuorum)
    assert (str(error), error.reason) == ("two of three are down", "damaged")
