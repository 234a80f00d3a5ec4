"""What only real UDP sockets, and the system's resolver, can get wrong."""

import errno
import os
import socket
from typing import Any

import pytest
import trio
import trio.testing

from haqactor.env import ConnectFailed, StreamReset
from haqactor.runtime.real.addresses import SocketName
from haqactor.runtime.real.datagram import NAME_S, NAMES_MAX, Names, RealDatagrams, numeric, shown
from haqactor.runtime.real.network import RealNetwork

HERE = "127.0.0.1:0"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


class Flawed(socket.socket):
    """A UDP socket whose next calls fail as they are told to."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.bind(("127.0.0.1", 0))
        self.sending: list[int] = []
        self.receiving: list[int] = []

    def sendto(self, *arguments: Any) -> int:
        if self.sending:
            number = self.sending.pop(0)
            raise OSError(number, os.strerror(number))
        return super().sendto(*arguments)

    def recvfrom(self, *arguments: Any) -> Any:
        if self.receiving:
            number = self.receiving.pop(0)
            raise OSError(number, os.strerror(number))
        return super().recvfrom(*arguments)


@pytest.mark.parametrize(
    "number",
    [
        *(errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EMSGSIZE, errno.ENOBUFS),
        *(errno.EPERM, errno.EACCES, errno.EINVAL),
    ],
)
async def test_what_the_system_refuses_is_lost(number: int) -> None:
    """And counted; the next packet leaves."""
    sock = Flawed()
    port = RealDatagrams(sock)
    sock.sending = [number]
    await port.send(b"lost", port.address)
    assert port.unsent == 1
    await port.send(b"comes", port.address)
    assert (await port.receive())[0] == b"comes"
    assert port.unsent == 1
    await port.aclose()


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENOBUFS, errno.ENOMEM])
async def test_an_error_is_no_packet(number: int) -> None:
    """Whoever receives goes on waiting for one."""
    sock = Flawed()
    port = RealDatagrams(sock)
    sock.receiving = [number, number]
    await port.send(b"comes", port.address)
    assert await port.receive() == (b"comes", port.address)
    assert port.refusals == 2
    await port.aclose()


async def test_a_refusal_of_the_kernel_is_silence() -> None:
    """With IP_RECVERR, as some set it for all sockets, the kernel reports each closed port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    port = RealDatagrams(sock)
    closed = await RealNetwork().datagrams(HERE)
    await closed.aclose()
    for _ in range(3):
        await port.send(b"anybody?", closed.address)
    with trio.move_on_after(0.05) as scope:
        await port.receive()
    assert scope.cancelled_caught
    assert port.unsent + port.refusals >= 1
    await port.send(b"comes", port.address)  # it may be lost to the report of an earlier one
    await port.send(b"comes", port.address)
    assert (await port.receive())[0] == b"comes"
    await port.aclose()


async def test_senders_wait_for_room_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket lets one task wait; closing ends all of them."""
    sock = Flawed()
    port = RealDatagrams(sock)
    go_on = trio.Event()
    waiting = 0

    async def wait_writable(_sock: object) -> None:
        nonlocal waiting
        waiting += 1
        assert waiting == 1
        await go_on.wait()
        waiting -= 1

    monkeypatch.setattr(trio.lowlevel, "wait_writable", wait_writable)
    sock.sending = [errno.EAGAIN] * 6
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(port.send, bytes([number]), port.address)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
    assert sorted([(await port.receive())[0] for _ in range(3)]) == [b"\0", b"\1", b"\2"]

    go_on = trio.Event()
    sock.sending = [errno.EAGAIN] * 2

    async def closes() -> None:
        with pytest.raises(StreamReset):
            await port.send(b"x", port.address)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(closes)
        await trio.testing.wait_all_tasks_blocked()
        await port.aclose()
        go_on.set()


@needs_ipv6
async def test_ipv6() -> None:
    """On its own, and both families on one port that is open for all."""
    network = RealNetwork()
    six = await network.datagrams("[::1]:0")
    await six.send(b"me", six.address)
    assert await six.receive() == (b"me", six.address)
    four = await network.datagrams(HERE)
    both = await network.datagrams("[::]:0")
    number = both.address.rpartition(":")[2]
    await four.send(b"by four", f"127.0.0.1:{number}")
    assert await both.receive() == (b"by four", four.address)
    await both.send(b"back", four.address)
    assert await four.receive() == (b"back", f"127.0.0.1:{number}")
    await six.send(b"by six", f"[::1]:{number}")
    assert await both.receive() == (b"by six", six.address)
    await four.send(b"by four", six.address)
    assert four.unsent == 1, "it has no way there"
    for port in (six, four, both):
        await port.aclose()


@pytest.mark.parametrize(
    ("host", "family", "name"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 7)),
        ("", socket.AF_INET, ("127.0.0.1", 7)),
        ("", socket.AF_INET6, ("::1", 7, 0, 0)),
        ("10.0.0.1", socket.AF_INET6, ("::ffff:10.0.0.1", 7, 0, 0)),
        ("fe80::1", socket.AF_INET6, ("fe80::1", 7, 0, 0)),
        ("fe80::1%3", socket.AF_INET6, ("fe80::1", 7, 0, 3)),
        ("fe80::1%lo", socket.AF_INET6, ("fe80::1", 7, 0, 1)),
        ("localhost", socket.AF_INET, None),
    ],
)
def test_numbers(host: str, family: int, name: SocketName | None) -> None:
    """Need nobody to look them up."""
    assert numeric(host, 7, family) == name


@pytest.mark.parametrize(("host", "family"), [("::1", socket.AF_INET), ("fe80::1%none", socket.AF_INET6)])
def test_numbers_without_a_way(host: str, family: int) -> None:
    with pytest.raises(ConnectFailed):
        numeric(host, 7, family)


def test_senders_are_shown_as_they_are() -> None:
    assert shown(("::ffff:10.0.0.1", 7, 0, 0)) == "10.0.0.1:7"
    assert shown(("::1", 7, 0, 0)) == "[::1]:7"
    assert shown(("10.0.0.1", 7)) == "10.0.0.1:7"


class Resolver:
    """``answers``: by host; ``asked``: what was looked up. Each question waits for ``go_on``, if there is
    one."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.go_on: trio.Event | None = None

    async def find(self, host: str, port: int, _family: int) -> SocketName | None:
        self.asked.append(host)
        await trio.lowlevel.checkpoint()
        if self.go_on is not None:
            await self.go_on.wait()
        return (self.answers[host], port) if host in self.answers else None

    def names(self) -> Names:
        return Names(socket.AF_INET, self.find)


