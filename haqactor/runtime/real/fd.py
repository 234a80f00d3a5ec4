"""Blocking work on file descriptors. One rule: nothing here knows trio; it runs on a thread, or is known to
be short."""

import errno
import os
from collections.abc import Sequence
from typing import Final

from haqactor.env import Buffer, DiskError, DiskFull, FileMissing, NoDescriptors

IOV_MAX: Final = 1024
_ZEROES: Final = bytes(65_536)
_ZERO_STRIDE: Final = 1 << 20
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)


def disk_error(error: OSError, doing: str, path: str) -> DiskError:
    """The typed error for a refused system call."""
    text = f"cannot {doing} {path}: {error.strerror or error}"
    if error.errno in _FULL:
        return DiskFull(f"{text}; free some space, or give this user a larger quota")
    if error.errno in NO_DESCRIPTORS:
        return NoDescriptors(f"{text}; raise this process's limit (ulimit -n, LimitNOFILE=)")
    if error.errno == errno.ENOENT:
        return FileMissing(text)
    return DiskError(text)


def size_of(buffers: Sequence[Buffer]) -> int:
    """The bytes in all the buffers."""
    return sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in buffers)


def write_all(fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
    """Write all the buffers, one behind the other, from ``offset``. Raises OSError."""
    if len(buffers) <= IOV_MAX:
        expected = size_of(buffers)
        written = os.pwritev(fd, buffers, offset) if expected else 0
        if written == expected:
            return
        _write_rest(fd, offset, buffers, written)
        return
    for start in range(0, len(buffers), IOV_MAX):
        some = buffers[start : start + IOV_MAX]
        write_all(fd, offset, some)
        offset += size_of(some)


def _write_rest(fd: int, offset: int, buffers: Sequence[Buffer], written: int) -> None:
    """Finish after a short write, buffer by buffer: it is rare."""
    skip = written
    offset += written
    for part in buffers:
        view = memoryview(part).cast("B")
        if skip >= view.nbytes:
            skip -= view.nbytes
            continue
        view = view[skip:]
        skip = 0
        while view.nbytes:
            done = os.pwrite(fd, view, offset)
            if not done:
                raise OSError(errno.EIO, "a write took no bytes")
            offset += done
            view = view[done:]


def read_all(fd: int, offset: int, size: int) -> bytes:
    """``size`` bytes from ``offset``, fewer only at the end of the file. Raises OSError."""
    first = os.pread(fd, size, offset)
    if len(first) == size or not first:
        return first
    parts = [first]
    missing = size - len(first)
    while missing and (part := os.pread(fd, missing, offset + size - missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def fill_with_zeroes(fd: int, size: int) -> None:
    """Write ``size`` zeroes from the start and make them and the length durable. Raises OSError.

    Real writes, since extents that are only reserved (fallocate) must be converted at their first write,
    which makes every fdatasync commit the filesystem's own journal too. In strides with a sync after each,
    so that the sync of another file never waits for the whole.
    """
    done = 0
    while done < size:
        stride = min(_ZERO_STRIDE, size - done)
        whole, rest = divmod(stride, len(_ZEROES))
        write_all(fd, done, [_ZEROES] * whole + [_ZEROES[:rest]])
        os.fdatasync(fd)
        done += stride
    os.fsync(fd)


def read_if_cached(fd: int, offset: int, size: int) -> bytes | None:
    """What ``read_all`` gives, if the page cache has all of it; else None, without waiting for the medium."""
    buffer = bytearray(size)
    try:
        got = os.preadv(fd, [buffer], offset, os.RWF_NOWAIT)
    except OSError:
        return None
    if got == size:
        return bytes(buffer)
    if offset + got >= os.fstat(fd).st_size:
        return bytes(buffer[:got])
    return None
