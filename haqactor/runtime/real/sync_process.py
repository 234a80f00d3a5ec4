"""Syncs in a helper process, which needs no GIL of ours. One rule: a helper that failed once is never asked
again.

The loop writes into the page cache itself, which costs what sending the bytes to the helper would cost, and
the helper syncs the same open file (its descriptor came over the socket), so that a write-back error reaches
it too.
"""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from haqactor.env import Buffer
from haqactor.runtime.real.fd import size_of, write_all

HELPER: Final = Path(__file__).with_name("sync_helper.py")
LARGE: Final = 1 << 22
"""Bytes above which copying into the page cache (about 0.2 ms a MiB) is moved to a thread."""
_ANSWER: Final = struct.Struct("=i")


class HelperFailed(Exception):
    """The helper process ended, or broke its protocol: what it was doing may or may not be durable."""


class ProcessSyncer:
    """One helper process and the socket to it."""

    __slots__ = ("_broken", "_fd", "_process", "_sock")

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self._process = process
        self._sock = sock
        self._fd = -1
        self._broken = False

    @property
    def pid(self) -> int:
        """The helper's process id."""
        return self._process.pid

    @property
    def broken(self) -> bool:
        """Whether it failed, and can only be closed."""
        return self._broken

    @classmethod
    def start(cls) -> "ProcessSyncer":
        """Start a helper; blocks for some milliseconds. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        # -I -S: a bare interpreter, half the time and memory of a full one. Its own process group, so that
        # Ctrl-C at the terminal is for us only; not its own session, which Linux schedules as a group
        # (autogroup): on a CPU shared with the busy loop it would then wait for the next tick, 4 ms, after
        # each sync.
        command = [sys.executable, "-I", "-S", str(HELPER)]
        with theirs:
            try:
                process = subprocess.Popen(
                    command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, process_group=0
                )
                return cls(process, ours)
            except BaseException:
                ours.close()
                raise

    async def write_and_sync(self, fd: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write here, sync there. After the request left only the answer is an end: called shielded."""
        if self._broken:
            raise HelperFailed("the sync helper has failed before")
        self._broken = True  # until this call has ended well, so that no exception can leave it half-known
        if size_of(buffers) > LARGE:
            await trio.to_thread.run_sync(write_all, fd, offset, buffers)
        else:
            write_all(fd, offset, buffers)
        error = await self._sync(fd)
        self._broken = False
        if error:
            raise OSError(error, os.strerror(error))

    async def _sync(self, fd: int) -> int:
        try:
            if fd == self._fd:
                self._sock.send(b"s")
            else:
                socket.send_fds(self._sock, [b"o"], [fd])
                self._fd = fd
            while True:
                await trio.lowlevel.wait_readable(self._sock.fileno())
                try:
                    answer = self._sock.recv(16)
                    break
                except BlockingIOError:
                    continue
        except OSError as error:
            raise HelperFailed(f"the sync helper (process {self.pid}) is gone: {error}") from error
        if len(answer) != _ANSWER.size:
            raise HelperFailed(f"the sync helper (process {self.pid}) ended")
        return int(_ANSWER.unpack(answer)[0])

    def release(self, fd: int) -> None:
        """Let the helper close the file, if it is the one that it keeps."""
        if self._fd == fd:
            self._fd = -1
            try:
                self._sock.send(b"c")
            except OSError:
                self._broken = True

    def close(self) -> None:
        """End the helper, which goes as soon as its socket closes, and collect it."""
        self._sock.close()
        self._process.wait()
