"""The relay passes, cuts, stalls, delays and resets, one way or both, TCP and UDP."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from tests.chaos.conditions import CALM, Condition, Mode, Way, worst
from tests.chaos.relay import Relay
from tests.chaos.routed_network import RoutedNetwork
from tests.chaos.topology import HOST, Topology, Wire, free_ports, lay_out

PAIR = ("n0", "n1")
STALL, CUT, RESET = Way(Mode.STALL), Way(Mode.CUT), Way(Mode.RESET)


async def echo(stream: trio.SocketStream) -> None:
    try:
        async for piece in stream:
            await stream.send_all(piece)
    except trio.BrokenResourceError:
        pass


def wire(topology: Topology, source: str, target: str, kind: str = "peer") -> Wire:
    return next(
        each for each in topology.wires if (each.source, each.target, each.kind) == (source, target, kind)
    )


@asynccontextmanager
async def relayed() -> AsyncGenerator[tuple[Relay, Wire]]:
    """Two nodes; ``n1`` echoes on its peers' port."""
    ports = free_ports(range(0))
    listen = {name: next(ports) for name in PAIR}
    topology = lay_out(listen, ("c0",), ports)
    relay = Relay(topology)
    there = wire(topology, *PAIR)
    async with trio.open_nursery() as nursery:
        with trio.fail_after(20):
            await nursery.start(relay.run)
            await nursery.start(partial(trio.serve_tcp, echo, there.target_port, host=HOST))
            for name in PAIR:
                relay.node_is(name, up=True)
            await trio.testing.wait_all_tasks_blocked()
            yield relay, there
        nursery.cancel_scope.cancel()


async def dial(there: Wire) -> trio.SocketStream:
    return await trio.open_tcp_stream(HOST, there.port)


async def says(stream: trio.SocketStream, text: bytes) -> bytes:
    await stream.send_all(text)
    return await stream.receive_some(100)


async def test_passes_bytes_both_ways_and_the_end() -> None:
    async with relayed() as (relay, there), await dial(there) as stream:
        assert await says(stream, b"hello") == b"hello"
        await stream.send_eof()
        assert await stream.receive_some() == b""
        assert relay.links[PAIR].there.bytes == relay.links[PAIR].back.bytes == 5


async def test_refuses_for_a_node_that_is_not_there() -> None:
    async with relayed() as (relay, there):
        relay.node_is("n1", up=False)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match=r"all attempts|refused"):
            await dial(there)
        relay.node_is("n1", up=True)
        await trio.testing.wait_all_tasks_blocked()
        async with await dial(there) as stream:
            assert await says(stream, b"back") == b"back"


async def test_a_cut_drops_what_is_there_and_refuses() -> None:
    async with relayed() as (relay, there), await dial(there) as stream:
        assert await says(stream, b"a") == b"a"
        relay.impose("cut", {PAIR: Condition(CUT)})
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match=r"all attempts|refused"):
            await dial(there)
        relay.lift("cut")
        await trio.testing.wait_all_tasks_blocked()
        async with await dial(there) as again:
            assert await says(again, b"b") == b"b"


@pytest.mark.parametrize("condition", [Condition(STALL), Condition(back=STALL)])
async def test_a_stalled_way_accepts_and_passes_nothing_until_it_is_lifted(condition: Condition) -> None:
    async with relayed() as (relay, there):
        relay.impose("stall", {PAIR: condition})
        async with await dial(there) as stream:
            await stream.send_all(b"late")
            with trio.move_on_after(0.2) as scope:
                await stream.receive_some()
            assert scope.cancelled_caught
            link = relay.links[PAIR]
            assert link.there.bytes == (0 if condition.there is STALL else 4)
            relay.lift("stall")
            assert await stream.receive_some() == b"late"


