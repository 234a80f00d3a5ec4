"""The simulated twins as a world to be tested. One rule: each test is one program on one host of a world of
its own, under that host's virtual clock.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from haqactor.env import Disk, Environment, Listener, Network, NetworkError, Stream
from haqactor.sim import world as simulated
from haqactor.sim.disk import Kind, Medium, SimDisk
from haqactor.sim.environment import Marks, environment
from haqactor.sim.host import Host
from tests.conformance.world import Body, World

NAME: Final = "n1"
DIRECTORY: Final = "/data/test"
TODAY_NS: Final = 1_790_000_000_000_000_000
LIMIT_NS: Final = 3_600_000_000_000


class NoNetwork:
    """A host without a cable."""

    async def listen(self, address: str) -> Listener:
        """Refused."""
        raise NetworkError(f"no network to listen on {address}")

    async def dial(self, address: str) -> Stream:
        """Refused."""
        raise NetworkError(f"no network to dial {address}")


class SimTwins:
    """One simulated host. ``seed`` decides delays and the schedule."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed

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

        def env(network: Network) -> Environment:
            return environment(host, network, disk(), Marks())

        await disk().make_directory(DIRECTORY)
        return World(
            env=env(NoNetwork()),
            other=env(NoNetwork()),
            host=NAME,
            nobody=f"{NAME}:1",
            directory=DIRECTORY,
            same_disk=disk,
            failing_syncs=failing_syncs,
        )
