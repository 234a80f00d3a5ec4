"""One seed is one history, with every fault switched on; another seed is another one."""

import subprocess
import sys
from functools import partial

import trio

from haqactor.env import NetworkError, Stream
from haqactor.sim.network import Fabric, LinkSettings, SimNetwork
from haqactor.sim.network.partitions import apply
from haqactor.sim.world import NS, World

MS = 1_000_000
NAMES = ("n1", "n2", "n3")
STORMY = LinkSettings(
    window_bytes=2000,
    buffer_bytes=1000,
    split_share=0.3,
    chop_share=0.2,
    clog_share=0.01,
    clog_mean_ns=50 * MS,
    dial_loss_share=0.1,
    reset_share=0.02,
    half_open_share=0.3,
    late_share=0.3,
    late_mean_ns=100 * MS,
)
SCRIPT = "from tests.unit.sim.network.test_determinism import storm; print(storm(5)[0])"


def storm(seed: int) -> tuple[str, dict[str, int]]:
    """Three hosts that talk to each other for three seconds through all that can go wrong. Returns the
    trace's digest and what went wrong how often."""
    with World(seed) as world:
        fabric = Fabric(world, STORMY, dial_timeout_ns=NS, silence_share=0.3)

        async def echo(stream: Stream) -> None:
            try:
                while data := await stream.receive_some():
                    await stream.send_all(data)
                await stream.aclose()
            except NetworkError:
                stream.abort()

        async def program(name: str) -> None:
            network = SimNetwork(fabric, world.hosts[name])
            listener = await network.listen(f"{name}:1")

            async def accept() -> None:
                while True:
                    nursery.start_soon(echo, await listener.accept())

            async def ask(peer: str) -> None:
                while True:
                    try:
                        stream = await network.dial(f"{peer}:1")
                        try:
                            while True:
                                await stream.send_all(name.encode() * 100)
                                with trio.move_on_after(0.2) as scope:
                                    await stream.receive_some()
                                if scope.cancelled_caught:
                                    break
                                await trio.sleep(0.02)
                        finally:
                            stream.abort()
                    except NetworkError:
                        await trio.sleep(0.05)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(accept)
                for peer in NAMES:
                    nursery.start_soon(ask, peer)

        for name in NAMES:
            world.host(name).start(partial(program, name))
        draw = world.random("plan")
        for number in range(6):
            name, other = draw.sample(NAMES, 2)
            at_ns = number * NS // 2
            world.call_at(at_ns, partial(apply, fabric, "isolate", name))
            world.call_at(at_ns + 200 * MS, partial(apply, fabric, "heal"))
            world.call_at(at_ns + 250 * MS, world.hosts[other].crash)
            world.call_at(at_ns + 300 * MS, partial(world.hosts[other].start, partial(program, other)))
        world.run(3 * NS)
        return world.trace.digest(), fabric.counts


def test_one_seed_is_one_history() -> None:
    """And the other seed another; everything went wrong at least once."""
    digest, counts = storm(5)
    assert storm(5) == (digest, counts)
    assert storm(6)[0] != digest
    wanted = {"reset", "half-open", "late", "clog", "dial-lost", "cut", "partition", "broken"}
    assert wanted <= set(counts), counts


def test_another_process_gives_the_same() -> None:
    """Whatever its hashes of strings are."""
    found = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": hashseed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hashseed in ("1", "777")
    ]
    assert found == [storm(5)[0]] * 2
