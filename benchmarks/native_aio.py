"""Linux native AIO with an eventfd as a way to sync: measured, and not chosen (ADR 0003).

One rule: it is here so that its figures can be measured again; the product does not use it.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from typing import Final

import trio

from haqactor.env import Buffer
from haqactor.runtime.real.fd import write_all

_IO_SETUP, _IO_DESTROY, _IO_GETEVENTS, _IO_SUBMIT = 206, 207, 208, 209  # x86-64
_FDSYNC: Final = 3
_RESFD: Final = 1
_IOCB: Final = struct.Struct("=QIIHhIQQqQII")
_EVENT: Final = struct.Struct("=QQqq")


class AioSyncer:
    """Writes into the page cache and lets a kernel worker sync. Only for x86-64. Raises OSError where there
    is none."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._context = ctypes.c_ulong(0)
        self._event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._block = ctypes.create_string_buffer(_IOCB.size)
        self._blocks = (ctypes.c_void_p * 1)(ctypes.addressof(self._block))
        self._event = ctypes.create_string_buffer(_EVENT.size)
        self._check(self._libc.syscall(_IO_SETUP, 1, ctypes.byref(self._context)), 0)

    def _check(self, answer: int, expected: int) -> None:
        if answer != expected:
            number = ctypes.get_errno() or errno.EIO
            raise OSError(number, os.strerror(number))

    async def write_and_sync(self, fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write, submit the sync, and wait for the eventfd."""
        write_all(fd, offset, buffers)
        _IOCB.pack_into(self._block, 0, 0, 0, 0, _FDSYNC, 0, fd, 0, 0, 0, 0, _RESFD, self._event_fd)
        self._check(self._libc.syscall(_IO_SUBMIT, self._context, ctypes.c_long(1), self._blocks), 1)
        await trio.lowlevel.wait_readable(self._event_fd)
        os.eventfd_read(self._event_fd)
        one = ctypes.c_long(1)
        self._check(self._libc.syscall(_IO_GETEVENTS, self._context, one, one, self._event, None), 1)
        result = _EVENT.unpack(self._event.raw)[2]
        if result:
            raise OSError(-result, os.strerror(-result))

    def release(self) -> None:
        """No descriptor is kept."""

    def close(self) -> None:
        """Give the kernel's context back."""
        self._libc.syscall(_IO_DESTROY, self._context)
        os.close(self._event_fd)
