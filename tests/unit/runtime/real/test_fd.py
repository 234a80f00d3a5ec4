"""Short writes and reads, which regular files hardly ever show."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from haqactor.env import Buffer
from haqactor.runtime.real import fd as module
from haqactor.runtime.real.fd import fill_with_zeroes, read_all, read_if_cached, write_all


@pytest.fixture
def opened(tmp_path: Path) -> int:
    return os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)


@pytest.mark.parametrize("most", [1, 2, 3, 5, 7, 100])
def test_short_writes_are_finished(monkeypatch: pytest.MonkeyPatch, opened: int, most: int) -> None:
    pwrite = os.pwrite

    def short(fd: int, data: Buffer, offset: int) -> int:
        return pwrite(fd, memoryview(data)[:most], offset)

    def short_vector(fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        return pwrite(fd, b"".join(buffers)[:most], offset)

    monkeypatch.setattr(os, "pwrite", short)
    monkeypatch.setattr(os, "pwritev", short_vector)
    write_all(opened, 3, [b"ab", b"", bytearray(b"cde"), memoryview(b"fghi")])
    assert read_all(opened, 0, 100) == b"\0\0\0abcdefghi"
    os.close(opened)


def test_a_write_that_takes_nothing_does_not_loop(monkeypatch: pytest.MonkeyPatch, opened: int) -> None:
    def nothing(*_: object) -> int:
        return 0

    monkeypatch.setattr(os, "pwrite", nothing)
    monkeypatch.setattr(os, "pwritev", nothing)
    with pytest.raises(OSError, match="no bytes") as caught:
        write_all(opened, 0, [b"x"])
    assert caught.value.errno == errno.EIO
    os.close(opened)


def test_short_reads_are_finished(monkeypatch: pytest.MonkeyPatch, opened: int) -> None:
    os.write(opened, b"0123456789")
    pread = os.pread

    def short(fd: int, size: int, offset: int) -> bytes:
        return pread(fd, min(size, 3), offset)

    monkeypatch.setattr(os, "pread", short)
    assert read_all(opened, 1, 8) == b"12345678"
    assert read_all(opened, 5, 100) == b"56789"
    os.close(opened)


def test_a_read_that_would_wait_is_left_to_a_thread(monkeypatch: pytest.MonkeyPatch, opened: int) -> None:
    os.write(opened, b"0123456789")

    def would_block(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "would block")

    def half(fd: int, buffers: Sequence[bytearray], offset: int, flags: int) -> int:
        buffers[0][:2] = b"01"
        return 2

    monkeypatch.setattr(os, "preadv", would_block)
    assert read_if_cached(opened, 0, 4) is None
    monkeypatch.setattr(os, "preadv", half)
    assert read_if_cached(opened, 0, 4) is None
    assert read_if_cached(opened, 8, 4) == b"01"
    os.close(opened)


def test_more_buffers_than_the_kernel_takes(opened: int) -> None:
    many = [number.to_bytes(2, "big") for number in range(2 * module.IOV_MAX + 5)]
    write_all(opened, 1, many)
    assert read_all(opened, 0, 10_000) == b"\0" + b"".join(many)
    os.close(opened)


def test_a_new_file_is_written_whole_and_synced_last(monkeypatch: pytest.MonkeyPatch, opened: int) -> None:
    """J8: neither its size nor its place on the medium may change with the first write that counts."""
    size, calls, real = (1 << 20) + 5000, [0], os.pwritev

    def pwritev(fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        calls[:] = [calls[0] + real(fd, buffers, offset)]
        return len(b"".join(buffers))

    def fsync(_fd: int) -> None:
        calls.append(-1)

    monkeypatch.setattr(os, "pwritev", pwritev)
    monkeypatch.setattr(os, "fsync", fsync)
    fill_with_zeroes(opened, size)
    assert calls == [size, -1]
    assert os.fstat(opened).st_size == size
    os.close(opened)
