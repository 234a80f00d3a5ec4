"""What happens when the process has few files left to open, or none."""

import gc
import resource
from pathlib import Path
from typing import Any, cast

import pytest

from haqactor.env import NoDescriptors
from haqactor.runtime.real.descriptors import descriptors_max, raise_descriptors_max
from haqactor.runtime.real.disk import RealDisk
from haqactor.runtime.real.network import RealNetwork
from haqactor.runtime.real.sync_process import ProcessSyncer
from tests.builders.descriptors import descriptors_left


def test_the_limit_is_raised_as_far_as_the_system_lets_us() -> None:
    """And then it stays."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with descriptors_left(10) as most:
        assert descriptors_max() == most
        raise_descriptors_max()
        raise_descriptors_max()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


async def test_the_last_ones_are_known() -> None:
    """Whatever was closed meanwhile: the lowest number that is free is given first."""
    listener = await RealNetwork().listen("127.0.0.1:0")
    stream = await RealNetwork().dial(listener.address)
    number = cast(Any, stream)._sock.fileno()
    with descriptors_left(0) as most:
        beside = most - number
        assert stream.is_among_last(beside)
        assert not stream.is_among_last(beside - 1)
    with descriptors_left(number):
        assert not stream.is_among_last(1 << 30), "a quarter of all at most"
    stream.abort()
    assert not stream.is_among_last(1 << 30)
    await listener.aclose()


async def test_the_disk_says_what_is_wanting(tmp_path: Path) -> None:
    """Nothing was done, and it works again as soon as there is one."""
    disk = RealDisk(sync="thread")
    path = str(tmp_path / "file")
    await (await disk.open(path, create=True)).aclose()
    with descriptors_left(0):
        for attempt in (disk.open(path), disk.allocate(path + "2", 512), disk.sync_directory(str(tmp_path))):
            with pytest.raises(NoDescriptors, match="ulimit -n"):
                await attempt
    assert await disk.list_directory(str(tmp_path)) == ["file"]
    await (await disk.allocate(path + "2", 512)).aclose()


async def test_a_write_does_without_a_helper_that_cannot_be_started(tmp_path: Path) -> None:
    """It needs descriptors, a thread none; the next file has a helper again."""
    disk = RealDisk(sync="process")
    for name, left in (("one", 0), ("two", 64)):
        file = await disk.allocate(str(tmp_path / name), 512)
        with descriptors_left(left):
            await file.write_durable(0, [b"written"])
        assert await file.pread(0, 7) == b"written"
        assert [type(syncer) for syncer in cast(Any, disk)._pool._free] == [ProcessSyncer] * (left > 0)
        await file.aclose()
    del disk, file
    gc.collect()  # the error of the helper that was not started knows them; with them the other one ends
