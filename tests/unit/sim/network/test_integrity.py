"""Whatever goes wrong, a stream gives a first part of what was sent on it; all of it, if it ends in order."""

from functools import partial

import pytest
import trio

from haqactor.env import NetworkError, Stream
from haqactor.sim.network import Fabric, SimNetwork
from haqactor.sim.network.partitions import apply
from haqactor.sim.world import NS, World
from tests.unit.sim.network.net import MS
from tests.unit.sim.network.test_determinism import STORMY

HEAD = 4


class Letters:
    """``sent``: on each stream, by number, as far as the sender knows that it was taken. ``came``: what was
    heard of each; ``complete``: those that ended in order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fabric = Fabric(world, STORMY, dial_timeout_ns=NS, silence_share=0.2)
        self.sent: dict[int, bytearray] = {}
        self.came: dict[int, bytes] = {}
        self.complete: list[int] = []

    async def write(self, network: SimNetwork, to: str) -> None:
        """A stream after the other."""
        draw = self.world.random("writer", network.name, to)
        while True:
            try:
                stream = await network.dial(f"{to}:1")
                number = len(self.sent)
                out = self.sent[number] = bytearray(number.to_bytes(HEAD, "big"))
                await stream.send_all(bytes(out))
                for _ in range(draw.randrange(20)):
                    piece = draw.randbytes(draw.randrange(1, 3000))
                    out += piece
                    if draw.random() < 0.5:
                        taken = stream.send_now(piece)
                        piece = piece[taken:]
                    await stream.send_all(piece)
                    await trio.sleep(draw.random() * 0.02)
                if draw.random() < 0.5:
                    await stream.aclose()
                else:
                    stream.abort()
            except NetworkError:
                await trio.sleep(0.02)

    async def read(self, stream: Stream) -> None:
        """Until it ends, one way or the other."""
        came = b""
        ended = False
        try:
            while data := await stream.receive_some(1 + len(came) % 977):
                came += data
                if len(came) >= HEAD:
                    self.came[int.from_bytes(came[:HEAD], "big")] = came
            ended = True
        except NetworkError:
            stream.abort()
        else:
            await stream.aclose()
        if ended and len(came) >= HEAD:
            self.complete.append(int.from_bytes(came[:HEAD], "big"))

    async def program(self, name: str) -> None:
        """Reads from all, writes to two others."""
        network = SimNetwork(self.fabric, self.world.hosts[name])
        listener = await network.listen(f"{name}:1")
        async with trio.open_nursery() as nursery:
            for to in ("n1", "n2", "n3"):
                nursery.start_soon(self.write, network, to)
            while True:
                nursery.start_soon(self.read, await listener.accept())


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_gives_a_first_part_of_what_was_sent(seed: int) -> None:
    """Through resets, clogs, partitions, crashes, restarts and pauses."""
    with World(seed) as world:
        letters = Letters(world)
        names = ("n1", "n2", "n3")
        for name in names:
            world.host(name).start(partial(letters.program, name))
        draw = world.random("plan")
        for number in range(8):
            name, other, third = draw.sample(names, 3)
            at_ns = number * NS // 2
            world.call_at(at_ns, partial(apply, letters.fabric, "isolate", name))
            world.call_at(at_ns + 150 * MS, partial(apply, letters.fabric, "heal"))
            world.call_at(at_ns + 200 * MS, world.hosts[third].pause)
            world.call_at(at_ns + 300 * MS, world.hosts[third].resume)
            world.call_at(at_ns + 350 * MS, world.hosts[other].crash)
            world.call_at(
                at_ns + 400 * MS, partial(world.hosts[other].start, partial(letters.program, other))
            )
        world.run(4 * NS)
        assert all(host.error is None for host in world.hosts.values())
        for number, came in letters.came.items():
            assert letters.sent[number].startswith(came)
        whole = [number for number in letters.complete if letters.came[number] == bytes(letters.sent[number])]
        assert len(letters.came) > 60
        assert len(whole) > 10
        cut_short = len(letters.complete) - len(whole)
        assert cut_short == 0 or letters.fabric.counts.get("crash-end"), "only a kill ends a stream half-way"
