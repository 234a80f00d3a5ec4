"""What this machine and Python could do at all: replication to three disks without consensus and without a
queue.

One rule: this program is frozen; every other figure is read against it, so changing it would change them all.

One producer and three nodes, four processes on loopback. The producer keeps 32 opaque batches of 100 x 100
bytes in flight. The leader passes each batch on to two followers while it appends it to its own file; every
node takes all that arrived while its last fdatasync ran, appends it and syncs once (natural group commit).
The leader confirms a batch once two of the three have it synced.
"""

import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.bodies import random_bodies

BATCH_MESSAGES: Final = 100
BODY_BYTES: Final = 100
IN_FLIGHT: Final = 32
FRAME: Final = struct.Struct("<IQ")  # bytes of the batch, its number from 1
ACK: Final = struct.Struct("<Q")  # every batch up to this number is on the disk
_CHUNK: Final = 1 << 20
_ZEROS: Final = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The medians of the runs. ``rate``: confirmed messages a second; latencies of a batch in
    milliseconds.
    """

    rate: float
    best: float
    p50_ms: float
    p99_ms: float


def _socket(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHUNK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK)
    return sock


def _open_file(path: str, size: int) -> int:
    """A zero-filled file of at least ``size`` bytes, so that a sync writes data alone."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    for _ in range(0, size, len(_ZEROS)):
        os.write(fd, _ZEROS)
    os.fsync(fd)
    return fd


class _Log:
    """Frames in, whole frames on the disk. ``durable`` is the number of the last one synced."""

    def __init__(self, path: str, size: int) -> None:
        self._fd = _open_file(path, size)
        self._offset = 0
        self._pending = bytearray()
        self.durable = 0

    def take(self, data: bytes) -> tuple[bytes, int]:
        """The whole frames that ``data`` completes, as they came, and the number of the last one (0:
        none).
        """
        pending = self._pending
        pending += data
        at, last, end = 0, 0, len(pending)
        while end - at >= FRAME.size:
            length, number = FRAME.unpack_from(pending, at)
            if end - at < FRAME.size + length:
                break
            at += FRAME.size + length
            last = number
        whole = bytes(memoryview(pending)[:at])
        del pending[:at]
        return whole, last

    def store(self, whole: bytes, last: int) -> None:
        """Append and sync."""
        written = os.pwrite(self._fd, whole, self._offset)
        if written != len(whole):
            raise OSError("short write")
        os.fdatasync(self._fd)
        self._offset += written
        self.durable = last


def follower(path: str, size: int) -> None:
    """A follower: append, sync, acknowledge, until the leader hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))
    log = _Log(path, size)
    print(listener.getsockname()[1], flush=True)
    link = _socket(listener.accept()[0])
    while data := link.recv(_CHUNK):
        whole, last = log.take(data)
        if last:
            log.store(whole, last)
            link.sendall(ACK.pack(last))


class _Acks:
    """The acknowledgements of one follower."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self._rest = b""
        self.durable = 0

    def receive(self) -> None:
        data = self._rest + self.link.recv(_CHUNK)
        whole = len(data) - len(data) % ACK.size
        if whole:
            (self.durable,) = ACK.unpack_from(data, whole - ACK.size)
        self._rest = data[whole:]


def _hang_up(followers: list[_Acks]) -> None:
    for acks in followers:
        acks.link.shutdown(socket.SHUT_WR)
        while acks.link.recv(_CHUNK):
            continue


def leader(path: str, size: int, ports: list[int]) -> None:
    """The leader: pass on, append, sync, confirm what two of three have."""
    listener = socket.create_server(("127.0.0.1", 0))
    log = _Log(path, size)
    followers = [_Acks(_socket(socket.create_connection(("127.0.0.1", port)))) for port in ports]
    print(listener.getsockname()[1], flush=True)
    producer = _socket(listener.accept()[0])
    poll = select.poll()
    by_fd = {acks.link.fileno(): acks for acks in followers}
    for fd in (producer.fileno(), *by_fd):
        poll.register(fd, select.POLLIN)
    confirmed = 0
    while True:
        incoming = False
        for fd, _event in poll.poll():
            if fd in by_fd:
                by_fd[fd].receive()
            else:
                incoming = True
        if incoming:
            data = producer.recv(_CHUNK)
            if not data:
                _hang_up(followers)
                return
            whole, last = log.take(data)
            if last:
                for acks in followers:
                    acks.link.sendall(whole)
                log.store(whole, last)
        quorum = sorted((log.durable, followers[0].durable, followers[1].durable))[1]
        if quorum > confirmed:
            confirmed = quorum
            producer.sendall(ACK.pack(confirmed))


