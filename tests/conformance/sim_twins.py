"""The simulated twins as a world to be tested. One rule: each test is one program on one host of a world of
its own, under that host's virtual clock.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from haqactor.env import Disk, Environment
from haqactor.sim import world as simulated
from haqactor.sim.disk import Kind, Medium, SimDisk
from haqactor.sim.environment import Marks, environment
from haqactor.sim.host import Host
from haqactor.sim.network import Fabric, LinkSettings, SimNetwork
from tests.conformance.world import Body, World

NAME: Final = "n1"
OTHER: Final = "n2"
DIRECTORY: Final = "/data/test"
TODAY_NS: Final = 1_790_000_000_000_000_000
LIMIT_NS: Final = 3_600_000_000_000


ROUGH: Final = LinkSettings(
    delay_mean_ns=2_000_000,
    bandwidth=50_000_000,
    window_bytes=140_000,
    buffer_bytes=3_000,
    split_share=0.5,
    chop_share=0.5,
    clog_share=0.01,
    clog_mean_ns=5_000_000,
    discard_share=1.0,
)
"""Small buffers, many pieces, uneven delays; nothing is lost."""


class SimTwins:
    """One simulated host that is two machines to the network, with a link between them. ``seed`` decides
    delays and the schedule; ``alone``: both are the same machine."""

    def __init__(self, seed: int = 1, settings: LinkSettings | None = None, *, alone: bool = False) -> None:
        self._seed = seed
        self._settings = settings
        self._other = NAME if alone else OTHER

    def run(self, body: Body) -> None:
        """Until the body has ended; its error comes out as it is."""
        with simulated.World(self._seed) as world:
            host = world.host(NAME, wall_offset_ns=TODAY_NS)
            medium = Medium(self._seed, NAME)
            ended: list[None] = []

            async def main() -> None:
                await body(await self._described(world, host, medium))
                ended.append(None)

            world.run_program(NAME, main, LIMIT_NS)
            assert ended, "the body hangs"

    async def _described(self, world: simulated.World, host: Host, medium: Medium) -> World:
        drawn = 0

        def disk() -> Disk:
            nonlocal drawn
            drawn += 1
            return SimDisk(medium, host, world.random("disk", NAME, host.incarnation, drawn))

        @contextmanager
        def failing_syncs() -> Generator[None, None, None]:
            medium.faults.switch_on(Kind.SYNC_ERROR)
            try:
                yield
            finally:
                medium.faults.switch_off(Kind.SYNC_ERROR)

        fabric = Fabric(world, self._settings)

        def env(name: str) -> Environment:
            return environment(host, SimNetwork(fabric, host, name), disk(), Marks())

        await disk().make_directory(DIRECTORY)
        return World(
            env=env(NAME),
            other=env(self._other),
            host=NAME,
            other_host=self._other,
            nobody=f"{NAME}:1",
            directory=DIRECTORY,
            same_disk=disk,
            failing_syncs=failing_syncs,
        )