async def test_a_delay_makes_each_way_late() -> None:
    async with relayed() as (relay, there), await dial(there) as stream:
        late = Way(Mode.DELAY, 0.1)
        relay.impose("late", {PAIR: Condition(late, late)})
        began = trio.current_time()
        assert await says(stream, b"x") == b"x"
        assert trio.current_time() - began >= 0.2


async def test_a_reset_ends_connections_that_are_there_and_new_ones() -> None:
    async with relayed() as (relay, there), await dial(there) as stream:
        assert await says(stream, b"x") == b"x"
        relay.impose("reset", {PAIR: Condition(RESET)})
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        async with await dial(there) as again:
            with pytest.raises(trio.BrokenResourceError):
                await says(again, b"y")


async def test_one_links_condition_leaves_the_others_alone() -> None:
    async with relayed() as (relay, there), await dial(there) as stream:
        relay.impose("other way", {("n1", "n0"): Condition(CUT, CUT), ("c0", "n1"): Condition(STALL)})
        assert await says(stream, b"x") == b"x"


async def test_a_link_that_is_not_there_is_refused() -> None:
    async with relayed() as (relay, _there):
        with pytest.raises(KeyError):
            relay.impose("nobody", {("n0", "n7"): CALM})


async def test_the_worst_of_several_faults_counts() -> None:
    slow, slower = Way(Mode.DELAY, 0.1), Way(Mode.DELAY, 0.2)
    assert worst([]) == CALM
    assert worst([Condition(slow), Condition(slower, CUT)]) == Condition(slower, CUT)
    async with relayed() as (relay, there), await dial(there) as stream:
        relay.impose(1, {PAIR: Condition(STALL)})
        relay.impose(2, {PAIR: Condition(slow)})
        relay.lift(1)
        assert relay.condition(PAIR) == Condition(slow)
        assert await says(stream, b"x") == b"x"


async def test_datagrams_pass_and_their_answers_find_back() -> None:
    async with relayed() as (relay, _there):
        topology = relay.topology
        to_n1, to_n0 = wire(topology, "n0", "n1", "gossip"), wire(topology, "n1", "n0", "gossip")
        with (
            trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
            trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
        ):
            await first.bind((HOST, to_n0.target_port))
            await second.bind((HOST, to_n1.target_port))
            await first.sendto(b"ping", (HOST, to_n1.port))
            payload, sender = await second.recvfrom(100)
            assert (payload, sender) == (b"ping", (HOST, to_n0.port))
            await second.sendto(b"pong", sender)
            assert await first.recvfrom(100) == (b"pong", (HOST, to_n1.port))
            late = Way(Mode.DELAY, 0.1)
            for mode in (STALL, CUT, RESET, late):
                relay.impose("way", {PAIR: Condition(mode)})
                began = trio.current_time()
                await first.sendto(b"again", (HOST, to_n1.port))
                with trio.move_on_after(2 if mode is late else 0.1) as scope:
                    await second.recvfrom(100)
                assert scope.cancelled_caught is (mode is not late)
                assert trio.current_time() - began >= 0.1


async def test_a_routed_network_knows_real_addresses_only() -> None:
    async with relayed() as (relay, there):
        topology = relay.topology
        to_n1, to_n0 = wire(topology, "n0", "n1", "gossip"), wire(topology, "n1", "n0", "gossip")
        real = {"n0": f"{HOST}:{to_n0.target_port}", "n1": f"{HOST}:{to_n1.target_port}"}
        networks = {name: RoutedNetwork(topology.routes(name)) for name in PAIR}
        first, second = [await networks[name].datagrams(real[name]) for name in PAIR]
        await first.send(b"ping", real["n1"])
        assert await second.receive() == (b"ping", real["n0"])
        await second.send(b"pong", real["n0"])
        assert await first.receive() == (b"pong", real["n1"])
        link = relay.links[PAIR].there
        assert link.datagrams == 1
        stream = await networks["n0"].dial(f"{HOST}:{there.target_port}")
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"
        assert link.bytes == 5
        for each in (first, second, stream):
            await each.aclose()
