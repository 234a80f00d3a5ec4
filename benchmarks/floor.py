"""How fast a confirm could be at all on this machine and disk: the ceiling's processes with one message at a
time.

One rule: the same pace and the same run as the figure that is read against it; what is asked here is what the
hardware, three syncs on one disk and bare sockets cost, without consensus, queues or trio.
"""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

from benchmarks.ceiling import ACK, FRAME, spawn

_WARM: Final = 20


def confirm_waits(count: int, rate: float, parent: Path) -> list[float]:
    """Seconds from the send of each of ``count`` messages of 100 bytes, ``rate`` a second, to the confirm
    that two of three have it synced, sorted.
    """
    directory = Path(tempfile.mkdtemp(prefix="floor-", dir=parent))
    size = (count + _WARM) * 128
    processes: list[subprocess.Popen[str]] = []
    try:
        ports: list[str] = []
        for name in ("follower", "follower", "leader"):
            more = ports if name == "leader" else []
            process, port = spawn(name, str(directory / f"{len(processes)}.log"), str(size), *more)
            processes.append(process)
            ports.append(port)
        with socket.create_connection(("127.0.0.1", int(ports[-1]))) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waits = _paced(link, count + _WARM, rate)
        for process in processes:
            if process.wait(10) != 0:
                raise RuntimeError("a process of the floor failed")
        return sorted(waits[_WARM:])
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        shutil.rmtree(directory, ignore_errors=True)


def _paced(link: socket.socket, count: int, rate: float) -> list[float]:
    waits: list[float] = []
    body = bytes(100)
    start = perf_counter()
    for number in range(1, count + 1):
        sleep(max(0.0, start + number / rate - perf_counter()))
        begun = perf_counter()
        link.sendall(FRAME.pack(len(body), number) + body)
        confirmed = 0
        while confirmed < number:
            answer = link.recv(ACK.size)
            if len(answer) != ACK.size:
                raise ConnectionError("the leader hung up")
            (confirmed,) = ACK.unpack(answer)
        waits.append(perf_counter() - begun)
    return waits
