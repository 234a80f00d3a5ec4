"""The Environment: every way in which a node can touch the world, as Protocols.

One rule: whatever is not here does not exist for a node. The production twins live in
``haqactor.runtime.real``, the simulator has its own; one conformance suite runs on both, so the docstrings
below are the contract that it checks.

``trio.sleep``, cancel scopes, nurseries and channels are used as they are: each host's trio clock makes them
right."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

T = TypeVar("T")
Buffer = bytes | bytearray | memoryview


class Clock(Protocol):
    """Reads the time. Waiting is trio's business."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; the zero is arbitrary, and the same as ``trio.current_time()``'s
        pace."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC as this host believes; may step. Never used for order or leases by
        itself."""
        ...


class Random(Protocol):
    """A source of chance; seeded per host in the simulator."""

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high]."""
        ...

    def below(self, bound: int) -> int:
        """An integer in [0, bound)."""
        ...

    def token(self, size: int) -> bytes:
        """``size`` random bytes, unguessable in production."""
        ...


class NetworkError(Exception):
    """A connection could not be made, or broke. The concrete class tells how."""


class ConnectRefused(NetworkError):
    """Nobody listens at that address: the process is gone, though its host answers."""


class ConnectFailed(NetworkError):
    """The peer could not be reached for another reason (no route, name unknown, timed out by the OS)."""


class StreamReset(NetworkError):
    """The peer's end vanished without a goodbye (RST, broken pipe), or this end was aborted."""


class AddressInUse(NetworkError):
    """Another process listens on that address."""


class Stream(Protocol):
    """An ordered, reliable byte connection. One sender task and one receiver task at a time."""

    @property
    def remote(self) -> str:
        """The peer's address, for logs."""
        ...

    def is_among_last(self, reserve: int) -> bool:
        """Has this connection one of the last ``reserve`` descriptors that the process may have (of the last
        quarter, where that is fewer)? Never where connections need none."""
        ...

    async def send_all(self, data: Buffer) -> None:
        """Hand over all bytes; blocks while the peer does not read. Raises StreamReset. A cancelled send
        leaves the stream unusable: abort it."""
        ...

    def send_now(self, data: Buffer) -> int:
        """Hand over what is taken without waiting, in bytes: 0 if nothing is, also while a ``send_all`` is
        under way or when the stream is broken (the next ``send_all`` says so). Never raises."""
        ...

    async def receive_some(self, max_bytes: int = 262_144) -> bytes:
        """The next bytes, at least one; ``b""`` when the peer closed in order. Raises StreamReset."""
        ...

    def give_up_after(self, seconds: float) -> None:
        """Break it (StreamReset) once the other machine has taken none of the bytes that are on their way for
        so long, or, where none are, has left the system's own questions unanswered. Else a system asks ever
        more seldom: after a partition of a minute, it may say nothing for another minute. Where a system
        cannot do that, nothing changes. Never raises."""
        ...

    async def aclose(self) -> None:
        """Close in order (bytes handed over are still sent); never raises NetworkError."""
        ...

    def abort(self) -> None:
        """Close at once; whoever waits on it gets StreamReset."""
        ...


class Listener(Protocol):
    """An open port."""

    @property
    def address(self) -> str:
        """``host:port`` with the real port, also when port 0 was asked for."""
        ...

    async def accept(self) -> Stream:
        """The next connection. Running out of descriptors delays it, and never ends the listener."""
        ...

    async def aclose(self) -> None: ...


DATAGRAM_BYTES_MAX: Final = 65_507
"""The largest packet: what UDP over IPv4 can carry."""


class Datagrams(Protocol):
    """An open port for packets, which may be lost, doubled and reordered, and damaged, but never joined or
    cut. One receiver task at a time, any number of senders."""

    @property
    def address(self) -> str:
        """``host:port`` with the real port, also when port 0 was asked for."""
        ...

    async def send(self, data: Buffer, to: str) -> None:
        """Hand one packet over; it arrives or is lost. A peer that is unknown, cannot be reached or refuses
        is silence, never an error. Raises ValueError beyond DATAGRAM_BYTES_MAX, StreamReset once closed at
        this end."""
        ...

    async def receive(self) -> tuple[bytes, str]:
        """The next packet, and who sent it (``host:port``, which ``send`` takes). What comes faster than it
        is read is lost beyond a bound. Raises StreamReset once closed at this end, and no other
        NetworkError."""
        ...

    async def aclose(self) -> None:
        """Close the port; whoever waits to receive gets StreamReset, packets that nobody read are lost."""
        ...


