"""A new node with seeds asks, waits, and founds nothing of its own accord."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from haqactor.config import NodeConfig, peer_address
from haqactor.env import Stream
from haqactor.errors import Conflict
from haqactor.frame import Decoder, encode
from haqactor.journal.identity import Identity
from haqactor.nodes.founding import Founded, Founding
from haqactor.nodes.peer_listener import PeerListener
from haqactor.nodes.peers import receive_frame
from haqactor.nodes.peerwire import PeerOp
from haqactor.nodes.seeding import Seeking
from tests.builders.memory_environment import MemoryNetwork, memory_environment
from tests.builders.node_context import quiet_log

ADDRESSES = ["127.0.0.1:7000", "127.0.0.1:7010", "127.0.0.1:7020"]


class Starter:
    """A new node, from its port to its cluster."""

    def __init__(
        self, network: MemoryNetwork, number: int, *, bootstrap: Sequence[str] = (), seeds: Sequence[str] = ()
    ) -> None:
        self.config = NodeConfig(
            data_dir="d", listen=ADDRESSES[number], bootstrap=list(bootstrap), seeds=list(seeds)
        )
        self.env = memory_environment(network, seed=number)
        self.identity = Identity(nonce=bytes([number]) * 16)
        self.founding: Founding | None = None
        self.seeking = Seeking(self.env, self.config, self.identity.nonce, quiet_log())

    def heard(self, address: str, nonce: bytes) -> None:
        if self.founding is not None:
            self.founding.heard(address, nonce)

    async def run(self) -> None:
        port = await self.env.network.listen(peer_address(self.config.listen or ""))
        listener = PeerListener(
            self.env,
            quiet_log(),
            5.0,
            lambda: self.identity,
            lambda: 1,
            self.heard,
            founders=lambda: () if self.founding is None else self.founding.addresses,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.run, port)
            found: Founded | tuple[str, ...] = ()
            if not self.config.bootstrap:
                found = await self.seeking.run()
            if not isinstance(found, Founded):
                self.founding = Founding(self.env, self.config, self.identity.nonce, found)
                found = await self.founding.run()
            self.identity = replace(self.identity, cluster_id=found.cluster, members=found.members)


@asynccontextmanager
async def started(*starters: Starter) -> AsyncGenerator[trio.Nursery, None]:
    async with trio.open_nursery() as nursery:
        for starter in starters:
            nursery.start_soon(starter.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def test_one_list_is_enough(autojump_clock: MockClock) -> None:
    """The others hear it, also from one who has only heard it, too."""
    network = MemoryNetwork()
    chain = [
        Starter(network, 0, bootstrap=ADDRESSES),
        Starter(network, 1, seeds=ADDRESSES[:1]),
        Starter(network, 2, seeds=ADDRESSES[1:2]),
    ]
    async with started(chain[2], chain[1], chain[0]):
        await trio.sleep(10)
        assert len({starter.identity.cluster_id for starter in chain}) == 1
        assert chain[0].identity.cluster_id
        assert [member[1] for member in chain[2].identity.members] == ADDRESSES


async def test_seeds_alone_found_nothing(autojump_clock: MockClock) -> None:
    """However long they wait."""
    network = MemoryNetwork()
    pair = [Starter(network, 0, seeds=ADDRESSES[1:]), Starter(network, 1, seeds=ADDRESSES)]
    async with started(*pair):
        await trio.sleep(3600)
        assert [starter.identity.cluster_id for starter in pair] == [None, None]
        assert "looks for its cluster, too" in pair[1].seeking.last_error or "ConnectRefused" not in (
            pair[1].seeking.last_error
        )


async def test_a_founding_without_this_node(autojump_clock: MockClock) -> None:
    """It waits while the others found, and is refused once they have."""
    network = MemoryNetwork()
    founders = [Starter(network, number, bootstrap=ADDRESSES[:2]) for number in range(2)]
    third = Seeking(
        memory_environment(network, seed=9),
        NodeConfig(data_dir="d", listen=ADDRESSES[2], seeds=ADDRESSES[:1]),
        b"3" * 16,
        quiet_log(),
    )
    async with started(founders[0]) as nursery:
        with trio.move_on_after(30) as waiting:
            await third.run()
        assert waiting.cancelled_caught
        assert f"not of {ADDRESSES[2]}" in third.last_error
        nursery.start_soon(founders[1].run)
        await trio.sleep(5)
        with pytest.raises(Conflict, match="join as a new member"):
            await third.run()


async def test_a_wiped_disk_is_told_what_to_do(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    founders = [Starter(network, number, bootstrap=ADDRESSES) for number in range(3)]
    async with started(*founders):
        await trio.sleep(5)
        config = NodeConfig(data_dir="d", listen=ADDRESSES[2], seeds=ADDRESSES)
        wiped = Seeking(memory_environment(network), config, b"w" * 16, quiet_log())
        with pytest.raises(Conflict, match=r"address of node 2.*runs on.*haq node replace"):
            await wiped.run()


async def test_an_older_release_tells_no_list(autojump_clock: MockClock) -> None:
    """Its answer has a field less; it counts once the cluster is there."""
    network = MemoryNetwork()
    port = await network.listen(peer_address(ADDRESSES[0]))
    mine = b"3" * 16
    cluster: list[list[Any]] = [[b"0" * 16, b"", []]]

    async def serve(stream: Stream) -> None:
        await receive_frame(stream, Decoder(1 << 16))
        await stream.send_all(encode(PeerOp.FOUNDED, cluster[-1]))

    async def older() -> None:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(serve, await port.accept())

    config = NodeConfig(data_dir="d", listen=ADDRESSES[2], seeds=ADDRESSES[:1])
    seeking = Seeking(memory_environment(network), config, mine, quiet_log())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(older)
        with trio.move_on_after(10) as waiting:
            await seeking.run()
        assert waiting.cancelled_caught
        cluster.append([b"0" * 16, b"c" * 16, [[0, ADDRESSES[2], mine]]])
        assert await seeking.run() == Founded(b"c" * 16, ((0, ADDRESSES[2], mine),))
        nursery.cancel_scope.cancel()