async def test_a_name_is_asked_for_once(autojump_clock: trio.testing.MockClock) -> None:
    """Then again when its time is over; one that nobody has, too."""
    resolver = Resolver(node="10.0.0.1")
    names = resolver.names()
    for _ in range(3):
        assert await names.resolve("node:7") == ("10.0.0.1", 7)
        assert await names.resolve("other:7") is None
    assert resolver.asked == ["node", "other"]
    resolver.answers = {"node": "10.0.0.2"}
    await trio.sleep(NAME_S - 1)
    assert await names.resolve("node:7") == ("10.0.0.1", 7)
    await trio.sleep(1)
    assert await names.resolve("node:7") == ("10.0.0.2", 7)
    resolver.answers = {}
    await trio.sleep(NAME_S)
    assert await names.resolve("node:7") == ("10.0.0.2", 7), "what was known is better than nothing"
    assert resolver.asked == ["node", "other", "node", "node"]


async def test_numbers_and_nonsense_are_not_asked_for() -> None:
    """Nobody would know them."""
    resolver = Resolver()
    names = resolver.names()
    assert await names.resolve("10.0.0.1:7") == ("10.0.0.1", 7)
    for address in ("[::1]:7", "node", "node:x", "node:70000"):
        assert await names.resolve(address) is None
    assert resolver.asked == []


async def test_several_ask_at_once() -> None:
    """One question; when the one who asks gives up, another asks."""
    resolver = Resolver(node="10.0.0.1")
    resolver.go_on = trio.Event()
    names = resolver.names()
    found: list[SocketName | None] = []

    async def ask() -> None:
        found.append(await names.resolve("node:7"))

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as first:
                first.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                for _ in range(3):
                    nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                assert resolver.asked == ["node"]
                scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert resolver.asked == ["node"] * 2
        resolver.go_on.set()
    assert found == [("10.0.0.1", 7)] * 3


async def test_names_do_not_pile_up() -> None:
    """The oldest one is forgotten."""
    resolver = Resolver()
    names = resolver.names()
    for number in range(NAMES_MAX + 1):
        await names.resolve(f"n{number}:7")
    assert names.known("n0:7") is None
    assert names.known("n1:7") == (None,)


async def test_names_of_this_machine() -> None:
    """The system's resolver knows them, and knows when there is none."""
    port = await RealNetwork().datagrams(HERE)
    await port.send(b"by name", f"localhost:{port.address.rpartition(':')[2]}")
    assert await port.receive() == (b"by name", port.address)
    await port.send(b"lost", "nobody.invalid:7")
    assert port.unsent == 1
    await port.aclose()


async def test_closed_under_the_hands() -> None:
    """As by a crash of something else in the process."""
    sock = Flawed()
    port = RealDatagrams(sock)
    sock.close()
    with pytest.raises(StreamReset):
        await port.receive()
    with pytest.raises(StreamReset):
        await port.send(b"x", "127.0.0.1:9")
    await port.aclose()