def _produce(port: int, frames: list[bytes]) -> tuple[float, list[float]]:
    """Send all frames, ``IN_FLIGHT`` unconfirmed at most. Returns seconds to the last confirm, and each
    batch's latency.
    """
    link = _socket(socket.create_connection(("127.0.0.1", port)))
    sent_at: list[float] = []
    latencies: list[float] = []
    total, confirmed, rest = len(frames), 0, b""
    start = perf_counter()
    while confirmed < total:
        upto = min(total, confirmed + IN_FLIGHT)
        if len(sent_at) < upto:
            now = perf_counter()
            chunk = frames[len(sent_at) : upto]
            sent_at.extend([now] * len(chunk))
            link.sendall(b"".join(chunk))
        data = link.recv(_CHUNK)
        if not data:
            raise ConnectionError("the leader hung up")
        rest += data
        whole = len(rest) - len(rest) % ACK.size
        if whole:
            (number,) = ACK.unpack_from(rest, whole - ACK.size)
            rest = rest[whole:]
            now = perf_counter()
            latencies.extend(now - at for at in sent_at[confirmed:number])
            confirmed = number
    elapsed = perf_counter() - start
    link.close()
    return elapsed, latencies


def spawn(*arguments: str) -> "tuple[subprocess.Popen[str], str]":
    """A process of this program, and the port it listens on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ceiling", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    if not port:
        raise RuntimeError(f"a process of the ceiling did not start: {arguments}")
    return process, port


def run_once(frames: list[bytes], directory: Path) -> tuple[float, list[float]]:
    """One run with fresh processes and files; checks what the three files hold."""
    size = sum(map(len, frames))
    paths = [directory / f"node{k}.log" for k in range(3)]
    processes: list[subprocess.Popen[str]] = []
    try:
        ports: list[str] = []
        for path in paths[1:]:
            process, port = spawn("follower", str(path), str(size))
            processes.append(process)
            ports.append(port)
        process, port = spawn("leader", str(paths[0]), str(size), *ports)
        processes.append(process)
        outcome = _produce(int(port), frames)
        for process in processes:
            if process.wait(10) != 0:
                raise RuntimeError("a process of the ceiling failed")
        expected = b"".join(frames)
        for path in paths:
            with path.open("rb") as file:
                if file.read(size) != expected:
                    raise RuntimeError(f"{path.name} does not hold what was sent")
        return outcome
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for path in paths:
            path.unlink(missing_ok=True)


def measure(messages: int = 500_000, runs: int = 5, parent: Path | None = None) -> Ceiling:
    """The medians of ``runs`` runs of ``messages`` messages each; files below ``parent``."""
    bodies = random_bodies(messages, BODY_BYTES)
    frames: list[bytes] = []
    for number, at in enumerate(range(0, messages, BATCH_MESSAGES), 1):
        batch = b"".join(bodies[at : at + BATCH_MESSAGES])
        frames.append(FRAME.pack(len(batch), number) + batch)
    directory = Path(tempfile.mkdtemp(prefix="ceiling-", dir=parent))
    rates: list[float] = []
    p50: list[float] = []
    p99: list[float] = []
    try:
        for _ in range(runs):
            elapsed, latencies = run_once(frames, directory)
            ordered = sorted(latencies)
            rates.append(messages / elapsed)
            p50.append(ordered[len(ordered) // 2] * 1e3)
            p99.append(ordered[len(ordered) * 99 // 100] * 1e3)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return Ceiling(median(rates), max(rates), median(p50), median(p99))


def main() -> None:
    """A node's process, or (without arguments) the whole measurement."""
    match sys.argv[1:]:
        case ["follower", path, size]:
            follower(path, int(size))
        case ["leader", path, size, *ports]:
            leader(path, int(size), [int(port) for port in ports])
        case _:
            found = measure()
            print(f"{found.rate:,.0f} msg/s, the best {found.best:,.0f}")
            print(f"p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms")


if __name__ == "__main__":
    main()
