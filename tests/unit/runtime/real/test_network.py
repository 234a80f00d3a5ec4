"""What only real sockets can get wrong."""

import errno
import os
import socket

import pytest
import trio

from haqactor.env import ConnectFailed, ConnectRefused, StreamReset
from haqactor.runtime.real.addresses import join_address, split_address
from haqactor.runtime.real.network import RealNetwork
from tests.builders.descriptors import descriptors_left


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("localhost:1", "localhost", 1),
        ("[::1]:7420", "::1", 7420),
        ("10.0.0.1:0", "10.0.0.1", 0),
        (":80", "", 80),
    ],
)
def test_split_address(address: str, host: str, port: int) -> None:
    assert split_address(address) == (host, port)


@pytest.mark.parametrize("address", ["", "host", "host:", "::1:80", "host:-1", "host:65536", "host:1x"])
def test_split_refuses_what_is_none(address: str) -> None:
    with pytest.raises(ConnectFailed, match="host:port"):
        split_address(address)


@pytest.mark.parametrize("host", ["x" * 70, "a..b", ".", "\ud800"])
async def test_what_no_name_can_be_is_not_found(host: str) -> None:
    """Addresses come from gossip and from leaders' rows, as text: a UnicodeError of a codec would end the
    actor that dials."""
    with pytest.raises(ConnectFailed, match="cannot find"):
        await RealNetwork().dial(f"{host}:80")
    with pytest.raises(ConnectFailed, match="cannot listen"):
        await RealNetwork().listen(f"{host}:80")


def test_join_address() -> None:
    assert join_address(("::1", 80, 0, 0)) == "[::1]:80"
    assert join_address(("127.0.0.1", 80)) == "127.0.0.1:80"


def private_socket_type() -> type[trio.socket.SocketType]:
    """trio's sockets are of a private subclass of the public type."""
    sock = trio.socket.socket()
    sock.close()
    return type(sock)


@pytest.mark.parametrize(
    "number", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNRESET, errno.EADDRNOTAVAIL]
)
async def test_only_a_refusal_is_refused(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    async def connect(self: object, address: object) -> None:
        await trio.lowlevel.checkpoint()
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(private_socket_type(), "connect", connect)
    with pytest.raises(ConnectFailed, match=os.strerror(number)):
        await RealNetwork().dial("127.0.0.1:9")


async def test_a_name_refused_at_one_address_only_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other address may be a living process that we cannot reach."""
    answers = iter([errno.ECONNREFUSED, errno.EHOSTUNREACH])

    async def connect(self: object, address: object) -> None:
        await trio.lowlevel.checkpoint()
        number = next(answers)
        raise OSError(number, os.strerror(number))

    async def lookup(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        await trio.lowlevel.checkpoint()
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9)),
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.2", 9)),
        ]

    monkeypatch.setattr(private_socket_type(), "connect", connect)
    monkeypatch.setattr(trio.socket, "getaddrinfo", lookup)
    with pytest.raises(ConnectFailed):
        await RealNetwork().dial("two-addresses:9")


async def test_a_socket_joined_to_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may give a dialer the very port it dials."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = trio.socket.socket

    def bound(family: int, kind: int, protocol: int) -> trio.socket.SocketType:
        sock = made(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        raw.bind(("127.0.0.1", port))
        raw.close()
        return sock

    monkeypatch.setattr(trio.socket, "socket", bound)
    with pytest.raises(ConnectRefused):
        await RealNetwork().dial(f"127.0.0.1:{port}")


async def test_an_unknown_name_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lookup(*_: object, **__: object) -> None:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", lookup)
    with pytest.raises(ConnectFailed, match="not known"):
        await RealNetwork().dial("nowhere.invalid:1")
    with pytest.raises(ConnectFailed, match="not known"):
        await RealNetwork().listen("nowhere.invalid:1")


async def test_accept_waits_out_a_want_of_descriptors() -> None:
    network = RealNetwork()
    listener = await network.listen("127.0.0.1:0")
    stream = await network.dial(listener.address)
    with descriptors_left(0):
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        with trio.move_on_after(0.1) as scope:
            await listener.accept()
        assert scope.cancelled_caught
    accepted = await listener.accept()
    await stream.send_all(b"at last")
    assert await accepted.receive_some() == b"at last"
    await stream.aclose()
    await accepted.aclose()
    await listener.aclose()


async def test_no_send_after_a_cancelled_one() -> None:
    network = RealNetwork()
    listener = await network.listen("127.0.0.1:0")
    stream = await network.dial(listener.address)
    accepted = await listener.accept()
    with trio.move_on_after(0.05) as scope:
        await stream.send_all(bytes(64 << 20))
    assert scope.cancelled_caught
    with pytest.raises(StreamReset, match="cut short"):
        await stream.send_all(b"x")
    stream.abort()
    accepted.abort()
    await listener.aclose()


async def test_a_connection_that_died_in_the_queue_does_not_end_the_listener() -> None:
    network = RealNetwork()
    listener = await network.listen("127.0.0.1:0")
    for _ in range(3):
        (await network.dial(listener.address)).abort()
    alive = await network.dial(listener.address)
    await alive.send_all(b"alive")
    heard = b""
    while heard != b"alive":
        accepted = await listener.accept()
        try:
            heard = await accepted.receive_some()
        except StreamReset:
            heard = b""
        accepted.abort()
    alive.abort()
    await listener.aclose()


async def test_ipv6() -> None:
    network = RealNetwork()
    try:
        listener = await network.listen("[::1]:0")
    except ConnectFailed:
        pytest.skip("this machine has no IPv6")
    assert listener.address.startswith("[::1]:")
    stream = await network.dial(listener.address)
    accepted = await listener.accept()
    assert accepted.remote.startswith("[::1]:")
    stream.abort()
    accepted.abort()
    await listener.aclose()
