"""One simulated host with a disk, for the tests of the disk. One rule: programs run one after the other, each
in an incarnation of its own; the disk stays."""

from collections.abc import Awaitable, Callable
from typing import Final

from haqactor.env import File
from haqactor.sim.disk import Medium, SimDisk
from haqactor.sim.world import World

HERE: Final = "/data"
LIMIT_NS: Final = 3_600_000_000_000
Program = Callable[[SimDisk], Awaitable[object]]


class DiskBench:
    """``run`` lets a program use the disk to its end."""

    def __init__(self, seed: int = 1, *, recording: bool = False) -> None:
        self.world = World(seed, recording=recording)
        self.host = self.world.host("n1")
        self.medium = Medium(seed, "n1")
        self.medium.tree.make_folder(HERE)

    def __enter__(self) -> "DiskBench":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.world.close()

    def start(self, program: Program) -> SimDisk:
        """Begin a program in a new incarnation."""
        stream = self.world.random("disk", "n1", self.host.incarnation + 1)
        disk = SimDisk(self.medium, self.host, stream)
        self.host.start(lambda: program(disk))
        return disk

    def run(self, program: Program) -> None:
        """To its end; its error is raised here."""
        self.start(program)
        self.finish()

    def finish(self) -> None:
        """Let the program that runs end, or crash."""
        self.world.run_while(lambda: self.host.alive, self.world.now_ns + LIMIT_NS)
        assert not self.host.alive, "it hangs"
        if self.host.error is not None:
            raise self.host.error

    def content(self, path: str) -> bytes | None:
        """What a program would read; None where there is no file."""
        return self.medium.content(path) if path in self.medium.paths() else None


async def made(disk: SimDisk, name: str, size: int = 4096, data: bytes = b"") -> File:
    """A durable file below ``HERE``, its name too."""
    file = await disk.allocate(f"{HERE}/{name}", size)
    if data:
        await file.write_durable(0, [data])
    await disk.sync_directory(HERE)
    return file
