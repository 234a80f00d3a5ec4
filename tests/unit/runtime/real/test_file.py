"""Files under real failures: full devices, limits, devices that cannot sync, and a helper that dies."""

import errno
import os
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from haqactor.env import DiskError, DiskFull, FileMissing
from haqactor.runtime.real import RealDisk, Sync
from haqactor.runtime.real.fd import disk_error
from haqactor.runtime.real.sync_process import ProcessSyncer

SYNCS: tuple[Sync, ...] = ("process", "thread", "yield", "inline")


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.ENOENT, FileMissing),
        (errno.EIO, DiskError),
        (errno.EROFS, DiskError),
    ],
)
def test_each_errno_has_its_error(number: int, kind: type[DiskError]) -> None:
    error = disk_error(OSError(number, os.strerror(number)), "write", "/a/b")
    assert type(error) is kind
    assert "/a/b" in str(error)
    assert os.strerror(number) in str(error)


async def test_a_full_device_is_disk_full_and_no_poison() -> None:
    file = await RealDisk().open("/dev/full")
    for _ in range(2):
        with pytest.raises(DiskFull):
            await file.pwrite(0, [b"x"])
    await file.aclose()


@pytest.mark.parametrize("sync", SYNCS)
async def test_full_in_a_durable_write_is_disk_full_and_poison(sync: Sync) -> None:
    """How much of the block was written, nobody knows."""
    file = await RealDisk(sync=sync).open("/dev/full")
    with pytest.raises(DiskFull):
        await file.write_durable(0, [b"x"])
    with pytest.raises(DiskError, match="failed before"):
        await file.write_durable(0, [b"x"])
    await file.aclose()


@pytest.mark.parametrize("sync", SYNCS)
async def test_a_sync_that_really_fails(sync: Sync) -> None:
    """A device that takes writes and cannot sync: the errno comes from the kernel, also through the
    helper."""
    disk = RealDisk(sync=sync)
    file = await disk.open("/dev/null")
    with pytest.raises(DiskError, match=os.strerror(errno.EINVAL)):
        await file.write_durable(0, [b"x"])
    with pytest.raises(DiskError, match="failed before"):
        await file.write_durable(0, [b"x"])
    await file.aclose()


async def test_what_cannot_be_allocated_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(DiskError, match=os.strerror(errno.EFBIG)):
            await RealDisk().allocate(str(path), 3 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()
    assert open_descriptors() == before


def helper_of(disk: Any) -> ProcessSyncer:
    (syncer,) = disk._pool._free
    assert isinstance(syncer, ProcessSyncer)
    return syncer


async def test_a_dead_helper_poisons_its_file_and_the_next_file_gets_another(tmp_path: Path) -> None:
    disk = RealDisk(sync="process")
    file = await disk.allocate(str(tmp_path / "one"), 4096)
    await file.write_durable(0, [b"good"])
    helper = helper_of(disk)
    os.kill(helper.pid, signal.SIGKILL)
    with pytest.raises(DiskError, match="helper"):
        await file.write_durable(4, [b"lost"])
    with pytest.raises(DiskError, match="failed before"):
        await file.sync()
    await file.aclose()
    other = await disk.allocate(str(tmp_path / "two"), 4096)
    await other.write_durable(0, [b"fine"])
    assert helper_of(disk).pid != helper.pid
    await other.aclose()


async def test_the_helper_is_used_again_and_forgets_the_file(tmp_path: Path) -> None:
    disk = RealDisk(sync="process")
    pids: list[int] = []
    for name in ("one", "two"):
        file = await disk.allocate(str(tmp_path / name), 4096)
        await file.write_durable(0, [b"x"])
        pids.append(helper_of(disk).pid)
        await file.aclose()
    assert pids[0] == pids[1]
    with trio.fail_after(5):
        while any("/one" in link or "/two" in link for link in links(pids[0])):  # noqa: ASYNC110 - its own process
            await trio.sleep(0.001)


async def test_files_that_stay_open_share_one_helper(tmp_path: Path) -> None:
    """A journal's sealed segments do; each kept a process of 8 MB."""
    disk = RealDisk(sync="process")
    pids: dict[int, bool] = {}
    files = [await disk.allocate(str(tmp_path / str(number)), 4096) for number in range(4)]
    for offset in range(2):
        for file in files:
            await file.write_durable(offset, [b"x"])
            pids[helper_of(disk).pid] = True
    (pid,) = pids
    (kept,) = [link for link in links(pid) if str(tmp_path) in link]
    assert kept == files[-1].path
    for file in files:
        await file.aclose()


async def test_a_descriptors_number_that_is_used_again_is_another_file(tmp_path: Path) -> None:
    """The helper must not sync the file that had it before."""
    disk = RealDisk(sync="process")
    one = await disk.allocate(str(tmp_path / "one"), 4096)
    await one.write_durable(0, [b"x"])
    helper = helper_of(disk)
    await one.aclose()
    two = await disk.allocate(str(tmp_path / "two"), 4096)
    await two.write_durable(0, [b"x"])
    assert helper_of(disk) is helper
    (kept,) = [link for link in links(helper.pid) if str(tmp_path) in link]
    assert kept == two.path
    await two.aclose()


def links(pid: int) -> list[str]:
    """What the descriptors of a process are."""
    found: list[str] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we were looking
            found.append(str(entry.readlink()))
    return found


async def test_no_helper_can_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> ProcessSyncer:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(ProcessSyncer, "start", refuse)
    file = await RealDisk(sync="process").allocate(str(tmp_path / "one"), 4096)
    with pytest.raises(DiskError, match="thread"):
        await file.write_durable(0, [b"x"])
    await file.aclose()


async def write_once(disk: RealDisk, path: Path) -> None:
    file = await disk.allocate(str(path), 4096)
    await file.write_durable(0, [b"x"])
    await file.aclose()


@pytest.mark.parametrize("sync", SYNCS)
async def test_nothing_is_left_open(tmp_path: Path, sync: Sync) -> None:
    before = open_descriptors()
    disk = RealDisk(sync=sync)
    for number in range(3):
        await write_once(disk, tmp_path / str(number))
    del disk
    assert open_descriptors() == before


async def test_a_second_writer_is_told_so(tmp_path: Path) -> None:
    file = await RealDisk(sync="thread").allocate(str(tmp_path / "one"), 4096)
    refused: list[bytes] = []

    async def write(data: bytes) -> None:
        try:
            await file.write_durable(0, [data])
        except trio.BusyResourceError:
            refused.append(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, b"x")
        nursery.start_soon(write, b"y")
    assert len(refused) == 1
    assert await file.pread(0, 1) + refused[0] in (b"xy", b"yx")
    await file.aclose()


async def test_closing_waits_for_who_is_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else the descriptor's number could be another file's by the time the reader uses it."""
    file = await RealDisk(sync="thread").allocate(str(tmp_path / "one"), 1 << 20)
    gate = threading.Event()
    real: Callable[[int, int, int], bytes] = os.pread
    closed = trio.Event()

    def slow(fd: int, size: int, offset: int) -> bytes:
        gate.wait()
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", slow)
    got: list[int] = []

    async def read() -> None:
        got.append(len(await file.pread(0, 1 << 20)))

    async def close() -> None:
        await file.aclose()
        closed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(0.01)
        nursery.start_soon(close)
        await trio.sleep(0.01)
        assert not closed.is_set()
        gate.set()
    assert got == [1 << 20]
