"""A cluster is founded once, by all who are named, and never beside another."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from haqactor.config import NodeConfig, peer_address
from haqactor.env import Stream
from haqactor.errors import ConfigError, Conflict
from haqactor.frame import encode
from haqactor.journal.identity import Identity
from haqactor.nodes.founding import Founding, Member, check_identity, cluster_id, own_address
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
            self.founding = Founding(self.env, self.config, self.identity.nonce)
            cluster, self.members = await self.founding.run()
            self.identity = replace(self.identity, cluster_id=cluster, members=self.members)


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
        with pytest.raises(
            Conflict, match=r"address of node 2, with another disk.* runs on .* `haq node replace`"
        ):
            await founding.run()


async def test_one_alone_is_a_cluster() -> None:
    """Without a list, and without a port."""
    founding = Founding(memory_environment(), NodeConfig(data_dir="data"), b"n" * 16)
    members = ((0, "local:0", b"n" * 16),)
    assert await founding.run() == (cluster_id(members), members)


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
    assert founding.founded is None
    assert vars(founding)["_nonces"] == {ADDRESSES[0]: b"n" * 16}


async def test_another_list_is_no_founding(autojump_clock: MockClock) -> None:
    """Also one in another order: the id is a hash of it, so that two clusters would begin."""
    network = MemoryNetwork()
    first = Founder(network, 0)
    async with started(first):
        await trio.sleep(1)
        config = NodeConfig(data_dir="data", listen=ADDRESSES[1], bootstrap=ADDRESSES[::-1])
        founding = Founding(memory_environment(network), config, b"1" * 16)
        with pytest.raises(Conflict, match="same list, in the same order"):
            await founding.run()


async def test_the_id_is_the_clusters_whoever_moved_since(autojump_clock: MockClock) -> None:
    """Who adopts late is told the id, and does not make it of addresses that are others by now."""
    network = MemoryNetwork()
    founders = [Founder(network, number) for number in range(3)]
    async with started(*founders):
        await trio.sleep(5)
        for founder in founders:
            members = founder.identity.members
            moved = (members[0], (1, "127.0.0.1:9010", members[1][2]), members[2])
            founder.identity = replace(founder.identity, members=moved)
        again = Founding(founders[2].env, founders[2].config, founders[2].identity.nonce)
        found = await again.run()
        assert found.cluster == founders[0].identity.cluster_id
        assert found.members[1][1] == "127.0.0.1:9010"


def identity_of(founder_addresses: list[str], node: int, now: dict[int, str] | None = None) -> Identity:
    """A founded directory; ``now``: who is elsewhere by now."""
    members = tuple(
        (number, address, bytes([number]) * 16) for number, address in enumerate(founder_addresses)
    )
    moved = tuple((number, (now or {}).get(number, address), nonce) for number, address, nonce in members)
    return Identity(nonce=bytes([node]) * 16, cluster_id=cluster_id(members), node_id=node, members=moved)


MOVED = "127.0.0.1:9000"


def settings(listen: str | None, **more: Any) -> NodeConfig:
    return NodeConfig(data_dir="data", listen=listen, **more)


@pytest.mark.parametrize(
    ("config", "now"),
    [
        (settings(ADDRESSES[0], bootstrap=ADDRESSES), {}),
        (settings(ADDRESSES[0], bootstrap=ADDRESSES), {1: MOVED}),
        (settings(ADDRESSES[0], bootstrap=ADDRESSES), {0: MOVED}),
        (settings(ADDRESSES[0], bootstrap=[ADDRESSES[0], MOVED, ADDRESSES[2]]), {1: MOVED}),
        (settings(ADDRESSES[0]), {}),
        (settings(MOVED), {}),
        (settings(MOVED, seeds=ADDRESSES), {}),
        (settings(MOVED, bootstrap=[MOVED, *ADDRESSES[1:]], seeds=ADDRESSES[1:]), {0: MOVED}),
    ],
    ids=["as founded", "a peer moved", "moved back", "the list of now", "nothing", "moved", "seeds", "both"],
)
def test_a_directory_that_may_serve(config: NodeConfig, now: dict[int, str]) -> None:
    check_identity(config, identity_of(ADDRESSES, 0, now))


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (settings(ADDRESSES[1], bootstrap=ADDRESSES), "address of node 1"),
        (settings(ADDRESSES[1], seeds=ADDRESSES), "address of node 1"),
        (settings(ADDRESSES[0], bootstrap=[ADDRESSES[0], MOVED, ADDRESSES[2]]), "belongs to the cluster of"),
        (settings(ADDRESSES[0], bootstrap=ADDRESSES[:1]), "belongs to the cluster of"),
        (settings(None), "set listen"),
    ],
    ids=["swapped", "swapped with seeds", "another list", "a shorter list", "no port"],
)
def test_a_directory_of_somebody_else(config: NodeConfig, why: str) -> None:
    """A mistake, and none that moving a node explains."""
    with pytest.raises(ConfigError, match=why):
        check_identity(config, identity_of(ADDRESSES, 0))


def test_a_list_that_has_this_address_at_anothers_place() -> None:
    """Node 0 is at an address that its cluster never had for it."""
    founders = [*ADDRESSES, MOVED]
    identity = identity_of(founders, 3, {3: "127.0.0.1:9999"})
    with pytest.raises(ConfigError, match="belongs to node 3"):
        check_identity(settings(ADDRESSES[0], bootstrap=founders), identity)
