"""The production twins as a world to be tested. One rule: each test gets its own directory and free ports."""

import errno
import os
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from unittest import mock

import trio

from haqactor.runtime.real import RealDisk, Sync, environment
from haqactor.runtime.real.sync_process import ProcessSyncer
from tests.conformance.world import Body, World


@contextmanager
def failing_syncs() -> Generator[None, None, None]:
    """Every fsync and fdatasync answers EIO, in this process and in those that sync for it."""

    def refuse(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def refuse_there(_self: ProcessSyncer, _fd: int) -> int:
        await trio.lowlevel.checkpoint()
        return errno.EIO

    with (
        mock.patch.object(os, "fdatasync", refuse),
        mock.patch.object(os, "fsync", refuse),
        mock.patch.object(ProcessSyncer, "_sync", refuse_there),
    ):
        yield


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class RealTwins:
    """This machine."""

    def __init__(self, sync: Sync = "process") -> None:
        self._sync: Sync = sync

    def run(self, body: Body) -> None:
        """One trio run in the real world."""

        async def main() -> None:
            with tempfile.TemporaryDirectory() as directory:
                world = World(
                    env=environment(sync=self._sync),
                    other=environment(sync=self._sync),
                    host="127.0.0.1",
                    other_host="127.0.0.1",
                    nobody=f"127.0.0.1:{free_port()}",
                    directory=directory,
                    same_disk=RealDisk,
                    failing_syncs=failing_syncs,
                )
                await body(world)

        trio.run(main, strict_exception_groups=True)
