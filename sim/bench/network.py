"""How many messages a CPU second the simulated network carries.

One rule: the nodes do nothing but cut frames and send them back, so that the figure is that of the engine: of
the world's events, the hosts' schedules, the links and the trace's hash.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from haqactor.env import Stream
from haqactor.sim.host import Host
from haqactor.sim.network import Fabric, SimNetwork
from haqactor.sim.search.stopwatch import cpu_s
from haqactor.sim.world import World

HEAD: Final = 4
FRAME: Final = (96).to_bytes(HEAD, "big") + bytes(96)
PORT: Final = 7420
LIMIT_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Carried:
    """``messages``: frames that arrived, both ways; ``cpu_s``: what they cost; ``virtual_s``: how long they
    took in the world; ``digest``: of all that happened."""

    messages: int
    cpu_s: float
    virtual_s: float
    digest: str

    @property
    def rate(self) -> float:
        """Messages a CPU second."""
        return self.messages / self.cpu_s


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rest = b""

    async def some(self) -> int:
        """Wait for at least one whole frame; returns how many there are. 0: the peer closed."""
        while True:
            data = await self._stream.receive_some()
            if not data:
                return 0
            data = self._rest + data
            count = at = 0
            while len(data) - at >= HEAD:
                end = at + HEAD + int.from_bytes(data[at : at + HEAD], "big")
                if end > len(data):
                    break
                at, count = end, count + 1
            self._rest = data[at:]
            if count:
                return count


async def echo(stream: Stream) -> None:
    """Send each frame back."""
    frames = Frames(stream)
    while count := await frames.some():
        for _ in range(count):
            await stream.send_all(FRAME)
    await stream.aclose()


async def ask(stream: Stream, count: int, depth: int) -> None:
    """``count`` frames there and back, ``depth`` of them at a time under way."""
    frames = Frames(stream)
    sent = 0
    for _ in range(min(depth, count)):
        await stream.send_all(FRAME)
        sent += 1
    came = 0
    while came < count:
        some = await frames.some()
        came += some
        for _ in range(min(some, count - sent)):
            await stream.send_all(FRAME)
            sent += 1
    await stream.aclose()


def measure(nodes: int = 3, count: int = 10_000, depth: int = 1, seed: int = 1) -> Carried:
    """Each node echoes for all others, and asks ``count`` frames of the next one."""
    with World(seed) as world:
        fabric = Fabric(world)
        hosts = [world.host(f"n{number}") for number in range(nodes)]
        done: list[str] = []

        async def node(host: Host, peer: str) -> None:
            network = SimNetwork(fabric, host)
            listener = await network.listen(f"{host.name}:{PORT}")
            await trio.sleep(0.01)
            async with trio.open_nursery() as nursery:

                async def asking() -> None:
                    await ask(await network.dial(f"{peer}:{PORT}"), count, depth)
                    done.append(host.name)

                nursery.start_soon(asking)
                while True:
                    nursery.start_soon(echo, await listener.accept())

        for host, peer in zip(hosts, [*hosts[1:], hosts[0]], strict=True):
            host.start(partial(node, host, peer.name))
        began = cpu_s()
        world.run_while(lambda: len(done) < nodes, LIMIT_NS)
        spent = cpu_s() - began
        if len(done) < nodes:
            raise RuntimeError("the nodes hang")
        return Carried(2 * nodes * count, spent, world.now_ns / 1e9, world.trace.digest())