class Network(Protocol):
    """Byte streams and packets between addresses (``host:port``)."""

    async def listen(self, address: str) -> Listener:
        """Open a port. Raises AddressInUse, ConnectFailed."""
        ...

    async def dial(self, address: str) -> Stream:
        """Connect. Raises ConnectRefused or ConnectFailed. Small writes leave at once (no Nagle delay)."""
        ...

    async def datagrams(self, address: str) -> Datagrams:
        """Open a port for packets; the same number may be listened on for streams, too. Raises AddressInUse,
        ConnectFailed."""
        ...


class DiskError(Exception):
    """The disk refused. After a failed sync nothing that was not synced before may be believed
    (fsyncgate)."""


class DiskFull(DiskError):
    """No space left, or a quota was reached."""


class NoDescriptors(DiskFull):
    """No descriptor is left for another file. As with space: nothing was done, and later it may be."""


class FileMissing(DiskError):
    """There is no such file."""


class LockHeld(DiskError):
    """Another process holds the directory."""


class File(Protocol):
    """An open file. Offsets are explicit. The writer of a file is one task."""

    @property
    def path(self) -> str: ...

    async def size(self) -> int: ...

    async def pread(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; shorter only at the end of the file."""
        ...

    async def pwrite(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """All the buffers, one behind the other, from ``offset`` (short writes and IOV_MAX are dealt
        with)."""
        ...

    async def write_durable(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """``pwrite`` and ``sync`` in one hop. When it returns the bytes are on the medium. The file's size
        must not change by it (segments are preallocated), else call ``sync``. It cannot be cancelled
        half-way."""
        ...

    async def sync(self) -> None:
        """All of this file's bytes and its size are on the medium. DiskError: nothing since the last sync
        is."""
        ...

    async def truncate(self, size: int) -> None: ...

    async def aclose(self) -> None: ...


class Disk(Protocol):
    """Files below any directory. Paths are strings with ``/``."""

    async def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing. ``create``: must not exist yet. Raises FileMissing, DiskError."""
        ...

    async def allocate(self, path: str, size: int) -> File:
        """Create a zero-filled file of ``size`` bytes, durable with its length (its name: see
        ``sync_directory``)."""
        ...

    async def read_file(self, path: str) -> bytes:
        """The whole of a small file. Raises FileMissing."""
        ...

    async def rename(self, source: str, target: str) -> None: ...

    async def unlink(self, path: str) -> None: ...

    async def make_directory(self, path: str) -> None:
        """With its parents; no error if it is there. Durable."""
        ...

    async def list_directory(self, path: str) -> list[str]:
        """Names, sorted. Raises FileMissing."""
        ...

    async def sync_directory(self, path: str) -> None:
        """The names in it are on the medium."""
        ...

    async def free_bytes(self, path: str) -> int: ...

    async def lock(self, path: str) -> Callable[[], None]:
        """Take the file ``path`` as an exclusive lock between processes; returns what lets it go. Raises
        LockHeld."""
        ...


class Offload(Protocol):
    """CPU work off the loop, for what releases the GIL (zstd, large CRCs)."""

    def run(self, function: Callable[[], T], *, cost_bytes: int = 0) -> Awaitable[T]:
        """Run ``function`` off the loop and return what it returns. ``cost_bytes`` is the work's size, from
        which the simulator derives a virtual cost. Functions share no compressor object (see
        ``haqactor.codec``)."""
        ...


class Probe(Protocol):
    """Eyes and fingers of the simulator inside the node; inert in production."""

    def mark(self, name: str) -> None:
        """This rare branch was taken."""
        ...

    def buggify(self, name: str) -> bool:
        """Behave awkwardly but correctly here?"""
        ...

    def bug(self, name: str) -> bool:
        """Is this planted bug switched on?"""
        ...


class NullProbe:
    """The production probe."""

    __slots__ = ()

    def mark(self, name: str) -> None:
        """Nobody is watching."""

    def buggify(self, name: str) -> bool:
        """Never."""
        return False

    def bug(self, name: str) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Everything a node may touch; made in one place and handed in."""

    clock: Clock
    network: Network
    disk: Disk
    random: Random
    offload: Offload
    probe: Probe
