"""The shell of membership: what goes over the port, what is bounded, and what of it is told."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from haqactor.config import Limits, NodeConfig, gossip_address
from haqactor.env import Datagrams, Stream, StreamReset
from haqactor.nodes import gossip as shell
from haqactor.nodes.context import Context
from haqactor.nodes.gossip import OUTBOX_PACKETS_MAX, SERVED_MAX, Gossip
from haqactor.nodes.ports import GossipPorts
from haqactor.swim.config import SwimConfig
from haqactor.swim.member import BOOT_SHIFT, Member, Status
from haqactor.swim.messages import Packet as SwimPacket
from haqactor.swim.messages import Pull
from haqactor.swim.packet import encode
from tests.builders.memory_environment import MemoryNetwork, memory_environment
from tests.builders.node_context import address_of, node_context

QUICK = Limits(probe_interval=0.2, rejoin_max=1.0)


class Peer:
    """One node as far as membership goes."""

    def __init__(self, network: MemoryNetwork, node: int, *, boot: int = 1, limits: Limits = QUICK) -> None:
        self.network = network
        env = memory_environment(network, seed=node + 10 * boot)
        context, journal = node_context(node, env=env, limits=limits, boot=boot)
        vars(journal)["statistics"] = lambda: type("S", (), {"segments": 1})
        context.config = NodeConfig(data_dir="data", listen=address_of(node), insecure=True, limits=limits)
        self.context: Context = context
        self.changes: list[tuple[int, Status]] = []
        self.ports: GossipPorts | None = None
        self.gossip: Gossip | None = None
        self.scope = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        at = gossip_address(address_of(self.context.node))
        self.ports = GossipPorts(await self.network.datagrams(at), await self.network.listen(at))
        self.gossip = Gossip(self.context, self.ports, self.changed, lambda: 3)
        task_status.started()
        with self.scope:
            await self.gossip.run()
        with trio.CancelScope(shield=True):
            for port in self.ports:
                await port.aclose()

    def changed(self, member: Member, was: Member | None) -> None:
        self.changes.append((member.node, member.status))

    @property
    def running(self) -> Gossip:
        assert self.gossip is not None
        return self.gossip

    def sees(self) -> dict[int, Status]:
        return {member.node: member.status for member in self.running.core.members()}


@asynccontextmanager
async def started(*peers: Peer) -> AsyncGenerator[trio.Nursery, None]:
    async with trio.open_nursery() as nursery:
        for peer in peers:
            await nursery.start(peer.run)
        yield nursery
        nursery.cancel_scope.cancel()


def three(network: MemoryNetwork) -> list[Peer]:
    return [Peer(network, node) for node in range(3)]


async def test_they_find_each_other_and_see_a_death(autojump_clock: MockClock) -> None:
    """From the founding list alone; who comes back speaks above what it said before."""
    network = MemoryNetwork()
    peers = three(network)
    async with started(*peers) as nursery:
        await trio.sleep(2)
        assert [peer.sees() for peer in peers] == [dict.fromkeys(range(3), Status.ALIVE)] * 3
        assert peers[0].running.core.me.incarnation == 1 << BOOT_SHIFT
        peers[2].scope.cancel()
        await trio.sleep(3)
        assert peers[0].sees()[2] is peers[1].sees()[2] is Status.DEAD
        assert (2, Status.SUSPECT) in peers[0].changes
        again = Peer(network, 2, boot=2)
        await nursery.start(again.run)
        await trio.sleep(3)
        assert peers[0].sees()[2] is Status.ALIVE
        assert again.sees() == dict.fromkeys(range(3), Status.ALIVE)


async def test_goodbye_gets_round(autojump_clock: MockClock) -> None:
    """Within the moment that a leaving node stays."""
    network = MemoryNetwork()
    peers = three(network)
    async with started(*peers):
        await trio.sleep(2)
        began = trio.current_time()
        await peers[1].running.leave()
        peers[1].scope.cancel()
        assert trio.current_time() - began < 1
        await trio.sleep(0.5)
        assert peers[0].sees()[1] is peers[2].sees()[1] is Status.LEFT


async def test_one_alone_says_goodbye_to_nobody(autojump_clock: MockClock) -> None:
    alone = Peer(MemoryNetwork(), 0)
    async with started(alone):
        for number in (1, 2):
            assert alone.sees()[number] is Status.ALIVE  # as far as it knows
        await trio.sleep(30)
        assert alone.sees()[1] is Status.DEAD
        began = trio.current_time()
        await alone.running.leave()
        assert trio.current_time() == began


async def test_garbage_is_counted_and_told_once(autojump_clock: MockClock) -> None:
    """And neither datagrams nor streams of it end anything."""
    network = MemoryNetwork()
    peers = three(network)
    stranger = await network.datagrams("x:1")
    async with started(*peers):
        await trio.sleep(2)
        at = gossip_address(address_of(0))
        for size in range(50):
            await stranger.send(b"HAQG\x01" + bytes(size), at)
        for request in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x05\0\0\0hello", b"\x05\0\0\0he"):
            stream = await network.dial(at)
            await stream.send_all(request)
            await stream.aclose()
        await trio.sleep(2)
        counted = peers[0].running.status()
        assert counted["bad"] == 51
        assert counted["gossip_bad"] == 54
        assert peers[0].sees() == dict.fromkeys(range(3), Status.ALIVE)
        assert peers[0].running.core.me.incarnation == 1 << BOOT_SHIFT


async def test_another_cluster_is_not_answered(autojump_clock: MockClock) -> None:
    """A pull with another id gets no table."""
    network = MemoryNetwork()
    peers = three(network)
    async with started(*peers):
        data = encode(SwimPacket(b"x" * 16, "x:1", Pull()), bytes(16))
        stream = await network.dial(gossip_address(address_of(0)))
        await stream.send_all(len(data).to_bytes(4, "little") + data)
        with trio.fail_after(2):
            assert not await _rest(stream)
        assert peers[0].running.status()["foreign"] == 1


async def _rest(stream: Stream) -> bytes:
    """What still comes: nothing, whether the other end closes or breaks."""
    with suppress(StreamReset):
        return await stream.receive_some()
    return b""


async def test_streams_that_say_nothing_are_bounded(autojump_clock: MockClock) -> None:
    """In number and in time."""
    network = MemoryNetwork()
    peer = Peer(network, 0, limits=replace(QUICK, handshake=1.0))
    async with started(peer):
        at = gossip_address(address_of(0))
        streams = [await network.dial(at) for _ in range(SERVED_MAX + 5)]
        await trio.sleep(0.5)
        assert peer.context.gauges["gossip_streams_refused"] == 5
        await trio.sleep(1)
        with trio.fail_after(0.1):
            for stream in streams:
                await _rest(stream)


class Stuck:
    """A port that takes nothing."""

    address = "n0:7002"

    async def send(self, data: object, to: str) -> None:
        await trio.sleep_forever()

    async def receive(self) -> tuple[bytes, str]:
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None: ...


async def test_the_outbox_is_bounded(autojump_clock: MockClock) -> None:
    """What does not leave is dropped, counted, and told again some other time."""
    network = MemoryNetwork()
    peer = Peer(network, 0)
    streams = await network.listen(gossip_address(address_of(0)))
    stuck: Datagrams = Stuck()
    peer.gossip = Gossip(peer.context, GossipPorts(stuck, streams), peer.changed, lambda: 0)
    with trio.move_on_after(0.5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.gossip.run)
            await trio.lowlevel.checkpoint()
            for _ in range(2 * OUTBOX_PACKETS_MAX):
                peer.gossip.core.leave(peer.context.now())
                getattr(peer.gossip, "_perform")()  # noqa: B009
            assert peer.context.gauges["gossip_dropped"] >= OUTBOX_PACKETS_MAX
            await trio.sleep_forever()


async def test_run_again_it_speaks_above_itself(autojump_clock: MockClock) -> None:
    """After a failure of the actor the same start goes on; nobody hears less than before."""
    network = MemoryNetwork()
    peers = three(network)
    async with started(*peers[:2]):
        await trio.sleep(1)
        ports = GossipPorts(await network.datagrams("n9:1"), await network.listen("n9:1"))
        again = Gossip(peers[2].context, ports, peers[2].changed, lambda: 0)
        with trio.move_on_after(1):
            await again.run()
        said = again.core.me.incarnation
        with trio.move_on_after(1):
            await again.run()
        assert again.core.me.incarnation > said


async def test_load_is_told_when_it_changes(autojump_clock: MockClock) -> None:
    """Not before ten periods are over, and only what is noticeably different."""
    network = MemoryNetwork()
    peers = three(network)
    load = {"clients": 3}
    async with started(*peers):
        vars(peers[0].running)["_clients"] = lambda: load["clients"]
        await trio.sleep(5)
        before = peers[0].running.core.me.incarnation
        load["clients"] = 4
        await trio.sleep(5)
        assert peers[0].running.core.me.incarnation == before
        load["clients"] = 40
        await trio.sleep(5)
        me = peers[0].running.core.me
        assert me.incarnation == before + 1
        assert me in peers[1].running.core.members()


async def test_a_late_wake_is_a_stall(autojump_clock: MockClock) -> None:
    """What the loop did not do in time nobody else is blamed for."""
    network = MemoryNetwork()
    peers = three(network)
    async with started(*peers):
        await trio.sleep(2)
        autojump_clock.jump(5)  # the loop stood still
        await trio.sleep(0.1)
        for peer in peers:
            assert peer.running.status()["stalls"] >= 1
            assert peer.running.status()["deaths"] == 0


def test_times_are_in_proportion() -> None:
    """The defaults are those of the core."""
    context, _journal = node_context(limits=Limits())
    assert shell.swim_config(context) == SwimConfig()


@pytest.mark.parametrize("address", ["", "x", "x:y", "x:65534"])
def test_an_address_that_is_none_goes_nowhere(address: str) -> None:
    """Or to a port that no system has, which the network takes for silence."""
    context, _journal = node_context()
    streams: Any = None
    place: Any = getattr(Gossip, "_place")  # noqa: B009
    fake = type("G", (), {"_places": {}, "_config": shell.swim_config(context), "_ports": streams})()
    assert place(fake, address) in ("", "x:65536")
    assert place(fake, address) in ("", "x:65536")
