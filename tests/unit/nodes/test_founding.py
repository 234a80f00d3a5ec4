"""A cluster is founded once, by all who are named, and never beside another."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from haqactor.config import NodeConfig, peer_address
from haqactor.env import Stream
from haqactor.errors import Conflict
from haqactor.frame import encode
from haqactor.journal.identity import Identity
from haqactor.nodes.founding import Founding, Member, cluster_id, own_address
from haqactor.nodes.peer_listener import PeerListener
from haqactor.nodes.peerwire import PeerOp
from tests.builders.memory_environment import MemoryNetwork, memory_environment
from tests.builders.node_context import quiet_log

ADDRESSES = ["127.0.0.1:7000", "127.0.0.1:7010", "127.0.0.1:7020"]


class Founder:
    """One node as far as founding goes."""

    def __init__(self, network: MemoryNetwork, number: int, nonce: bytes | None = None) -> None:
        self.config = NodeConfig(data_dir="data", listen=ADDRESSES[number], bootstrap=ADDRESSES)
        self.env = memory_environment(network, seed=number)
        self.identity = Identity(nonce=nonce or bytes([number]) * 16)
        self.founding: Founding | None = None
        self.members: tuple[Member, ...] = ()

    def heard(self, address: str, nonce: bytes) -> None:
        if self.founding is not None:
            self.founding.heard(address, nonce)

    async def run(self) -> None:
        """Listen for peers, found, and go on answering."""
        port = await self.env.network.listen(peer_address(own_address(self.config)))
        listener = PeerListener(self.env, quiet_log(), 5.0, lambda: self.identity, lambda: 1, self.heard)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.run, port)
            self.founding = Founding(self.env, self.config, self.identity.nonce)
            self.members = await self.founding.run()
            self.identity = replace(self.identity, cluster_id=cluster_id(self.members), members=self.members)


@asynccontextmanager
async def started(*founders: Founder) -> AsyncGenerator[trio.Nursery, None]:
    async with trio.open_nursery() as nursery:
        for founder in founders:
            nursery.start_soon(founder.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def test_three_agree(autojump_clock: MockClock) -> None:
    """On the members in the order of the list, and so on the id."""
    network = MemoryNetwork()
    founders = [Founder(network, number) for number in range(3)]
    async with started(*founders):
        await trio.sleep(5)
        expected = tuple((number, ADDRESSES[number], bytes([number]) * 16) for number in range(3))
        assert [founder.members for founder in founders] == [expected] * 3
        assert len({founder.identity.cluster_id for founder in founders}) == 1


async def test_nobody_founds_alone(autojump_clock: MockClock) -> None:
    """Two wait for the third, however late it comes."""
    network = MemoryNetwork()
    founders = [Founder(network, number) for number in range(3)]
    async with started(*founders[:2]) as nursery:
        await trio.sleep(60)
        assert [founder.members for founder in founders[:2]] == [(), ()]
        nursery.start_soon(founders[2].run)
        await trio.sleep(2)
        assert len({founder.members for founder in founders}) == 1
        assert len(founders[0].members) == 3


async def test_a_founder_that_lost_the_moment_adopts(autojump_clock: MockClock) -> None:
    """It died after it told its nonce and before it knew all: the others' answer has its disk in it."""
    network = MemoryNetwork()
    founders = [Founder(network, number) for number in range(3)]
    async with started(*founders):
        await trio.sleep(5)
        again = Founder(network, 2)
        del network.listeners[peer_address(ADDRESSES[2])]
        async with started(again):
            await trio.sleep(2)
            assert again.members == founders[0].members


async def test_a_wiped_node_is_refused(autojump_clock: MockClock) -> None:
    """Its new disk is not the one that the cluster knows."""
    network = MemoryNetwork()
    founders = [Founder(network, number) for number in range(3)]
    async with started(*founders):
        await trio.sleep(5)
        wiped = Founder(network, 2, b"w" * 16)
        founding = Founding(wiped.env, wiped.config, wiped.identity.nonce)
        with pytest.raises(Conflict, match="data directory is new"):
            await founding.run()


async def test_one_alone_is_a_cluster() -> None:
    """Without a list, and without a port."""
    founding = Founding(memory_environment(), NodeConfig(data_dir="data"), b"n" * 16)
    assert await founding.run() == ((0, "local:0", b"n" * 16),)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n and so on and on",
        encode(PeerOp.FOUNDED, [b"n" * 16, b"c" * 16, [1, 2]]),
        encode(PeerOp.FOUNDED, [b"n" * 16, b"c" * 16, [[1]]]),
        encode(PeerOp.FOUNDED, ["n", b"", []]),
        encode(PeerOp.FOUNDED, None),
        b"",
    ],
    ids=["ssh", "numbers", "short", "types", "nothing", "silence"],
)
async def test_a_strange_answer_is_asked_again(answer: bytes, autojump_clock: MockClock) -> None:
    """Also one that never comes; the true one counts when it is there."""
    network = MemoryNetwork()
    founders = [Founder(network, number) for number in range(3)]
    strange = await network.listen(peer_address(ADDRESSES[2]))

    async def serve(stream: Stream) -> None:
        await stream.send_all(answer)

    async def stranger() -> None:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(serve, await strange.accept())

    async with started(*founders[:2]) as nursery:
        with trio.move_on_after(20):
            await stranger()
        assert founders[0].members == ()
        await strange.aclose()
        nursery.start_soon(founders[2].run)
        await trio.sleep(10)
        assert founders[0].members == founders[2].members != ()


async def test_strangers_nonces_do_not_count() -> None:
    """Only addresses of the list do."""
    founding = Founding(memory_environment(), Founder(MemoryNetwork(), 0).config, b"n" * 16)
    founding.heard("127.0.0.1:9999", b"x" * 16)
    assert founding.members == ()
