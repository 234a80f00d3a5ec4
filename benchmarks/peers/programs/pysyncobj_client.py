"""Brings a job to a node of PySyncObj and passes on what that prints: the same arguments and JSON as the
other clients.

One rule: a load goes to the leader, which is fastest there; a stream that is to survive the leader goes to a
node that is not.
"""

import json
import socket
import sys
import threading
import time
from typing import Any

from benchmarks.peers.programs.job import Job, Wrong, fail, now

_PATIENCE_S = 60.0


def status(port: int) -> dict[str, Any] | None:
    """What the node of a control port knows; None where it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.sendall(b'["status"]\n')
            found: dict[str, Any] = json.loads(link.makefile("rb").readline() or b"{}")
    except (OSError, ValueError):
        return None
    return found if "leader" in found else None


def place(ports: list[int], *, leader: bool) -> int:
    """The control port of the leader, or of another one, once all know of all. Raises Wrong."""
    begun = now()
    while now() - begun < _PATIENCE_S:
        known = {port: found for port in ports if (found := status(port)) is not None}
        whole = len(known) == len(ports) and all(
            found["ready"] and found["leader"] and found["connected"] == len(ports) - 1
            for found in known.values()
        )
        for port, found in known.items():
            if whole and (found["leader"] == found["self"]) == leader:
                return port
        time.sleep(0.01)
    raise Wrong("the nodes do not know of each other")


def run(arguments: list[str]) -> None:
    """Do it; nothing is printed twice, nothing is kept back."""
    job = Job.parse(arguments)
    port = place(job.ports, leader=job.mode != "stream")
    if job.mode == "declare":
        print(json.dumps({"count": 0, "seconds": 0.0}))
        return
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(json.dumps(arguments).encode() + b"\n")
        if job.mode == "stream":
            threading.Thread(target=_end_with_input, args=(link,), daemon=True).start()
        last = b""
        for last in link.makefile("rb"):
            sys.stdout.buffer.write(last)
            sys.stdout.buffer.flush()
    if b'"error"' in last or not last:
        raise Wrong(last.decode() or "the node is gone")


def _end_with_input(link: socket.socket) -> None:
    """Tells the node once standard input ends."""
    sys.stdin.buffer.read()
    link.shutdown(socket.SHUT_WR)


def main() -> None:
    """Exit code 1 where anything is wrong."""
    try:
        run(sys.argv[1:])
    except Exception as error:  # whatever it is, the reason goes to the one that started this program
        fail(error)


if __name__ == "__main__":
    main()
