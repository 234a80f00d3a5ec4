"""Namespaces of our own, where the kernel lets us: mounts and a loopback that nobody else sees.

One rule: nothing outside changes, and all of it is gone with the last process of the run; where it is not
allowed the run goes on without, and says so.
"""

import ctypes
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CLONE_NEWNS: Final = 0x0002_0000
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWNET: Final = 0x4000_0000
_MS_REC_PRIVATE: Final = 0x4000 | 0x4_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP: Final = 1
_IFREQ: Final = struct.Struct("16sh22x")
BALLAST: Final = "ballast"


@dataclass(frozen=True, slots=True)
class Allowed:
    """``mounts``: filesystems of our own; ``network``: a loopback of our own."""

    mounts: bool = False
    network: bool = False


NOTHING: Final = Allowed()


def enter() -> Allowed:
    """Take this process, and those that it starts from now on, into namespaces of its own. Call it before any
    thread is started."""
    user, group = os.getuid(), os.getgid()
    if user != 0 and _unshare(_CLONE_NEWUSER):
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    mounts = _unshare(_CLONE_NEWNS) and _mount("none", Path("/"), None, _MS_REC_PRIVATE, "")
    network = _unshare(_CLONE_NEWNET)
    if network:
        set_loopback(up=True)
    return Allowed(mounts, network)


def set_loopback(*, up: bool) -> None:
    """Switch this namespace's loopback on or off. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = fcntl.ioctl(sock, _SIOCGIFFLAGS, _IFREQ.pack(b"lo", 0))
        flags: int = _IFREQ.unpack(asked)[1]
        flags = flags | _IFF_UP if up else flags & ~_IFF_UP
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _IFREQ.pack(b"lo", flags))


@dataclass(frozen=True, slots=True)
class Disk:
    """A filesystem in memory, of a limited size, for one node."""

    path: Path

    @classmethod
    def mount(cls, path: Path, size_bytes: int) -> "Disk":
        """Over an empty directory. Raises OSError."""
        path.mkdir(parents=True, exist_ok=True)
        if not _mount("tmpfs", path, "tmpfs", 0, f"size={size_bytes}"):
            raise OSError(ctypes.get_errno(), f"cannot mount on {path}")
        return cls(path)

    def fill(self, spare_bytes: int) -> None:
        """Take all its space but this; it may have less already."""
        free = os.statvfs(self.path)
        size = free.f_bavail * free.f_frsize - spare_bytes
        if size > 0:
            with (self.path / BALLAST).open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, size)

    def relieve(self) -> None:
        """Give it back."""
        (self.path / BALLAST).unlink(missing_ok=True)

    def unmount(self) -> None:
        """At the end; what still uses it keeps it."""
        _libc().umount2(os.fsencode(self.path), 2)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _unshare(flags: int) -> bool:
    done: int = _libc().unshare(flags)
    return done == 0


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str) -> bool:
    place, what = os.fsencode(target), None if kind is None else kind.encode()
    done: int = _libc().mount(source.encode(), place, what, ctypes.c_ulong(flags), options.encode())
    return done == 0
