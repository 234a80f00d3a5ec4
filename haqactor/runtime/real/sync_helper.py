"""The helper process that syncs; run as a file by a bare interpreter, so that it may import only the
standard library.

One rule: it lives no longer than the other end of its socket, which is its standard input. Requests are
datagrams: ``o`` with a descriptor (keep it and sync it), ``s`` (sync the kept one), ``c`` (close it, no
answer). The answer is the errno as a native int32, 0 for success.
"""

import os
import signal
import socket
import struct
import sys

ANSWER = struct.Struct("=i")


def main() -> None:
    """Serve until the socket closes."""
    # Signals that stop the node also reach its process group or control group; it must still sync its last
    # block.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sock = socket.socket(fileno=os.dup(0))
    kept = -1
    while True:
        request, fds, _, _ = socket.recv_fds(sock, 16, 1)
        if not request:
            return
        if request in (b"o", b"c") and kept >= 0:
            os.close(kept)
            kept = -1
        if request == b"o":
            kept = fds[0]
        if request != b"c":
            sock.send(ANSWER.pack(sync(kept)))


def sync(fd: int) -> int:
    """Sync ``fd``; 0, or the errno."""
    try:
        os.fdatasync(fd)
    except OSError as error:
        return error.errno or -1
    return 0


if __name__ == "__main__":
    try:
        main()
    except OSError:
        sys.exit(1)  # the node is gone
